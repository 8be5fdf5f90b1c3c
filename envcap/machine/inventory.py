"""Join what objects link to and what runs mapped into the libraries and programs that a lock names."""

import os
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from envcap.machine.debian import Installed
from envcap.machine.kernels import COMPILER
from envcap.machine.linked import Environment, Linked, closure_of
from envcap.machine.loader import Loader
from envcap.model.lock import Executable, Library
from envcap.model.observed import Observed

# They come with the driver of the machine that runs the image, never from a package of it.
_DRIVER = re.compile(
    r"(libcuda|libnvidia-[a-z0-9-]+|libnvcuvid|libnvoptix|libcudadebugger|libamdhip64_driver)\.so.*|nvidia-[a-z-]+"
)
_HEADERS = "libc6-dev"
_MOST_LINKS = 40  # as many as the kernel follows


class Needs:
    """Programs and libraries by real path, before their owners are known."""

    def __init__(
        self,
        environment: Environment,
        linked: list[Linked],
        observed: Observed,
        *,
        env: Mapping[str, str],
        project: str,
    ) -> None:
        own = environment.folders()
        # The interpreter too, where it is the system's: the base brings its own.
        outside = (*own, f"{project}/", os.path.realpath(environment.executable))
        self.programs = {
            os.path.realpath(path): os.path.basename(path)  # noqa: PTH119
            for path in observed.started
            if not os.path.realpath(path).startswith(outside)
        }
        # The loader maps all that a program links to when it starts, whether anybody looked at that moment or not.
        self.by_program: dict[str, list[str]] = {}
        for program, name in self.programs.items():
            for path in closure_of(program, environ=env):
                self.by_program.setdefault(path, []).append(name)
        for path in _own_programs(observed.started, own, environment):
            for library in closure_of(path, environ=env):
                if not library.startswith(outside):
                    self.by_program.setdefault(library, []).append(os.path.basename(path))  # noqa: PTH119
        self.mapped = {path for path in observed.mapped if not path.startswith(outside)} - set(self.programs)
        self.opened = {os.path.basename(name) for name in observed.opened}  # noqa: PTH119
        self.linked = linked
        # `/usr/bin/gcc` and `libx.so` are links, and another package may own them than owns what they lead to.
        asked = [path for path in observed.started if os.path.realpath(path) in self.programs]
        loader = Loader(environ=env)
        asked += [path for name in observed.opened for path in loader.named(name)]
        self.links = {link: os.path.basename(path) for path in asked for link in links_of(path)}  # noqa: PTH119

    def loaded(self) -> set[str]:
        """Give the real paths of all libraries outside the environment that were mapped."""
        return self.mapped | set(self.by_program)

    def paths(self) -> set[str]:
        """Give every real path whose owner is wanted."""
        return {
            *self.programs,
            *self.by_program,
            *self.mapped,
            *self.links,
            *(item.path for item in self.linked if item.path),
        }


def _own_programs(started: Iterable[str], own: tuple[str, ...], environment: Environment) -> list[str]:
    """Give the programs of the environment that a run started, sorted: what they link to was loaded."""
    real = {os.path.realpath(path) for path in started}
    return sorted(path for path in real - {os.path.realpath(environment.executable)} if path.startswith(own))


def list_libraries(
    needs: Needs, *, owner: Mapping[str, str], installed: Mapping[str, Installed], sonames: Mapping[str, str]
) -> list[Library]:
    """Give each library once, by name and path. One that is named and not there is `absent`: a plug-in may do without.

    `sonames` tells the soname of a mapped file.
    """
    by_path: dict[str, list[Linked]] = {}
    for item in needs.linked:
        if item.path:
            by_path.setdefault(item.path, []).append(item)
    loaded = needs.loaded()
    found = []
    for path in sorted({*by_path, *loaded}):
        links = by_path.get(path, [])
        programs = sorted(needs.by_program.get(path, []))
        needed_by = [*dict.fromkeys([*programs, *(name for item in links for name in item.needed_by)])][:3]
        package = installed.get(owner.get(path, ""))
        name = links[0].name if links else sonames.get(path) or os.path.basename(path)  # noqa: PTH119
        own = bool(links) and all(item.interpreter_only for item in links)
        found.append(
            Library(
                name=name,
                path=path,
                seen=("both" if path in loaded else "linked") if links or programs else "loaded",
                package=package.name if package else None,
                version=package.version if package else None,
                architecture=package.architecture if package else None,
                needed_by=needed_by,
                interpreter=own and name not in needs.opened,
            )
        )
    absent = [item for item in needs.linked if not item.path]
    found += [Library(name=item.name, seen="absent", needed_by=item.needed_by) for item in absent]
    return found


def list_executables(needs: Needs, *, owner: Mapping[str, str], installed: Mapping[str, Installed]) -> list[Executable]:
    """Give each program that a run started, but for the environment's and the project's own."""
    found = []
    for path, name in sorted(needs.programs.items()):
        package = installed.get(owner.get(path, ""))
        found.append(
            Executable(
                name=name,
                path=path,
                package=package.name if package else None,
                version=package.version if package else None,
                architecture=package.architecture if package else None,
            )
        )
    return found


def links_of(path: str) -> list[str]:
    """Give each link on the way from `path` to what it leads to, in the folders as they really are."""
    found: list[str] = []
    while os.path.islink(path) and len(found) < _MOST_LINKS:  # noqa: PTH114
        folder = os.path.realpath(os.path.dirname(path))  # noqa: PTH120
        found.append(f"{folder}/{os.path.basename(path)}")  # noqa: PTH119
        path = os.path.join(folder, os.readlink(path))  # noqa: PTH115, PTH118
    return found


def wanted_packages(
    libraries: list[Library],
    executables: list[Executable],
    *,
    links: Mapping[str, str],
    files: Mapping[str, str] = MappingProxyType({}),
) -> tuple[dict[str, str], list[str]]:
    """Give the packages that the image needs, each with what needs it, and the files that no package owns.

    `links` are packages that own but a link to one of them, `files` those that own what a run read. A compiler is no
    use without the C library's headers, which its package only recommends: a run that started one compiles while it
    runs, as Triton does.
    """
    programs = {item.name for item in executables}
    wanted: dict[str, str] = {}
    unowned: list[str] = []
    owned: list[Library | Executable] = [*executables, *libraries]
    for item in owned:
        if isinstance(item, Library) and _comes_otherwise(item, programs):
            continue
        if _DRIVER.fullmatch(item.name):
            continue
        if item.package is None:
            unowned.append(item.path)
        else:
            wanted.setdefault(item.package, item.name)
    for package, name in (*links.items(), *files.items()):
        wanted.setdefault(package, name)
    compiler = next((item.name for item in executables if COMPILER.fullmatch(item.name)), None)
    if compiler is not None:
        wanted.setdefault(_HEADERS, f"{compiler} needs its headers")
    return wanted, unowned


def _comes_otherwise(item: Library, programs: set[str]) -> bool:
    """Tell whether a library is no matter of the image's OS packages: absent, the interpreter's own, the driver's."""
    own = item.interpreter and not programs.intersection(item.needed_by)
    return item.seen == "absent" or own or _DRIVER.fullmatch(item.path.rpartition("/")[2]) is not None
