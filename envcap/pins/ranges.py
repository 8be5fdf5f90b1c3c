"""A remote file as a seekable local one, by HTTP range requests (RFC 9110, section 14)."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any, BinaryIO

from envcap.errors import NotRunError
from envcap.redact import strip_credentials

if TYPE_CHECKING:
    import requests

_TAIL = 65536  # the end of a wheel: the table of contents and, as a rule, RECORD
_BLOCK = 65536
_CONTENT_RANGE = re.compile(r"bytes (?P<first>[0-9]{1,18})-(?P<last>[0-9]{1,18})/(?P<total>[0-9]{1,18})")


class RangedFile(io.RawIOBase):
    """Reads pieces of a URL as they are asked for, and keeps the last two: the end of the file and the last block."""

    def __init__(self, url: str, *, session: requests.Session, tail: bytes, total: int) -> None:
        super().__init__()
        self._url = url
        self._session = session
        self._tail = (total - len(tail), tail)
        self._block = (0, b"")
        self._total = total
        self._position = 0

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that it can be read at any place."""
        return True

    def tell(self) -> int:
        """Give the position in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move as files do; give the new position."""
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._total}[whence]
        if origin + offset < 0:
            raise ValueError("negative seek position")
        self._position = origin + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer` from the position on; give the number of bytes. Raises NotRunError when the server fails."""
        wanted = min(len(buffer), self._total - self._position)
        if wanted <= 0:
            return 0
        start, held = next(
            (part for part in (self._tail, self._block) if part[0] <= self._position < part[0] + len(part[1])),
            (0, b""),
        )
        if not held:
            last = min(self._position + max(wanted, _BLOCK), self._total) - 1
            start, held = self._position, self._fetch(self._position, last)
            self._block = (start, held)
        piece = held[self._position - start : self._position - start + wanted]
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)

    def _fetch(self, first: int, last: int) -> bytes:
        answer = _ask(self._url, f"bytes={first}-{last}", session=self._session)
        if answer is None or answer[0] != first or not answer[1]:
            raise NotRunError(f"`{strip_credentials(self._url)}` cannot be read: the server stopped serving ranges.")
        return answer[1]


def open_remote(url: str, *, session: requests.Session) -> BinaryIO | None:
    """Give the remote file, or None where the server does not serve ranges of it.

    Raises NotRunError when the server cannot be reached.
    """
    answer = _ask(url, f"bytes=-{_TAIL}", session=session)
    if answer is None:
        return None
    first, tail, total = answer
    if first + len(tail) != total:
        return None
    return io.BufferedReader(RangedFile(url, session=session, tail=tail, total=total))


def _ask(url: str, extent: str, *, session: requests.Session) -> tuple[int, bytes, int] | None:
    """Give first byte, bytes and total size, or None where the answer is not a range."""
    import requests
    import urllib3

    from envcap.pins.session import explain

    try:
        with session.get(url, headers={"Range": extent, "Accept-Encoding": "identity"}, stream=True) as response:
            match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
            if response.status_code != 206 or match is None:
                return None
            first, last = int(match["first"]), int(match["last"])
            # No more than was asked for: the server may go on without end.
            piece = response.raw.read(min(last - first + 1, _most(extent))) if first <= last else b""
            return first, piece, int(match["total"])
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise explain(error, url=url) from error


def _most(extent: str) -> int:
    """Give how many bytes a request for `bytes=FIRST-LAST` or `bytes=-COUNT` may be answered with."""
    first, _, last = extent.removeprefix("bytes=").partition("-")
    return int(last) - int(first) + 1 if first else int(last)
