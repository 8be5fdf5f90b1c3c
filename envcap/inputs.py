"""The files of a build context: fetched, checked against the lock, and laid into a folder."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from envcap.model.image import Context
from envcap.model.layout import CODE_ARCHIVE, CONDA_EDITS
from envcap.model.lock import Lock, Package
from envcap.model.progress import Progress, Tell
from envcap.places import download_cache, lock_store


@contextmanager
def written(context: Context, lock: Lock, project: Path, *, environ: Mapping[str, str], tell: Tell) -> Iterator[Path]:
    """Write the whole context to a folder that is gone afterwards. Files are linked from the cache where possible."""
    from envcap.pins.declared import read_every_index
    from envcap.pins.download import fetch
    from envcap.pins.os_packages import fetch_os_packages
    from envcap.pins.session import open_session

    cache = download_cache(environ)
    cache.root.mkdir(parents=True, exist_ok=True)
    packages = [*lock.packages, *_conda_archives(lock)]
    tell(Progress(kind="step", text=f"fetching {len(packages)} packages"))
    configuration = read_every_index(Path(sys.executable), project=project, environ=environ)
    with closing(open_session(configuration)) as session:
        files = fetch(packages, cache=cache, lock_folder=project, session=session, tell=tell)
        named = {file.sha256 for file in context.files}
        debs = [package for package in lock.os_packages.packages if package.sha256 in named] if lock.os_packages else []
        files.update(fetch_os_packages(debs, cache=cache, session=session, tell=tell))
    if lock.conda_prefix is not None and lock.conda_prefix.edits is not None:
        edits = lock.conda_prefix.edits
        files[edits] = lock_store(project).require(edits, CONDA_EDITS, what="The edited conda files")
    files[lock.code.archive] = lock_store(project).require(lock.code.archive, CODE_ARCHIVE, what="The code")
    with tempfile.TemporaryDirectory(prefix="context-", dir=cache.root) as name:
        folder = Path(name)
        for file in context.files:
            target = folder / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            if file.content is not None:
                target.write_bytes(file.content)
            elif file.sha256 is not None:
                _link_or_copy(files[file.sha256], target)
        yield folder


def _conda_archives(lock: Lock) -> list[Package]:
    """Give conda's archives, and the wheel that installs them, as downloads know packages."""
    archives = [Package(name=one.name, version=one.version, wheel=one.archive) for one in lock.conda]
    installer = lock.conda_prefix.installer if lock.conda_prefix is not None else None
    return archives + ([Package(name="py-rattler", version="", wheel=installer)] if installer is not None else [])


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)
