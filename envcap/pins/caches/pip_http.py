"""The answers of servers that pip has kept: index pages and wheels, found by their address.

The layout is that of `SafeFileCache` in pip's network/cache.py (pip 23.3 and newer, folder `http-v2`): the sha224 of
the address, its first five digits as folders; what was answered in a msgpack document behind `cc=4,`, and the body in
a file beside it, as it came over the wire.
"""

import hashlib
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import msgspec

from envcap.errors import NotRunError
from envcap.model.struct import Data
from envcap.pins.pages import JSON, Offer, Wanted, read_html, read_json, wheels_of

_FORMAT = b"cc=4,"
_GZIP = 31  # zlib's word for a gzip stream with the largest window
_ZIP = b"PK\x03\x04"


class _Kept(Data, frozen=True, kw_only=True):
    kind: str  # media type without parameters
    body: bytes


class PipAnswers:
    """What pip has kept below the folder `http-v2` of its cache."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def offers(self, index: str, wanted: Wanted, *, public: str) -> list[Offer]:
        """Give the wheels of a release that the kept page of its project lists, none where there is no such page."""
        url = f"{index.rstrip('/')}/{quote(wanted.name)}/"
        kept = self._page(url)
        if kept is None:
            return []
        try:
            if kept.kind == JSON:
                return read_json(kept.body, wanted=wanted, url=url, index=public)
            return wheels_of(wanted, read_html(kept.body, url=url, encoding=None, index=public))
        except NotRunError:
            return []  # damaged; a cache is nobody's word

    def file(self, url: str) -> Path | None:
        """Give the body that was kept for an address."""
        body = self._path(url).with_suffix(".body")
        return body if body.is_file() else None

    def archives(self) -> Iterator[Path]:
        """Give every kept body that is a zip archive, in a fixed order."""
        for path in sorted(self._folder.glob("*/*/*/*/*/*.body")):
            try:
                with path.open("rb") as file:
                    is_zip = file.read(len(_ZIP)) == _ZIP
            except OSError:
                continue
            if is_zip:
                yield path

    def _page(self, url: str) -> _Kept | None:
        path = self._path(url)
        try:
            head, body = path.read_bytes(), path.with_suffix(".body").read_bytes()
            if not head.startswith(_FORMAT):
                return None
            document: dict[str, Any] = msgspec.msgpack.decode(head.removeprefix(_FORMAT))
            response = document["response"]
            headers = {str(name).lower(): str(value) for name, value in response["headers"].items()}
            if response["status"] != 200:
                return None
            if headers.get("content-encoding", "").lower() == "gzip":
                body = zlib.decompress(body, _GZIP)
        except (OSError, msgspec.MsgspecError, zlib.error, KeyError, TypeError, AttributeError, UnicodeDecodeError):
            return None
        return _Kept(kind=headers.get("content-type", "").partition(";")[0].strip().lower(), body=body)

    def _path(self, url: str) -> Path:
        key = hashlib.sha224(_normalised(url).encode(errors="surrogateescape")).hexdigest()
        return self._folder.joinpath(*key[:5], key)


def _normalised(url: str) -> str:
    """Give the address as pip's `_urlnorm` spells it: scheme and host in lower case, a path, no fragment."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme.lower(), parts.netloc.lower(), parts.path or "/", parts.query, ""))
