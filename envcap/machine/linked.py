"""The static pass: every ELF file of an environment, and the libraries outside of it that they link to."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from envcap.machine.loader import Loader
from envcap.model.lock import Floor
from envcap.model.struct import Data
from envcap.regular import is_elf

_OBJECT = re.compile(r".+\.so(\.[0-9].*)?$")
# What no program is called: most files of packages need no further look.
_NO_PROGRAM = frozenset((".py", ".pyc", ".pyi", ".c", ".h", ".hpp", ".cuh", ".json", ".txt", ".md", ".npy", ".csv"))
_SITES = ("site-packages", "dist-packages")
_VERSION = re.compile(r"(GLIBC|GLIBCXX|CXXABI)_([0-9]+(?:\.[0-9]+)*)")


class Environment(Data, frozen=True, kw_only=True):
    """Where an environment is: its interpreter, its prefixes, its sys.path."""

    executable: str
    prefix: str
    base_prefix: str
    paths: list[str]

    def folders(self) -> tuple[str, ...]:
        """Give the real folders that are the interpreter's or a package's, each with a slash at its end.

        A prefix of the operating system is not one of them: an interpreter in /usr owns only what is on its sys.path.
        """
        prefixes = [os.path.realpath(folder) for folder in (self.prefix, self.base_prefix) if folder]
        paths = [os.path.realpath(folder) for folder in self.paths if folder]
        own = [folder for folder in prefixes if folder not in ("/usr", "/", "/usr/local")]
        return tuple(f"{folder}/" for folder in dict.fromkeys([*own, *paths]) if folder != "/")


class Linked(Data, frozen=True, kw_only=True):
    """One library outside the environment, by its real path, and who names it first. `path` empty: it is not there."""

    name: str
    path: str
    needed_by: list[str]  # files of the environment, without folders; at most three
    interpreter_only: bool  # nothing but the interpreter and its own modules links to it


class Static(Data, frozen=True, kw_only=True):
    """What the static pass found. `floor` is what the packages' objects ask of the C and C++ libraries.

    The interpreter's own objects do not count for it: the base image brings another build of the same version.
    `provided` are the names under which the environment's own objects can be had, once something has loaded them.
    """

    libraries: list[Linked]
    objects: int
    floor: Floor
    provided: set[str]


def objects_of(environment: Environment) -> tuple[list[str], list[str]]:
    """List the shared objects of the interpreter (itself first), and those of the packages with their programs."""
    listed = {os.path.realpath(path) for path in environment.paths}
    own: list[str] = [os.path.realpath(environment.executable)]
    others: list[str] = []
    for root in sorted(listed):
        is_site = root.endswith(_SITES)
        standard = not is_site and os.path.exists(f"{root}/encodings/__init__.py")  # noqa: PTH110
        dynload = root.endswith("/lib-dynload")
        found = _walk(root, leave=listed)
        (own if standard or dynload else others).extend(found)
    others += _programs_in(environment)
    return sorted(dict.fromkeys(own), key=lambda path: path != own[0]), sorted(set(others).difference(own))


def _walk(root: str, *, leave: set[str]) -> Iterator[str]:
    """Give the objects below a folder, but for those of environments in it: a project on the path may have its own."""
    for folder, folders, files in os.walk(root):
        if "pyvenv.cfg" in files:
            folders[:] = []
            continue
        folders[:] = [
            name for name in folders if name not in (*_SITES, "__pycache__") and f"{folder}/{name}" not in leave
        ]
        for name in files:
            if _OBJECT.fullmatch(name) or (_may_be_program(name) and _is_program(f"{folder}/{name}")):
                yield os.path.realpath(f"{folder}/{name}")


def _programs_in(environment: Environment) -> Iterator[str]:
    """Give the compiled programs where packages put them to be found; an interpreter of the system has all of /usr."""
    folder = f"{os.path.realpath(environment.prefix)}/bin"
    if environment.prefix and folder.startswith(environment.folders()) and os.path.isdir(folder):  # noqa: PTH112
        for name in sorted(os.listdir(folder)):  # noqa: PTH208
            path = os.path.realpath(f"{folder}/{name}")
            if path.startswith(f"{folder}/") and _is_program(path):
                yield path


def _may_be_program(name: str) -> bool:
    return os.path.splitext(name)[1] not in _NO_PROGRAM  # noqa: PTH122


def _is_program(path: str) -> bool:
    """Tell whether a file may be executed and is compiled; most that may are scripts."""
    return os.access(path, os.X_OK) and is_elf(path)


def read_static(environment: Environment, *, environ: Mapping[str, str]) -> Static:
    """Follow what every object of the environment links to, as the loader would."""
    loader = Loader(environ=environ)
    own, others = objects_of(environment)
    program = loader.read(own[0])
    above = loader.inherited(own[0], program, above=()) if program else ()
    provided = _sonames(loader, [*own, *others])
    walk = _Walk(loader, environment, sonames=provided)
    for path in own:
        walk.follow(path, above, root=Path(path).name, interpreter=True)
    for path in others:
        walk.follow(path, above, root=Path(path).name, interpreter=False)
    versions = {version for path in others for version in getattr(loader.read(path), "versions", [])}
    objects = len(own) + len(others)
    return Static(libraries=walk.result(), objects=objects, floor=floor_of(versions), provided=provided)


def closure_of(program: str, *, environ: Mapping[str, str]) -> list[str]:
    """List the real paths of all libraries that the loader maps when `program` starts, the loader itself included."""
    loader = Loader(environ=environ)
    elf = loader.read(os.path.realpath(program))
    if elf is None:
        return []
    everything = Environment(executable=program, prefix="", base_prefix="/usr", paths=[])
    walk = _Walk(loader, everything, sonames=set())
    walk.follow(os.path.realpath(program), (), root=program, interpreter=False)
    found = [item.path for item in walk.result() if item.path]
    return [*found, os.path.realpath(elf.interpreter)] if elf.interpreter else found


def floor_of(versions: Iterable[str]) -> Floor:
    """Give the highest of each kind of symbol version: the oldest libraries that can serve. Private ones are none."""
    highest: dict[str, tuple[int, ...]] = {}
    for version in versions:
        match = _VERSION.fullmatch(version)
        if match:
            numbers = tuple(int(number) for number in match[2].split("."))
            highest[match[1]] = max(highest.get(match[1], ()), numbers)
    texts = {name: ".".join(map(str, numbers)) for name, numbers in highest.items()}
    return Floor(glibc=texts.get("GLIBC"), glibcxx=texts.get("GLIBCXX"), cxxabi=texts.get("CXXABI"))


def _sonames(loader: Loader, paths: Iterable[str]) -> set[str]:
    """Give the names under which the environment's own objects can be had, once something has loaded them."""
    elves = ((path, loader.read(path)) for path in paths)
    return {name for path, elf in elves if elf for name in (elf.soname, Path(path).name) if name}


