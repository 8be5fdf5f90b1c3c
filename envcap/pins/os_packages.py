"""Bring the files of the operating system's packages into the cache, each checked against the lock."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import structs

from envcap.errors import NotRunError, RefusedError, WrongUsageError
from envcap.model.lock import OsPackage
from envcap.model.progress import Progress, Tell
from envcap.pins.download import Source, download
from envcap.redact import strip_credentials
from envcap.store import Store
from envcap.threads import Stop, run_each

if TYPE_CHECKING:
    import requests

_THREADS = 4
_MOVED_ON = (
    "Archives keep only the newest version. ENVCAP_SNAPSHOT_DEBIAN or ENVCAP_SNAPSHOT_UBUNTU with the address of the "
    "distribution's dated snapshots lets it be taken from there; or build from a capsule, or freeze again."
)
# An archive's folder below any mirror, and the variable with the address of its dated snapshots: the folders of the
# archives are below it, and in each the state at a time or just before.
_POOL = re.compile(r"/(?P<archive>debian|debian-security|ubuntu)/(?P<path>pool/[!-~]+)$")
_SERVICES = {
    "debian": "ENVCAP_SNAPSHOT_DEBIAN",
    "debian-security": "ENVCAP_SNAPSHOT_DEBIAN",
    "ubuntu": "ENVCAP_SNAPSHOT_UBUNTU",
}


def fetch_os_packages(
    packages: Sequence[OsPackage],
    *,
    frozen_at: str,
    cache: Store,
    session: requests.Session,
    environ: Mapping[str, str],
    tell: Tell,
) -> dict[str, Path]:
    """Give the file of every package by its sha256: from the cache, its address, or the archive as it was then.

    `frozen_at` is the lock's time. Raises RefusedError when a file is not what was frozen, NotRunError when it cannot
    be downloaded.
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
            return download(source, session=session, cache=cache, stop=stop, tell=tell).path
        except (NotRunError, RefusedError) as error:
            dated = snapshot_address(package.url, frozen_at=frozen_at, environ=environ)
            if dated is None or stop.is_set():
                raise type(error)(error.message, hint=_MOVED_ON) from error
            first = error
        tell(Progress(kind="notice", text=f"{source.what} is no longer in its archive; taking it from the snapshot"))
        try:
            return download(structs.replace(source, url=dated), session=session, cache=cache, stop=stop, tell=tell).path
        except (NotRunError, RefusedError) as error:
            both = f"{first.message} Nor is it in the snapshot of the archive: {error.message}"
            raise type(error)(both, hint=_MOVED_ON) from error

    files: dict[str, Path] = {}
    if packages:
        tell(Progress(kind="step", text=f"fetching {len(packages)} OS packages"))
    for package, path in run_each(bring, packages, threads=_THREADS, stop=stop):
        files[package.sha256] = path
        tell(Progress(kind="count", text="fetching OS packages", done=len(files), total=len(packages)))
    return files


def snapshot_service(packages: Sequence[OsPackage], *, environ: Mapping[str, str]) -> str | None:
    """Give the address of the dated snapshots of the archive that packages are from, or None where none is named.

    Raises WrongUsageError for one with credentials: it comes into the history of an image.
    """
    for package in packages:
        match = _POOL.search(package.url)
        service = environ.get(_SERVICES[match["archive"]]) if match is not None else None
        if match is not None and service:
            if strip_credentials(service) != service:
                raise WrongUsageError(
                    f"{_SERVICES[match['archive']]} holds credentials, which would stay in the image.",
                    hint="Hand the address in with `--secret snapshot=FILE`, which no layer keeps.",
                )
            return service.rstrip("/")
    return None


def snapshot_address(url: str, *, frozen_at: str, environ: Mapping[str, str]) -> str | None:
    """Give where a file of the archive is in the dated snapshot of `frozen_at` (RFC 3339, UTC), or None.

    A file keeps its path below `pool/`, whichever mirror it came from; other archives have no snapshots, and none
    are known where no variable names them. Raises WrongUsageError when that variable holds no address.
    """
    match = _POOL.search(url)
    time = re.fullmatch(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)Z", frozen_at)
    if match is None or time is None:
        return None
    variable = _SERVICES[match["archive"]]
    service = environ.get(variable)
    if not service:
        return None
    if not service.startswith(("https://", "http://")):
        raise WrongUsageError(f"{variable} is `{strip_credentials(service)}`, which is no web address.")
    year, month, day, hour, minute, second = time.groups()
    return f"{service.rstrip('/')}/{match['archive']}/{year}{month}{day}T{hour}{minute}{second}Z/{match['path']}"
