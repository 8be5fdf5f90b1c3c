"""A part of freeze: the libraries and programs around the packages, and the OS packages that the image needs."""

import os
import re
import sys
import tempfile
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from msgspec import structs

from envcap.engines import open_container_engine
from envcap.errors import EnvcapError, NotRunError
from envcap.evaluate.classify import Ground, may_be_owned, read_of_packages
from envcap.evaluate.observe import inner_settings
from envcap.evaluate.reading import undeclared_data, watched_files, watching_gaps
from envcap.evaluate.seeds import find_seeds
from envcap.machine.archive import resolve_packages
from envcap.machine.debian import STATUS, Installed, owners, read_status
from envcap.machine.floors import floor_gaps, glibc_of_suite
from envcap.machine.gpu_libraries import with_loaded
from envcap.machine.inventory import Needs, list_executables, list_libraries, wanted_packages
from envcap.machine.kernels import with_compilers
from envcap.machine.linked import Environment, read_static
from envcap.machine.loader import Loader
from envcap.machine.other_release import KEYRINGS, SOURCES, BaseArchive, resolve_elsewhere, wishes_of
from envcap.machine.rpm import ask_rpm
from envcap.machine.toolkit import is_package_of_toolkit, used_toolkit
from envcap.model.evaluation import Declaration, Seed
from envcap.model.facts import Facts, Hardware, System
from envcap.model.gap import Gap
from envcap.model.lock import Base, Executable, Floor, Library, OsPackages, Toolkit, WatchedFiles
from envcap.model.observed import Observed
from envcap.model.progress import Progress, Tell
from envcap.model.struct import Data
from envcap.pins.configuration import read_configuration
from envcap.pins.os_packages import fetch_os_packages
from envcap.pins.session import open_session
from envcap.pins.toolkit import resolve_toolkit
from envcap.project.mounts import places_of
from envcap.redact import redact_text
from envcap.store import Store

_MOST_ASKED = 200  # files whose owner rpm is asked for, one by one
_RELEASE_FILE = "/usr/lib/os-release"
# What every Debian or Ubuntu image has, and so what needs no look into the base.
_EVERYWHERE = {"libc6", "libgcc-s1", "libstdc++6", "zlib1g", "dash", "bash", "coreutils", "libc-bin", "debianutils"}


class Surroundings(Data, frozen=True, kw_only=True):
    """What goes into the lock."""

    hardware: Hardware
    settings: dict[str, str]
    seeds: list[Seed]
    libraries: list[Library]
    executables: list[Executable]
    floor: Floor
    os_packages: OsPackages | None
    toolkit: Toolkit | None
    watched: WatchedFiles
    gaps: list[Gap]


class _Base(Data, frozen=True, kw_only=True):
    release: str
    packages: dict[str, Installed]
    files: dict[str, bytes]  # by path


