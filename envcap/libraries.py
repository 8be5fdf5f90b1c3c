"""A part of freeze: the libraries and programs around the packages, and the OS packages that the image needs."""

import os
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path

from msgspec import structs

from envcap.evaluate.classify import Ground, may_be_owned, read_of_packages
from envcap.evaluate.observe import inner_settings
from envcap.evaluate.reading import undeclared_data, watched_files, watching_gaps
from envcap.evaluate.seeds import find_seeds
from envcap.machine.debian import STATUS, Installed, owners, read_status
from envcap.machine.floors import floor_gaps, glibc_of_suite
from envcap.machine.gpu_libraries import with_loaded
from envcap.machine.inventory import Needs, list_executables, list_libraries, wanted_packages
from envcap.machine.kernels import with_compilers
from envcap.machine.linked import Environment, read_static
from envcap.machine.loader import Loader
from envcap.machine.rpm import ask_rpm
from envcap.machine.toolkit import is_package_of_toolkit, used_toolkit
from envcap.model.evaluation import Declaration, Seed
from envcap.model.facts import Facts, Hardware
from envcap.model.gap import Gap
from envcap.model.lock import Base, Executable, Floor, Library, OsPackages, Toolkit, WatchedFiles
from envcap.model.observed import Observed
from envcap.model.progress import Progress, Tell
from envcap.model.struct import Data
from envcap.os_layer import learn_os_layer
from envcap.pins.toolkit import resolve_toolkit
from envcap.probe.handover import probe_host, unlisted_libraries
from envcap.project.mounts import places_of
from envcap.store import Store

_MOST_ASKED = 200  # files whose owner rpm is asked for, one by one


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
    added = learn_os_layer(
        wanted,
        facts.system,
        installed,
        base=base,
        owned=[*libraries, *executables],
        env=env,
        cache=cache,
        tell=tell,
    )
    inputs = places_of(declaration.data, project)
    undeclared = undeclared_data(observed, declaration, ground, inputs=inputs, taken=taken)
    return Surroundings(
        hardware=_hardware(facts, observed, env=env, project=project),
        settings=inner_settings(observed.settings),
        seeds=find_seeds(observed.read, project=project, environment=environment.folders()),
        libraries=libraries,
        executables=executables,
        floor=static.floor,
        os_packages=added.packages,
        toolkit=toolkit,
        watched=watched_files(observed, declaration, ground, inputs=inputs, undeclared=undeclared),
        gaps=[
            *watching_gaps(observed, declaration, undeclared),
            *compiler_gaps,
            *toolkit_gaps,
            *(_unowned(path) for path in unowned),
            *added.gaps,
            *floor_gaps(
                static.floor, base, added.base, added=added.packages.packages if added.packages is not None else ()
            ),
        ],
    )


def _hardware(facts: Facts, observed: Observed, *, env: Mapping[str, str], project: Path) -> Hardware:
    """Give the hardware with every library of GPUs that a run had loaded, wherever it was."""
    unlisted = unlisted_libraries(facts, observed.mapped)
    if unlisted:
        again = probe_host(Path(facts.executable), env=env, cwd=project, loaded=unlisted)
        copies = again.hardware.gpu_libraries
        facts = structs.replace(facts, hardware=structs.replace(facts.hardware, gpu_libraries=copies))
    return with_loaded(facts, observed.mapped, watched=observed.watched)


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


def _unowned(path: str) -> Gap:
    return Gap(
        where="libraries",
        subject=path,
        reason="no package of the operating system owns it",
        consequence="it is not in the image, and what needs it will miss it there",
    )
