"""Keeps what is installed out of the probe's own imports. Imports nothing but `sys`, so it cannot be fooled itself."""

import sys

_SITE_FOLDERS = ("/site-packages/", "/dist-packages/")


class Isolation:
    """While it is entered, imports reach the standard library and the probe's archive, nothing else.

    The probe runs without `-I`, so that PYTHONPATH, user site and .pth files apply as they do for the user's
    programs. `paths` is what came of them, without the archive's own entry. On exit all is as it was, so that
    exit handlers which a .pth file or sitecustomize installed find their modules.
    """

    def __init__(self) -> None:
        # The interpreter puts the archive it runs first, whatever site did before (see `sys.path` in its docs).
        self._archive = sys.path[0]
        self.paths = sys.path[1:]
        self._whole_path = sys.path[:]
        self._finders = sys.meta_path[:]
        self._strangers = {}  # type: dict[str, object]

    def __enter__(self) -> "Isolation":
        standard = standard_paths(self.paths)
        sys.path[:] = [self._archive, *standard]
        sys.meta_path[:] = [finder for finder in sys.meta_path if _is_own_finder(finder)]
        # A shadowing json.py that sitecustomize imported would otherwise be found in sys.modules.
        for name, module in list(sys.modules.items()):
            origin = getattr(module, "__file__", None)
            own = name == "__main__" or name.partition(".")[0] == "envcap_probe"
            if not own and isinstance(origin, str) and not is_standard(origin, standard):
                self._strangers[name] = sys.modules.pop(name)
        return self

    def __exit__(self, *_: object) -> None:
        sys.path[:] = self._whole_path
        sys.meta_path[:] = self._finders
        sys.modules.update(self._strangers)  # type: ignore[arg-type]


def standard_paths(paths: "list[str]") -> "list[str]":
    """Give the folders and archives of the standard library: the one that holds `encodings`, and its extensions.

    `encodings` is the witness because the interpreter imports it before it looks at anything of the user's.
    """
    home = getattr(sys, "_stdlib_dir", None)
    if not isinstance(home, str):
        home = str(sys.modules["encodings"].__file__).rpartition("/encodings/")[0]
    archive = "/python{}{}.zip".format(*sys.version_info[:2])
    extensions = ("/lib-dynload", "/lib_pypy", archive)
    return [home] + [path for path in paths if path != home and path.endswith(extensions)]


def is_standard(origin: str, standard: "list[str]") -> bool:
    """Tell whether the file `origin` belongs to the standard library, whose folders are `standard`."""
    for folder in standard:
        if origin.startswith(folder + "/"):
            rest = origin[len(folder) :]
            return not any(part in rest for part in _SITE_FOLDERS)
    return False


def _is_own_finder(finder: object) -> bool:
    """Tell whether an entry of sys.meta_path is the interpreter's own, which are classes of its bootstrap."""
    module = getattr(finder, "__module__", "")
    return isinstance(finder, type) and module.startswith(("_frozen_importlib", "importlib._bootstrap"))
