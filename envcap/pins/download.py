"""Bringing wheels to this machine, each checked against what was frozen. Nothing unchecked is ever kept."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from envcap.errors import NotRunError, RefusedError
from envcap.model.lock import Package, Wheel
from envcap.model.progress import Progress, Tell, say_nothing
from envcap.model.struct import Data
from envcap.redact import strip_credentials
from envcap.store import STORE_FOLDER, Incoming, Store, file_sha256
from envcap.threads import Stop, run_each

if TYPE_CHECKING:
    import requests

_THREADS = 4
_PIECE = 1 << 18
_MEGABYTE = 1_000_000
_LARGE = 50 * _MEGABYTE  # from here on the bytes of a single file are told
_TELL_EVERY = 4 * _MEGABYTE
_WHOLE, _PART, _NO_SUCH_RANGE = 200, 206, 416
_ATTEMPTS = 3  # of a transfer that breaks off; refused connections are the session's to repeat
_CHANGED = (
    "Somebody replaced the file after the freeze. Freeze again if you trust the new one, else find the frozen one."
)


class Received(Data, frozen=True, kw_only=True):
    """A file that has arrived. `size` in bytes."""

    path: Path
    sha256: str
    size: int


class Source(Data, frozen=True, kw_only=True):
    """What to download: `name` to keep it under, `what` to call it in messages, digest and bytes where known."""

    url: str
    name: str
    what: str
    sha256: str | None = None
    size: int | None = None


class _BrokenOffError(Exception):
    """A transfer ended early."""


def fetch(
    packages: Sequence[Package], *, cache: Store, lock_folder: Path, session: requests.Session, tell: Tell
) -> dict[str, Path]:
    """Give the file of every package by its sha256: carried ones beside the lock, the others in `cache`.

    Raises RefusedError when a file is missing from the store, is not what was frozen, or the lock names a place that
    it may not; NotRunError when a file cannot be downloaded.
    """
    for package in packages:
        _check_wheel(package.wheel)
    carried = [package for package in packages if package.wheel.path is not None]
    files = {package.wheel.sha256: _carried(package, lock_folder) for package in carried}
    stop = Stop()

    def bring(package: Package) -> Path:
        wheel = package.wheel
        held = cache.find(wheel.sha256, wheel.name)
        if held is not None:
            return held
        source = Source(
            url=wheel.url or "",
            name=wheel.name,
            what=f"`{package.name}` {package.version}",
            sha256=wheel.sha256,
            size=wheel.size,
        )
        return download(source, session=session, cache=cache, stop=stop, tell=tell).path

    distant = [package for package in packages if package.wheel.path is None]
    for package, path in run_each(bring, distant, threads=_THREADS, stop=stop):
        files[package.wheel.sha256] = path
        tell(Progress(kind="count", text="fetching packages", done=len(files), total=len(packages)))
    return files


def are_here(packages: Sequence[Package], *, cache: Store) -> bool:
    """Tell whether nothing is to be downloaded for these packages. Raises RefusedError as `fetch` does for a lock."""
    for package in packages:
        _check_wheel(package.wheel)
    return all(one.wheel.path is not None or cache.find(one.wheel.sha256, one.wheel.name) for one in packages)


def download(
    source: Source,
    *,
    session: requests.Session,
    cache: Store,
    stop: Stop | None = None,
    tell: Tell = say_nothing,
) -> Received:
    """Give the file, kept in `cache`, after its size and sha256 were checked where they are known.

    Of a file whose sha256 is known, what arrived before a failure stays beside the cache's files and is gone on with,
    and of several processes that want it only one downloads it.

    Raises RefusedError when they differ, NotRunError when the file cannot be had.
    """
    stop = stop or Stop()
    if source.sha256 is None:
        return _repeat(lambda: _attempt(source, session=session, cache=cache, stop=stop, tell=tell), source)

    def say_waiting() -> None:
        tell(Progress(kind="notice", text=f"waiting for another envcap, which fetches {source.what}"))

    with cache.reserve(source.sha256, waiting=say_waiting):
        held = cache.find(source.sha256, source.name)  # the one that we waited for may have brought it
        if held is not None:
            return Received(path=held, sha256=source.sha256, size=held.stat().st_size)
        return _repeat(lambda: _attempt(source, session=session, cache=cache, stop=stop, tell=tell), source)


def _repeat(attempt: Callable[[], Received], source: Source) -> Received:
    for _ in range(_ATTEMPTS - 1):
        with suppress(_BrokenOffError):
            return attempt()
    try:
        return attempt()
    except _BrokenOffError as error:
        raise NotRunError(
            f"{source.what} cannot be downloaded from `{strip_credentials(source.url)}`: {error}.",
            hint="Is the network stable? Run the same command again: what has arrived is kept.",
        ) from error


def _attempt(source: Source, *, session: requests.Session, cache: Store, stop: Stop, tell: Tell) -> Received:
    """Download once, from where an earlier attempt broke off. Raises _BrokenOffError when it may be tried again."""
    import requests
    import urllib3

    from envcap.pins.session import explain, explain_status

    _go_on(stop)
    opened = cache.resume(source.sha256, source.name) if source.sha256 else cache.receive(source.name)
    with opened as incoming:
        try:
            response = session.get(source.url, headers=_ask_for_rest(incoming, source, cache), stream=True)
        except requests.RequestException as error:
            raise explain(error, url=source.url) from error
        with response:
            if response.status_code == _NO_SUCH_RANGE and incoming.size:
                incoming.start_over()
                raise _BrokenOffError("the server no longer has the file that was begun")
            if response.status_code not in {_WHOLE, _PART}:
                raise explain_status(response.status_code, response.reason or "", url=source.url)
            begun = _begin(response, incoming, source, cache)
            # urllib3 can shut the socket of a response since 2.3; without it a stalled thread is left behind.
            wake = getattr(response.raw, "shutdown", response.close)
            with stop.waking(wake):
                try:
                    _take(response, incoming, source, stop=stop, tell=tell)
                except (urllib3.exceptions.HTTPError, ConnectionError, TimeoutError) as error:
                    raise _BrokenOffError(f"the transfer broke off after {incoming.size} bytes") from error
        try:
            _check(incoming, source)
        except RefusedError as error:
            incoming.start_over()  # neither is kept, nor gone on with
            if begun:
                raise _BrokenOffError("what was begun does not fit to the rest") from error
            raise
    return Received(path=cache.path(incoming.sha256, source.name), sha256=incoming.sha256, size=incoming.size)


def _ask_for_rest(incoming: Incoming, source: Source, cache: Store) -> dict[str, str]:
    """Give the headers: for what is missing only, if the file is still the one that was begun (RFC 9110, 13.1.5)."""
    headers = {"Accept-Encoding": "identity"}
    mark = cache.validator(source.sha256) if source.sha256 else None
    if not incoming.size or mark is None or not mark.is_file():
        return headers
    return {**headers, "Range": f"bytes={incoming.size}-", "If-Range": mark.read_text(encoding="latin-1")}


def _begin(response: requests.Response, incoming: Incoming, source: Source, cache: Store) -> bool:
    """Note which file the server gives; tell whether it gives the rest of the one that was begun."""
    stated = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
    if response.status_code == _PART and stated is not None and int(stated[1]) == incoming.size:
        return True
    incoming.start_over()
    if response.status_code == _PART:
        if source.sha256:
            cache.abandon(source.sha256)
        raise _BrokenOffError("the server gives another part than was asked for")
    mark = response.headers.get("ETag", "")
    if mark.startswith("W/") or not mark:  # a weak one does not vouch for bytes
        mark = response.headers.get("Last-Modified", "")
    if source.sha256:
        cache.validator(source.sha256).unlink(missing_ok=True)
        if mark:
            cache.validator(source.sha256).write_text(mark, encoding="latin-1")
    return False


def _take(response: requests.Response, incoming: Incoming, source: Source, *, stop: Stop, tell: Tell) -> None:
    told = incoming.size
    for piece in _pieces(response):
        _go_on(stop)
        incoming.write(piece)
        if source.size is None:
            continue
        if incoming.size > source.size:
            return
        if source.size >= _LARGE and (incoming.size - told >= _TELL_EVERY or incoming.size == source.size):
            told = incoming.size
            done, total = incoming.size // _MEGABYTE, source.size // _MEGABYTE
            tell(Progress(kind="count", text=f"fetching {source.what}, MB", done=done, total=total))


def _pieces(response: requests.Response) -> Iterator[bytes]:
    while piece := response.raw.read(_PIECE, decode_content=True):
        yield piece


def _go_on(stop: Stop) -> None:
    if stop.is_set():
        raise NotRunError("The download was stopped.")


def _check(incoming: Incoming, source: Source) -> None:
    """Raise RefusedError unless the file is the one that was frozen."""
    wrong = f"{source.what} from `{strip_credentials(source.url)}` is not the file that was frozen"
    if source.size is not None and incoming.size != source.size:
        found = "more" if incoming.size > source.size else str(incoming.size)
        raise RefusedError(f"{wrong}: it should have {source.size} bytes and has {found}.", hint=_CHANGED)
    if source.sha256 is not None and incoming.sha256 != source.sha256:
        raise RefusedError(f"{wrong}: its sha256 should be {source.sha256} and is {incoming.sha256}.", hint=_CHANGED)


def _check_wheel(wheel: Wheel) -> None:
    """Refuse what would lead us out of the store, the cache or the web."""
    plain = (
        PurePosixPath(wheel.name).name == wheel.name and wheel.name not in {"", ".", ".."} and "\\" not in wheel.name
    )
    if not plain or "\0" in wheel.name:
        raise RefusedError(f"The lock names a file `{wheel.name}`, which is not a plain file name.")
    if re.fullmatch(r"[0-9a-f]{64}", wheel.sha256) is None:
        raise RefusedError(f"The lock gives `{wheel.name}` the sha256 `{wheel.sha256}`, which is not one.")
    if wheel.path is None and urlsplit(wheel.url or "").scheme not in {"https", "http"}:
        raise RefusedError(
            f"The lock takes `{wheel.name}` from `{strip_credentials(wheel.url or '')}`: only http and https may be."
        )


def _carried(package: Package, lock_folder: Path) -> Path:
    """Give the carried file of a package, checked."""
    stated = package.wheel.path or ""
    parts = PurePosixPath(stated).parts
    store = lock_folder / STORE_FOLDER
    path = lock_folder.joinpath(*parts)
    inside = parts[: len(PurePosixPath(STORE_FOLDER).parts)] == PurePosixPath(STORE_FOLDER).parts and ".." not in parts
    if not inside or not path.resolve().is_relative_to(store.resolve()):
        raise RefusedError(f"The lock takes `{package.name}` from `{stated}`, which is not below `{STORE_FOLDER}`.")
    found = file_sha256(path) if path.is_file() else None
    if found != package.wheel.sha256:
        wrong = "is missing" if found is None else f"should have the sha256 {package.wheel.sha256} and has {found}"
        raise RefusedError(
            f"The carried file of `{package.name}` {package.version} {wrong}: `{stated}`.",
            hint="The folder `.envcap` belongs to the lock: copy it along with the lock, or freeze again.",
        )
    return path
