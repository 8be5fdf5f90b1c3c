"""Logins, certificates and proxies, against real servers on loopback."""

from __future__ import annotations

import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from envcap.errors import NotRunError
from envcap.pins.configuration import Configuration, place
from envcap.pins.connection import Connection
from envcap.pins.index import look_up
from envcap.pins.pages import Offer, Wanted

if TYPE_CHECKING:
    from tests.pins.conftest import Index, MakeWheel

CANARY = "c4n4ry-s3cret"
DEMO = Wanted(name="demo", version="1.0")


def ask(*indexes: str, **settings: Any) -> list[Offer]:
    configuration = Configuration(indexes=[place(index) for index in indexes], retries=0, timeout=5.0, **settings)
    with Connection(configuration) as connection:
        return look_up([DEMO], connection=connection, tell=lambda _: None)[DEMO].offers


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give an empty home, so that nobody's own logins count."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("NETRC", raising=False)
    return folder


@pytest.fixture
def closed(index: Index, make_wheel: MakeWheel) -> Index:
    """Give an index that wants a login."""
    index.add(make_wheel("demo", "1.0"))
    index.login = ("me@work", CANARY)
    return index


def test_the_login_in_the_configured_url(closed: Index) -> None:
    (offer,) = ask(f"http://me%40work:{CANARY}@{closed.host}/simple/")
    assert CANARY not in repr(offer)
    assert len(closed.asked) == 1


def test_netrc(closed: Index, home: Path) -> None:
    (home / ".netrc").write_text(f"machine 127.0.0.1 login me@work password {CANARY}\n")
    (home / ".netrc").chmod(0o600)
    assert len(ask(closed.simple)) == 1
    assert len(ask(f"http://somebody@{closed.host}/simple/")) == 1  # a user without a password asks netrc, as in pip


def test_a_wrong_login_is_an_error_that_does_not_show_it(closed: Index) -> None:
    closed.login = ("me", "other")
    with pytest.raises(NotRunError, match="HTTP 401") as caught:
        ask(f"http://me:{CANARY}@{closed.host}/simple/")
    assert CANARY not in caught.value.message + caught.value.hint


def _write_keyring(folder: Path, log: Path, answer: str) -> None:
    folder.mkdir()
    script = folder / "keyring"
    script.write_text(f"#!/bin/sh\necho \"$@\" >> '{log}'\ncat <<'END'\n{answer}\nEND\n")
    script.chmod(0o755)


@pytest.mark.parametrize("user", ["", "me@work"])
def test_the_keyring_command(closed: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: str) -> None:
    log = tmp_path / "asked"
    answer = CANARY if user else json.dumps({"username": "me@work", "password": CANARY})
    _write_keyring(tmp_path / "bin", log, answer)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    address = f"http://{'me%40work@' if user else ''}{closed.host}/simple/"
    assert len(ask(address, keyring="subprocess")) == 1
    words = f"get {closed.simple} {user}" if user else f"--mode=creds --output=json get {closed.simple}"
    assert log.read_text().splitlines() == [words]


def test_a_disabled_keyring_is_not_asked(closed: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "asked"
    _write_keyring(tmp_path / "bin", log, CANARY)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    with pytest.raises(NotRunError, match="HTTP 401"):
        ask(closed.simple, keyring="disabled")
    assert not log.exists()


def test_keyring_that_knows_nothing(closed: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write_keyring(tmp_path / "bin", tmp_path / "asked", "")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    with pytest.raises(NotRunError, match="HTTP 401"):
        ask(closed.simple, keyring="auto")


def test_a_login_does_not_follow_a_redirect_to_another_host(closed: Index, make_index: Any) -> None:
    other: Index = make_index()
    other.files = dict(closed.files)
    closed.login = None
    closed.redirects["/simple/demo/"] = f"{other.simple.replace('127.0.0.1', 'localhost')}demo/"
    assert len(ask(f"http://me:{CANARY}@{closed.host}/simple/")) == 1
    assert "authorization" in closed.asked[0][2]
    assert all("authorization" not in headers for _, _, headers in other.asked)
    assert len(other.asked) == 1


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Give a certificate for localhost and its key, made for this run."""
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(
        ["openssl", *words, *names, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True
    )
    return certificate, key


@pytest.fixture
def secure(make_index: Any, make_wheel: MakeWheel, certificate: tuple[Path, Path]) -> Index:
    """Give an index that speaks HTTPS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    made: Index = make_index(context)
    made.add(make_wheel("demo", "1.0"))
    return made


def test_certificates(secure: Index, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(NotRunError, match="TLS with `localhost:") as caught:
        ask(secure.simple)
    assert "`cert`" in caught.value.hint
    assert len(ask(secure.simple, certificate=str(certificate[0]))) == 1
    assert len(ask(secure.simple, trusted_hosts=["localhost"])) == 1
    assert len(ask(secure.simple, trusted_hosts=[secure.host])) == 1
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
    assert len(ask(secure.simple)) == 1
    with pytest.raises(NotRunError, match="cannot be read"):
        ask(secure.simple, certificate="/nonexistent.pem")  # pip's own setting wins over the variables


@pytest.fixture
def proxy() -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
    """Give the address of a proxy that answers everything itself, and what it was asked with which login."""
    asked: list[tuple[str, str | None]] = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            return

        def do_GET(self) -> None:
            asked.append((self.path, self.headers.get("Proxy-Authorization")))
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


def test_the_configured_proxy_with_its_login(proxy: tuple[str, list[tuple[str, str | None]]]) -> None:
    address, asked = proxy
    setting = place(f"http://me:{CANARY}@{address}")
    assert ask("http://index.example.org/simple", proxy=setting, trusted_hosts=["index.example.org"]) == []
    assert [path for path, _ in asked] == ["http://index.example.org/simple/demo/"]
    assert asked[0][1] is not None


def test_the_proxy_variables(proxy: tuple[str, list[tuple[str, str | None]]], monkeypatch: pytest.MonkeyPatch) -> None:
    address, asked = proxy
    monkeypatch.setenv("http_proxy", f"http://{address}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert ask("http://index.example.org/simple", trusted_hosts=["index.example.org"]) == []
    assert len(asked) == 1
