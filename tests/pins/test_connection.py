"""The plain way to a server is taken where it may be, and never gives another answer than the usual one."""

from __future__ import annotations

import gzip
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from envcap.errors import NotRunError
from envcap.pins.configuration import Configuration, place
from envcap.pins.connection import Connection

if TYPE_CHECKING:
    from tests.pins.conftest import Index

PAGE = ("text/html", b"<a href='demo-1.0-py3-none-any.whl'>x</a>")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give an empty home and no proxy, so that the plain way is open."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("NETRC", raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def connection() -> Iterator[Connection]:
    with Connection(Configuration(retries=1, timeout=5.0)) as opened:
        yield opened


def is_plain(connection: Connection) -> bool:
    return connection._session is None


def test_a_page_comes_the_plain_way(index: Index, connection: Connection) -> None:
    index.pages["demo"] = PAGE
    reply = connection.read(f"{index.simple}demo/", headers={"Accept": "text/html"})
    assert (reply.status, reply.body, reply.headers["content-type"]) == (200, PAGE[1], PAGE[0])
    assert connection.read(f"{index.simple}other/", headers={}).status == 404
    assert is_plain(connection)
    (_, _, headers), _ = index.asked
    assert (headers["accept"], headers["host"], headers["accept-encoding"]) == ("text/html", index.host, "gzip")


def test_what_the_plain_way_does_not_know_goes_the_usual_one(index: Index, connection: Connection) -> None:
    index.pages["demo"] = PAGE
    index.redirects["/simple/old/"] = "/simple/demo/"
    index.failing["/simple/demo/"] = 1
    reply = connection.read(f"{index.simple}old/", headers={})
    assert (reply.status, reply.url, reply.body) == (200, f"{index.simple}demo/", PAGE[1])
    assert not is_plain(connection)


@pytest.mark.parametrize("how", ["login", "netrc", "proxy", "variable"])
def test_where_more_is_needed_the_plain_way_is_closed(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    index.pages["demo"] = PAGE
    settings: dict[str, Any] = {}
    url = index.simple
    if how == "login":
        index.login = ("me", "c4n4ry")
        settings["indexes"] = [place(f"http://me:c4n4ry@{index.host}/simple/")]
    elif how == "netrc":
        index.login = ("me", "c4n4ry")
        (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password c4n4ry\n")
    elif how == "proxy":
        settings["proxy"], url = place(index.url), "http://i.example.org/simple/"
    else:
        monkeypatch.setenv("http_proxy", index.url)
        url = "http://i.example.org/simple/"
    with Connection(Configuration(retries=0, timeout=5.0, **settings)) as connection:
        reply = connection.read(f"{url}demo/", headers={})
        assert not is_plain(connection)
    assert reply.status == 200
    assert len(index.asked) == 1


def test_ranges(index: Index, connection: Connection) -> None:
    index.files["big.whl"] = bytes(range(100))
    reply = connection.read_range(f"{index.url}/files/big.whl", "bytes=-10")
    assert reply is not None
    assert (reply.body, reply.headers["content-range"]) == (bytes(range(90, 100)), "bytes 90-99/100")
    assert connection.read_range(f"{index.url}/files/gone.whl", "bytes=-10") is None
    index.ranges = False
    assert connection.read_range(f"{index.url}/files/big.whl", "bytes=-10") is None
    assert is_plain(connection)
    assert len(index.asked) == 3


def test_a_connection_that_the_server_has_closed_is_opened_again(make_index: Any, connection: Connection) -> None:
    index = make_index()
    index.pages["demo"] = PAGE
    for _ in range(3):
        assert connection.read(f"{index.simple}demo/", headers={}).status == 200
        (server,) = connection._servers.values()
        assert server is not None
        for kept in server._idle:
            assert kept.sock is not None
            kept.sock.shutdown(socket.SHUT_RDWR)
    assert is_plain(connection)


def test_the_name_of_a_host_is_looked_up_once(
    index: Index, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.pages["demo"] = PAGE
    asked = []
    really = socket.getaddrinfo

    def look_up(*words: Any, **more: Any) -> Any:
        asked.append(words)
        return really(*words, **more)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with ThreadPoolExecutor(8) as several:
        replies = list(several.map(lambda _: connection.read(f"{index.simple}demo/", headers={}), range(40)))
    assert [reply.body for reply in replies] == [PAGE[1]] * 40
    assert len(asked) == 1


def test_a_packed_page_is_unpacked(connection: Connection, one_answer: Any) -> None:
    body = gzip.compress(PAGE[1])
    url = one_answer(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    assert connection.read(url, headers={}).body == PAGE[1]
    assert is_plain(connection)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        b"no HTTP at all\r\n\r\n",
        b"",
    ],
)
def test_a_broken_answer_is_an_error_of_the_usual_way(connection: Connection, one_answer: Any, answer: bytes) -> None:
    with pytest.raises(NotRunError, match="cannot be read"):
        connection.read(one_answer(answer), headers={})


@pytest.fixture
def one_answer() -> Iterator[Any]:
    """Give a function that starts a server which gives the same bytes to everybody and hangs up."""
    import threading

    servers: list[socket.socket] = []

    def serve(server: socket.socket, answer: bytes) -> None:
        while True:
            try:
                peer, _ = server.accept()
            except OSError:
                return
            with peer:
                peer.recv(65536)
                peer.sendall(answer)

    def start(answer: bytes) -> str:
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)
        threading.Thread(target=serve, args=(server, answer), daemon=True).start()
        return f"http://127.0.0.1:{server.getsockname()[1]}/simple/demo/"

    yield start
    for server in servers:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