def learn_surroundings(
    facts: Facts,
    observed: Observed,
    declaration: Declaration,
    *,
    project: Path,
    base: Base,
    taken: Collection[str],
    env: Mapping[str, str],
    cache: Store,
    tell: Tell,
    own_base: bool = False,
    offline: bool = False,
) -> Surroundings:
    """Find libraries and programs, their owners, and the packages that the base lacks. What is unknown is a Gap.

    A base image of the user's own choice (`own_base`) is taken for all that there is below the packages.
    """
    environment = Environment(
        executable=facts.executable, prefix=facts.prefix, base_prefix=facts.base_prefix, paths=facts.paths
    )
    tell(Progress(kind="step", text="looking up the system libraries"))
    static = read_static(environment, environ=env)
    observed, compiler_gaps = with_compilers(observed, env=env)
    needs = Needs(environment, static.libraries, observed, env=env, project=str(project))
    ground, owner, installed = _owners(needs, observed, environment, project)
    loader = Loader(environ=env)
    sonames = {path: getattr(loader.read(path), "soname", None) or "" for path in needs.loaded()}
    libraries = list_libraries(needs, owner=owner, installed=installed, sonames=sonames)
    executables = list_executables(needs, owner=owner, installed=installed)
    toolkit, toolkit_gaps = (None, []) if own_base else _toolkit(libraries, static.provided, base, offline=offline)
    links = {owner[link]: name for link, name in needs.links.items() if owner.get(link) in installed}
    files = read_of_packages(observed, owner, ground.owned or ())
    wanted, unowned = _wanted(libraries, executables, links, files, toolkit)
    inside = _read_base(base, facts.system) if installed else None
    packages, gaps = _os_packages(
        wanted, facts.system, inside, installed, base=base, owned=[*libraries, *executables], env=env, tell=tell
    )
    if packages is not None:
        gaps += _fetch(packages, cache, tell)
    inputs = places_of(declaration.data, project)
    undeclared = undeclared_data(observed, declaration, ground, inputs=inputs, taken=taken)
    return Surroundings(
        hardware=with_loaded(facts, observed.mapped, watched=observed.watched),
        settings=inner_settings(observed.settings),
        seeds=find_seeds(observed.read, project=project, environment=environment.folders()),
        libraries=libraries,
        executables=executables,
        floor=static.floor,
        os_packages=packages,
        toolkit=toolkit,
        watched=watched_files(observed, declaration, ground, inputs=inputs, undeclared=undeclared),
        gaps=[
            *watching_gaps(observed, declaration, undeclared),
            *compiler_gaps,
            *toolkit_gaps,
            *(_unowned(path) for path in unowned),
            *gaps,
            *floor_gaps(
                static.floor,
                base,
                inside.packages if inside is not None else None,
                added=packages.packages if packages is not None else (),
            ),
        ],
    )


def _owners(
    needs: Needs, observed: Observed, environment: Environment, project: Path
) -> tuple[Ground, dict[str, str], dict[str, Installed]]:
    """Give what read files are held against, the owner of each path, and all installed packages.

    dpkg is asked where it is, else rpm, which is slow: there the owners of many files that were read stay unknown.
    """
    temporary = os.path.realpath(tempfile.gettempdir())
    ground = Ground(project=os.path.realpath(project), environment=environment.folders(), temporary=temporary)
    read = may_be_owned(observed, ground)
    status = Path(STATUS)
    if status.is_file():
        owner = owners({*needs.paths(), *read})
        installed = read_status(status.read_text(errors="replace"))
    else:
        read = read if len(read) <= _MOST_ASKED else []
        owner, installed = ask_rpm({*needs.paths(), *read})
    if installed and read:
        ground = structs.replace(ground, owned=frozenset(path for path in read if owner.get(path) in installed))
    return ground, owner, installed


def _toolkit(
    libraries: list[Library], provided: Collection[str], base: Base, *, offline: bool
) -> tuple[Toolkit | None, list[Gap]]:
    """Give NVIDIA's image for the CUDA of the system that is in use; None where none is, or none is known."""
    used, gaps = used_toolkit(libraries, provided=provided)
    if used is None:
        return None, gaps
    toolkit, more = resolve_toolkit(
        used.libraries,
        release=used.release,
        cudnn=used.cudnn,
        glibc=glibc_of_suite(base.reference),
        platform=base.platform,
        offline=offline,
    )
    return toolkit, gaps + more


def _wanted(
    libraries: list[Library],
    executables: list[Executable],
    links: Mapping[str, str],
    files: Mapping[str, str],
    toolkit: Toolkit | None,
) -> tuple[dict[str, str], list[str]]:
    """Give the OS packages that the image needs, but for those whose libraries come from NVIDIA's image."""
    if toolkit is not None:
        libraries = [item for item in libraries if item.name not in toolkit.libraries]
        links = {package: name for package, name in links.items() if not is_package_of_toolkit(package)}
        files = {package: path for package, path in files.items() if not is_package_of_toolkit(package)}
    return wanted_packages(libraries, executables, links=links, files=files)


