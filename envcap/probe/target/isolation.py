"""Keeps what is installed out of the probe's own imports. Imports nothing but `sys`, so it cannot be fooled itself."""

import sys

_SITE_FOLDERS = ("/site-packages/", "/dist-packages/")


class Isolation:
    """While it is entered, imports reach the standard library and the probe's own modules, nothing else.

    The probe runs without `-I`, so that PYTHONPATH, user site and .pth files apply as they do for the user's
    programs. `paths` is what came of them, without the folder of the script. On exit all is as it was, so that
    exit handlers which a .pth file or sitecustomize installed find their modules.
    """

    def __init__(self) -> None:
        # The interpreter puts the script's folder first, whatever site did before, but for PYTHONSAFEPATH.
        entries = sys.path[0 if getattr(sys.flags, "safe_path", False) else 1 :]
        self.paths = list(filter(_is_text, entries))
        self._whole_path = sys.path[:]
        self._finders = sys.meta_path[:]
        self._strangers = {}  # type: dict[str, object]

    def __enter__(self) -> "Isolation":
        standard = standard_paths(self.paths)
        sys.path[:] = standard
        sys.meta_path[:] = [finder for finder in sys.meta_path if _is_own_finder(finder)]
        # A shadowing json.py that sitecustomize imported would otherwise be found in sys.modules.
        for name, module in list(sys.modules.items()):
            origin = _attribute(module, "__file__")
            if name != "__main__" and isinstance(origin, str) and not is_standard(origin, standard):
                self._strangers[name] = sys.modules.pop(name)
        return self

    def __exit__(self, *_: object) -> None:
        sys.path[:] = self._whole_path
        sys.meta_path[:] = self._finders
        sys.modules.update(self._strangers)  # type: ignore[arg-type]


def standard_paths(paths: "list[str]") -> "list[str]":
    """Give the folders and archives of the standard library: the one that holds `encodings`, and its extensions.

    `encodings` is the witness because no interpreter starts with another's.
    """
    home = getattr(sys, "_stdlib_dir", None)
    if not isinstance(home, str):
        home = str(sys.modules["encodings"].__file__).rpartition("/encodings/")[0]
    version = sys.version_info[:2]
    parts = ("/lib-dynload", "/lib_pypy", "/python{}{}.zip".format(*version))
    # virtualenv before 20 links some of the library into the environment and leaves the rest where it was.
    base = getattr(sys, "real_prefix", sys.base_prefix)
    rests = ["{}/{}/python{}.{}".format(base, library, *version) for library in ("lib", "lib64")]
    return [home] + [path for path in paths if path != home and (path.endswith(parts) or path in rests)]


def is_standard(origin: str, standard: "list[str]") -> bool:
    """Tell whether the file `origin` belongs to the standard library, whose folders are `standard`."""
    for folder in standard:
        if origin.startswith(folder + "/"):
            rest = origin[len(folder) :]
            return not any(part in rest for part in _SITE_FOLDERS)
    return False


def _attribute(thing: object, name: str) -> object:
    """Give an attribute or None: lazy modules and finders of others may raise anything when they are asked."""
    try:
        return getattr(thing, name, None)
    except Exception:  # noqa: BLE001
        return None


def _is_text(entry: object) -> bool:
    return isinstance(entry, str)  # imports ignore any other kind


def _is_own_finder(finder: object) -> bool:
    """Tell whether an entry of sys.meta_path is the probe's own (see `__main__`) or the interpreter's."""
    module = str(_attribute(finder, "__module__"))
    if isinstance(finder, type):
        return module.startswith(("_frozen_importlib", "importlib._bootstrap"))
    return module == "__main__"
