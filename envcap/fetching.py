"""Everything that a lock's image is built from, brought to this machine and checked."""

import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from envcap.model.lock import Lock, OsPackage, Package
from envcap.model.progress import Progress, Tell
from envcap.places import download_cache


def fetch_inputs(
    lock: Lock,
    *,
    packages: Sequence[Package],
    os_packages: Sequence[OsPackage],
    project: Path,
    environ: Mapping[str, str],
    tell: Tell,
) -> dict[str, Path]:
    """Give the files of `packages` and `os_packages`, which are the lock's, by their sha256.

    They come from a capsule's folder, the user's cache, or their addresses.

    Raises RefusedError when one is not what was frozen, NotRunError when one cannot be had.
    """
    if not packages and not os_packages:
        return {}
    from envcap.pins.configuration import Configuration
    from envcap.pins.declared import read_every_index
    from envcap.pins.download import are_here, fetch
    from envcap.pins.os_packages import fetch_os_packages
    from envcap.pins.session import open_session

    cache = download_cache(environ, project=project)
    cache.root.mkdir(parents=True, exist_ok=True)
    if packages:
        tell(Progress(kind="step", text=f"fetching {len(packages)} packages"))
    # To ask pip for its indexes takes longer than all the rest, and nothing is downloaded where all is here.
    held = are_here(packages, cache=cache) and all(cache.find(one.sha256, one.file) for one in os_packages)
    known = Configuration() if held else read_every_index(Path(sys.executable), project=project, environ=environ)
    with closing(open_session(known)) as session:
        files = fetch(packages, cache=cache, lock_folder=project, session=session, tell=tell)
        files.update(
            fetch_os_packages(
                os_packages, frozen_at=lock.created_at, cache=cache, session=session, environ=environ, tell=tell
            )
        )
    return files


def locked_files(lock: Lock) -> list[Package]:
    """Give what pip and conda install, and the wheel that installs conda's archives, as downloads know packages."""
    archives = [Package(name=one.name, version=one.version, wheel=one.archive) for one in lock.conda]
    installer = lock.conda_prefix.installer if lock.conda_prefix is not None else None
    more = [Package(name="py-rattler", version="", wheel=installer)] if installer is not None else []
    return [*lock.packages, *archives, *more]