def _os_packages(
    wanted: Mapping[str, str],
    system: System,
    inside: _Base | None,
    installed: Mapping[str, Installed],
    *,
    base: Base,
    owned: Sequence[Library | Executable],
    env: Mapping[str, str],
    tell: Tell,
) -> tuple[OsPackages | None, list[Gap]]:
    release = f"{system.distribution} {system.version}".strip()
    if inside is None:
        unknown = sorted(set(wanted) - _EVERYWHERE)
        if not unknown or base.digest is None:
            return None, []  # without a digest there will be no image: that Gap is told already
        return None, [_no_look(unknown, "what the base holds could not be read")]
    lacking = sorted(set(wanted) - set(inside.packages))
    if not lacking:
        return None, []
    if inside.release != release:
        tell(Progress(kind="step", text=f"asking the archive of {inside.release}, the base's release"))
        wishes = wishes_of({name: wanted[name] for name in lacking}, installed, owned)
        try:
            packages, gaps = resolve_elsewhere(
                wishes, _archive_of(inside), architecture=_architecture(inside.packages), environ=env
            )
        except NotRunError as error:
            reason = redact_text(error.message.splitlines()[0])
            return None, [_no_look(lacking, f"the base is {inside.release}, this host {release}: {reason}")]
        return (OsPackages(release=inside.release, packages=packages) if packages else None), gaps
    packages, gaps = resolve_packages(wanted, host=installed, base=inside.packages, environ=env)
    return (OsPackages(release=release, packages=packages) if packages else None), gaps


def _architecture(packages: Mapping[str, Installed]) -> str:
    """Give Debian's name of the processor: what dpkg's own package is for, which every image has."""
    return packages["dpkg"].architecture if "dpkg" in packages else ""


def _archive_of(inside: _Base) -> BaseArchive:
    return BaseArchive(
        release=inside.release or "an unknown release",
        sources="\n\n".join(inside.files[path].decode(errors="replace") for path in SOURCES if path in inside.files),
        status=inside.files[STATUS],
        keyring=next((inside.files[path] for path in KEYRINGS if path in inside.files), None),
    )


def _fetch(packages: OsPackages, cache: Store, tell: Tell) -> list[Gap]:
    """Bring the files into the user's cache now: archives keep only the newest version, and the build may be late."""
    try:
        with closing(open_session(read_configuration(Path(sys.executable)))) as session:
            # Asked for just now: what the archive does not have, no snapshot of this moment has either.
            fetch_os_packages(packages.packages, frozen_at="", cache=cache, session=session, environ={}, tell=tell)
    except EnvcapError as error:
        reason = redact_text(error.message.splitlines()[0].rstrip("."))
        return [
            Gap(
                where="os-packages",
                subject=", ".join(package.name for package in packages.packages),
                reason=f"they could not be downloaded now: {reason}",
                consequence="the build tries again, and fails if the archive has moved on by then",
            )
        ]
    return []


def _read_base(base: Base, system: System) -> _Base | None:
    """Read the package database of the base image; None where that is not possible."""
    if base.digest is None or system.libc != "glibc":
        return None
    try:
        with closing(open_container_engine(Path())) as engine:
            files = engine.read(f"{base.reference}@{base.digest}", [STATUS, _RELEASE_FILE, *SOURCES, *KEYRINGS])
    except NotRunError:
        return None
    if STATUS not in files:
        return None
    text = files.get(_RELEASE_FILE, b"").decode(errors="replace")
    fields = dict(re.findall(r'^(ID|VERSION_ID)="?([^"\n]*)"?$', text, re.MULTILINE))
    return _Base(
        release=f"{fields.get('ID', '')} {fields.get('VERSION_ID', '')}".strip(),
        packages=read_status(files[STATUS].decode(errors="replace")),
        files=files,
    )


def _no_look(names: list[str], reason: str) -> Gap:
    return Gap(
        where="os-packages",
        subject=", ".join(names),
        reason=reason,
        consequence="they are not put into the image; where the base lacks one, the evaluation will miss it there",
    )


def _unowned(path: str) -> Gap:
    return Gap(
        where="libraries",
        subject=path,
        reason="no package of the operating system owns it",
        consequence="it is not in the image, and what needs it will miss it there",
    )
