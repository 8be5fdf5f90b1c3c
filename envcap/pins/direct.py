"""The plain way to a server: GET over kept connections, of which each thread takes one that is free.

A library that knows proxies, logins, redirects and repeats takes a millisecond of one core for each request, and an
environment needs hundreds. Here is only what most of them need; whatever is not plain is left to the caller's session,
and so is every failure.
"""

import http.client
import socket
import ssl
import threading
import zlib
from collections.abc import Collection
from urllib.parse import urlsplit

from envcap.model.struct import Data

_GZIP = 31  # zlib's word for a gzip stream with the largest window
_SETTLED = {200, 403, 404, 410}  # whoever asks again will be told the same
_FAILURES = (OSError, http.client.HTTPException, ValueError, zlib.error)


class Reply(Data, frozen=True, kw_only=True):
    """What a server answered. `headers` have names in lower case, `url` is where the body came from in the end."""

    status: int
    reason: str
    url: str
    headers: dict[str, str]
    body: bytes


class _Kept(http.client.HTTPConnection):
    """A connection to one of the addresses of a host, with TLS where there is a context."""

    def __init__(self, server: "Server") -> None:
        super().__init__(server.host, server.port, timeout=server.timeout)
        self.default_port = 443 if server.context is not None else 80  # what Host leaves unsaid
        self._server = server

    def connect(self) -> None:
        """Connect as http.client does, without asking for the host's addresses each time."""
        sock = self._server.open_socket()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        context = self._server.context
        self.sock = sock if context is None else context.wrap_socket(sock, server_hostname=self.host)


class Server:
    """One origin (scheme, host and port), and the connections to it that nobody uses at the moment."""

    def __init__(self, *, host: str, port: int, context: ssl.SSLContext | None, timeout: float) -> None:
        self.host, self.port, self.context, self.timeout = host, port, context, timeout
        self._idle: list[_Kept] = []
        self._addresses: list[tuple[socket.AddressFamily, tuple[str, int]]] = []
        self._lock = threading.Lock()

    def get(self, url: str, headers: dict[str, str], *, statuses: Collection[int]) -> Reply | None:
        """Give the answer with its body unpacked, or None where that fails or is not settled: ask another way then.

        Of an answer that has none of the `statuses` the body is not read: it may be a file of gigabytes.
        """
        parts = urlsplit(url)
        target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        # The server may have closed a kept connection meanwhile; a new one tells whether it is more than that.
        for _ in range(2):
            kept = self._take()
            fresh = kept.sock is None
            try:
                kept.request("GET", target, headers=headers)
                response = kept.getresponse()
                if response.status in statuses:
                    reply = _reply(response, url=url, body=response.read())
                else:
                    kept.close()
                    return _reply(response, url=url, body=b"") if response.status in _SETTLED else None
            except _FAILURES as error:
                kept.close()
                if fresh or isinstance(error, TimeoutError):
                    return None
                continue
            with self._lock:
                self._idle.append(kept)
            return reply
        return None

    def close(self) -> None:
        """Close the connections that nobody uses."""
        with self._lock:
            while self._idle:
                self._idle.pop().close()

    def open_socket(self) -> socket.socket:
        """Give a connected socket. The name is looked up once: eight look-ups at once lose replies. Raises OSError."""
        with self._lock:
            if not self._addresses:
                found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
                self._addresses = [(family, address[:2]) for family, _, _, _, address in found]  # type: ignore[misc]
        failure: OSError | None = None
        for family, address in self._addresses:
            sock = socket.socket(family, socket.SOCK_STREAM)
            sock.settimeout(self.timeout)
            try:
                sock.connect(address)
                return sock
            except OSError as error:
                sock.close()
                failure = error
        raise failure or OSError(f"no address of {self.host}")

    def _take(self) -> _Kept:
        with self._lock:
            return self._idle.pop() if self._idle else _Kept(self)


def _reply(response: http.client.HTTPResponse, *, url: str, body: bytes) -> Reply:
    headers = {name.lower(): value for name, value in response.getheaders()}
    unpacked = _unpacked(body, headers) if body else b""
    return Reply(status=response.status, reason=response.reason, url=url, headers=headers, body=unpacked)


def _unpacked(body: bytes, headers: dict[str, str]) -> bytes:
    """Give the body without its content encoding. Raises ValueError for one that nobody asked for."""
    match headers.get("content-encoding", "identity").lower():
        case "identity":
            return body
        case "gzip":
            return zlib.decompress(body, _GZIP)
        case other:
            raise ValueError(other)
