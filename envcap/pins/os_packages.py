"""Bring the files of the operating system's packages into the cache, each checked against the lock."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from envcap.errors import NotRunError
from envcap.model.lock import OsPackage
from envcap.model.progress import Progress, Tell
from envcap.pins.download import Source, download
from envcap.pins.threads import Stop, run_each
from envcap.store import Store

if TYPE_CHECKING:
    import requests

_THREADS = 4
_MOVED_ON = (
    "Archives keep only the newest version. Take the file from a dated snapshot of the archive into the cache, "
    "copy the cache of the machine that froze, or freeze again."
)


def fetch_os_packages(
    packages: Sequence[OsPackage], *, cache: Store, session: requests.Session, tell: Tell
) -> dict[str, Path]:
    """Give the file of every package by its sha256, from the cache or its address.

    Raises RefusedError when a file is not what was frozen, NotRunError when it cannot be downloaded.
    """
    stop = Stop()

    def bring(package: OsPackage) -> Path:
        held = cache.find(package.sha256, package.file)
        if held is not None:
            return held
        source = Source(
            url=package.url,
            name=package.file,
            what=f"the OS package `{package.name}` {package.version}",
            sha256=package.sha256,
            size=package.size,
        )
        try:
            return download(source, session=session, cache=cache, stop=stop).path
        except NotRunError as error:
            raise NotRunError(error.message, hint=_MOVED_ON) from error

    files: dict[str, Path] = {}
    if packages:
        tell(Progress(kind="step", text=f"fetching {len(packages)} OS packages"))
    for package, path in run_each(bring, packages, threads=_THREADS, stop=stop):
        files[package.sha256] = path
        tell(Progress(kind="count", text="fetching OS packages", done=len(files), total=len(packages)))
    return files