class _Walk:
    def __init__(self, loader: Loader, environment: Environment, *, sonames: set[str]) -> None:
        self._loader = loader
        self._own_folders = environment.folders()
        self._sonames = sonames
        self._seen: set[tuple[str, tuple[str, ...], bool]] = set()
        self._found: dict[tuple[str, str], tuple[list[str], bool]] = {}

    def follow(self, start: str, above: tuple[str, ...], *, root: str, interpreter: bool) -> None:
        """Note all libraries that `start` brings with it."""
        waiting = [(start, above)]
        while waiting:
            path, inherited = waiting.pop()
            if (path, inherited, interpreter) in self._seen:
                continue
            self._seen.add((path, inherited, interpreter))
            elf = self._loader.read(path)
            if elf is None:
                continue
            below = self._loader.inherited(path, elf, above=inherited)
            for name in elf.needed:
                found = self._loader.find(name, path, elf, above=inherited)
                if found is None and name in self._sonames:
                    continue  # a package loads its copy beforehand, as torch does with CUDA's
                real = os.path.realpath(found) if found else ""
                if not real.startswith(self._own_folders):
                    self._note(name, real, root=root, interpreter=interpreter)
                if real:
                    waiting.append((real, below))

    def _note(self, name: str, real: str, *, root: str, interpreter: bool) -> None:
        roots, only = self._found.get((name, real), ([], True))
        if root not in roots and len(roots) < 3:
            roots = [*roots, root]
        self._found[name, real] = (roots, only and interpreter)

    def result(self) -> list[Linked]:
        return [
            Linked(name=name, path=path, needed_by=roots, interpreter_only=only)
            for (name, path), (roots, only) in sorted(self._found.items())
        ]
