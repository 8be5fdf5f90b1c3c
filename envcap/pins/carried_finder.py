"""Goes into the wheel of an editable install whose modules have other names than their folders; a .pth imports it.

Runs in the rebuilt environment, Python 3.6 and newer, at every start of its interpreter: small, and nothing of
envcap's. What it does is the import system's own protocol (`importlib.abc.MetaPathFinder`).
"""

import os
import sys
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location

TYPE_CHECKING = False  # as in `typing`, which is dear to import
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import ModuleType


class Finder:
    """Finds the modules of one carried tree, after everything else was asked."""

    def __init__(self, home: str, places: "Mapping[str, str]") -> None:
        self._home = home
        self._places = dict(places)
        for name in places:
            while "." in name:  # the packages around a module that nothing else provides
                name = name.rpartition(".")[0]  # noqa: PLW2901
                self._places.setdefault(name, "")

    def find_spec(
        self, name: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        """Give the spec of a module of the tree, None of any other."""
        del path, target
        place = self._places.get(name)
        if place is None:
            return None
        full = os.path.join(self._home, place)
        if place and not os.path.isdir(full):
            return spec_from_file_location(name, full)
        start = os.path.join(full, "__init__.py")
        if place and os.path.exists(start):
            return spec_from_file_location(name, start, submodule_search_locations=[full])
        spec = ModuleSpec(name, None, is_package=True)  # a namespace package
        spec.submodule_search_locations = [full] if place else []
        return spec


def install(home: str, places: "Mapping[str, str]") -> None:
    """Let the modules of `places` be imported from below `home`, a path relative to this file's folder."""
    folder = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), home))
    sys.meta_path.append(Finder(folder, places))  # type: ignore[arg-type, unused-ignore]
