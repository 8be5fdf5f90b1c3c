"""How envcap reaches indexes and files: the plain way where nothing speaks against it, else as pip would."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, overload
from urllib.parse import urlsplit

from envcap import __version__
from envcap.errors import NotRunError
from envcap.pins.configuration import Configuration
from envcap.redact import strip_index

if TYPE_CHECKING:
    import ssl
    from types import TracebackType

    import requests

    from envcap.pins.direct import Reply, Server

_PORTS = {"https": 443, "http": 80}
_PIECE = 1 << 20
_LARGEST_PAGE = 1 << 28  # bytes; the largest on public indexes have some 30 MB
_PAGES = {200, 403, 404, 410}
_RANGES = {206}


class Connection:
    """Reads from servers with pip's configuration. Nothing is opened before it is needed. To be closed by its user.

    The plain way is taken where there is no proxy, no login and no netrc file. All else, and whatever does not end
    there with a plain answer, goes through the session, which knows retries, redirects and keyring.
    """

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self._session: requests.Session | None = None
        self._servers: dict[str, Server | None] = {}
        self._verifying: ssl.SSLContext | None = None
        self._lock = threading.Lock()
        self._special = configuration.proxy is not None or _proxy_in(os.environ) or _has_netrc()

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            self._session.close()
        for server in self._servers.values():
            if server is not None:
                server.close()

    @property
    def session(self) -> requests.Session:
        """The session that behaves as pip does; opened when it is first asked for."""
        with self._lock:
            if self._session is None:
                from envcap.pins.session import open_session

                self._session = open_session(self.configuration)
            return self._session

    def read(self, url: str, *, headers: dict[str, str]) -> Reply:
        """Give the answer with its whole body. Raises NotRunError when there is none."""
        plain = {"Accept-Encoding": "gzip", **headers}
        reply = self._read_plainly(url, plain, statuses=_PAGES, most=_LARGEST_PAGE)
        return reply if reply is not None else self._read_by_session(url, headers, most=_LARGEST_PAGE)

    def read_range(self, url: str, extent: str) -> Reply | None:
        """Give the bytes that `extent` names as the Range header does, or None where the server gives no range.

        Raises NotRunError when there is no answer.
        """
        headers = {"Range": extent, "Accept-Encoding": "identity"}
        most = _most(extent)  # no more than was asked for: the server may go on without end
        reply = self._read_plainly(url, headers, statuses=_RANGES, most=most)
        reply = reply if reply is not None else self._read_by_session(url, headers, statuses=_RANGES, most=most)
        return reply if reply is not None and reply.status in _RANGES else None

    def _read_plainly(self, url: str, headers: dict[str, str], *, statuses: Collection[int], most: int) -> Reply | None:
        server = self._server(url)
        if server is None:
            return None
        return server.get(url, {"User-Agent": f"envcap/{__version__}", **headers}, statuses=statuses, most=most)

    @overload
    def _read_by_session(self, url: str, headers: dict[str, str], *, most: int) -> Reply: ...
    @overload
    def _read_by_session(
        self, url: str, headers: dict[str, str], *, statuses: Collection[int], most: int
    ) -> Reply | None: ...
    def _read_by_session(
        self, url: str, headers: dict[str, str], *, statuses: Collection[int] | None = None, most: int
    ) -> Reply | None:
        """Give the answer, or None where it has none of the `statuses`: then its body is not read."""
        import requests
        import urllib3

        from envcap.pins.direct import Reply
        from envcap.pins.session import explain

        try:
            with self.session.get(url, headers=headers, stream=True) as response:
                if statuses is not None and response.status_code not in statuses:
                    return None
                return Reply(
                    status=response.status_code,
                    reason=response.reason or "",
                    url=response.url,
                    headers={name.lower(): value for name, value in response.headers.items()},
                    body=_body(response, url=url, most=most),
                )
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise explain(error, url=strip_index(url)) from error

    def _server(self, url: str) -> Server | None:
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        with self._lock:
            if origin not in self._servers:
                self._servers[origin] = self._open(parts.scheme, parts.hostname or "", parts.port, "@" in parts.netloc)
            return self._servers[origin]

    def _open(self, scheme: str, host: str, port: int | None, has_login: bool) -> Server | None:  # noqa: FBT001
        """Give the server of an origin, or None where the plain way may not be taken to it."""
        from envcap.pins.direct import Server

        known = [*self.configuration.indexes, *self.configuration.find_links]
        logins = {urlsplit(place.url).hostname for place in known if place.login is not None}
        if self._special or has_login or host in logins or scheme not in _PORTS or not host.isascii():
            return None
        return Server(
            host=host,
            port=port or _PORTS[scheme],
            context=self._context(host, port) if scheme == "https" else None,
            timeout=self.configuration.timeout,
        )

    def _context(self, host: str, port: int | None) -> ssl.SSLContext:
        from envcap.pins.tls import is_trusted, trusting, verifying

        if is_trusted(self.configuration, host=host, port=port):
            return trusting(self.configuration)
        if self._verifying is None:
            self._verifying = verifying(self.configuration)
        return self._verifying


def _body(response: requests.Response, *, url: str, most: int) -> bytes:
    """Give the whole body, unpacked. Raises NotRunError when it is larger than it may be.

    `content` of requests gathers it in pieces of 10 KiB, which takes long for pages of some megabytes.
    """
    pieces: list[bytes] = []
    total = 0
    while piece := response.raw.read(min(_PIECE, most - total + 1), decode_content=True):
        pieces.append(piece)
        total += len(piece)
        if total > most:
            raise NotRunError(
                f"`{strip_index(url)}` cannot be read: it answers with more than any page of an index has.",
                hint="`pip config list` shows which index pip uses.",
            )
    return b"".join(pieces)


def _most(extent: str) -> int:
    """Give how many bytes a request for `bytes=FIRST-LAST` or `bytes=-COUNT` may be answered with."""
    first, _, last = extent.removeprefix("bytes=").partition("-")
    return int(last) - int(first) + 1 if first else int(last)


def _proxy_in(variables: os._Environ[str]) -> bool:
    return any(
        value and name.lower().endswith("_proxy") and name.lower() != "no_proxy" for name, value in variables.items()
    )


def _has_netrc() -> bool:
    """Tell whether a netrc file might know a login: the places are those that requests looks in."""
    named = os.environ.get("NETRC")
    places = [named] if named else ["~/.netrc", "~/_netrc"]
    return any(Path(place).expanduser().exists() for place in places)
