"""Looking into wheels where they are: on this machine, in the cache, or at a server, by ranges where it serves them."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit

import msgspec

from envcap.atomic import write_cached
from envcap.errors import NotRunError, RefusedError
from envcap.pins.connection import Connection
from envcap.pins.download import Received, Source, download
from envcap.pins.pages import Offer
from envcap.pins.ranges import open_remote
from envcap.pins.record import Rows, wheel_rows
from envcap.redact import strip_credentials
from envcap.store import Store, file_sha256

_DIGEST = 64  # characters of a sha256 in hex


class Offered:
    """Reads offered wheels. `cache` keeps what was downloaded, and beside it the RECORDs that were read."""

    def __init__(self, *, connection: Connection, cache: Store) -> None:
        self._connection = connection
        self._cache = cache
        self._records = cache.root.with_name("records")

    def with_digest(self, offer: Offer, *, what: str) -> Offer:
        """Give the offer with its sha256: not every index states one. Raises NotRunError when it cannot be read."""
        if offer.sha256 is not None:
            return offer
        if offer.local:
            return msgspec.structs.replace(offer, sha256=file_sha256(local_path(offer.url)))
        received = self.download(offer, what=what)
        return msgspec.structs.replace(offer, sha256=received.sha256, size=received.size)

    def rows(self, offer: Offer, *, what: str) -> Rows:
        """Give the rows of the RECORD inside the wheel, none where it has no readable one.

        Those of a remote wheel whose sha256 is known are remembered: they never change. Raises NotRunError when the
        wheel cannot be read, FileRefusedError among it when the server has no such file for us.
        """
        if offer.local or offer.sha256 is None:
            with self.open(offer, what=what) as file:
                return wheel_rows(file)
        remembered = self._records / _key(offer)
        held = _remembered(remembered)
        if held is not None:
            return held
        with self.open(offer, what=what) as file:
            rows = wheel_rows(file)
        if rows:
            content = msgspec.json.encode(rows)
            with suppress(OSError):  # only the next freeze will take longer
                write_cached(remembered, hashlib.sha256(content).hexdigest().encode() + content)
        return rows

    @contextmanager
    def open(self, offer: Offer, *, what: str) -> Iterator[IO[bytes]]:
        """Give the wheel to read from. Raises as `rows` does."""
        held = None if offer.local else self._held(offer)
        remote = None if offer.local or held is not None else open_remote(offer.url, connection=self._connection)
        if remote is not None:
            with remote:
                yield remote
            return
        path = local_path(offer.url) if offer.local else held or self.download(offer, what=what).path
        with path.open("rb") as file:
            yield file

    def download(self, offer: Offer, *, what: str) -> Received:
        """Give the file, in the cache. Raises NotRunError when it cannot be had or is not what its sha256 says."""
        held = self._held(offer)
        if held is not None:
            return Received(path=held, sha256=offer.sha256 or "", size=held.stat().st_size)
        source = Source(url=offer.url, name=offer.filename, what=f"`{what}`", sha256=offer.sha256)
        try:
            return download(source, session=self._connection.session, cache=self._cache)
        except RefusedError as error:
            raise NotRunError(
                f"{source.what} from `{strip_credentials(offer.url)}` is not the file whose sha256 was noted down: "
                f"{offer.sha256}.",
                hint="Somebody replaced it, or a proxy in between serves another file.",
            ) from error

    def _held(self, offer: Offer) -> Path | None:
        return self._cache.find(offer.sha256, offer.filename) if offer.sha256 is not None else None


def local_path(url: str) -> Path:
    """Give the path of a `file:` URL."""
    return Path(unquote(urlsplit(url).path))


def _key(offer: Offer) -> str:
    """Give the name to remember a RECORD under. A server's word for a sha256 counts for what it serves alone."""
    return hashlib.sha256(f"{offer.sha256} {strip_credentials(offer.url)}".encode()).hexdigest()


def _remembered(path: Path) -> Rows | None:
    try:
        content = path.read_bytes()
    except OSError:
        return None
    if hashlib.sha256(content[_DIGEST:]).hexdigest().encode() != content[:_DIGEST]:
        return None
    return msgspec.json.decode(content[_DIGEST:], type=Rows)
