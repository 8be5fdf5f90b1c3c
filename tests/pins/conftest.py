"""A real package index on loopback, small real wheels, and real environments for the tests of pins."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
import subprocess
import sys
import threading
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, unquote, urlsplit

import pytest
from uv import find_uv_bin

from envcap.model.facts import Facts
from envcap.probe.handover import probe_host

CANARY = "c4n4ry-s3cret"


class MakeWheel(Protocol):
    def __call__(
        self,
        name: str,
        version: str,
        *,
        tags: tuple[str, ...] = ...,
        build: str = ...,
        files: Mapping[str, str | bytes] = ...,
        folder: Path | None = ...,
        filename: str = ...,
    ) -> Path: ...


def write_wheel(
    path: Path, name: str, version: str, *, tags: tuple[str, ...], build: str, files: Mapping[str, str | bytes]
) -> None:
    """Write a wheel as PEP 427 has it, RECORD with hashes."""
    info = f"{name}-{version}.dist-info"
    lines = ["Wheel-Version: 1.0", "Generator: test", "Root-Is-Purelib: true", *(f"Tag: {tag}" for tag in tags)]
    content: dict[str, str | bytes] = {
        f"{name}.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "\n".join([*lines, *([f"Build: {build}"] if build else [])]) + "\n",
        **files,
    }
    rows = io.StringIO(newline="")
    write = csv.writer(rows, lineterminator="\n").writerow
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, text in content.items():
            data = text.encode() if isinstance(text, str) else text
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            write([member, f"sha256={digest}", len(data)])
            archive.writestr(member, data)
        write([f"{info}/RECORD", "", ""])
        archive.writestr(f"{info}/RECORD", rows.getvalue())


@pytest.fixture
def make_wheel(tmp_path: Path) -> MakeWheel:
    """Give a function that writes a small wheel with one module and `files`."""

    def make(
        name: str,
        version: str,
        *,
        tags: tuple[str, ...] = ("py3-none-any",),
        build: str = "",
        files: Mapping[str, str | bytes] | None = None,
        folder: Path | None = None,
        filename: str = "",
    ) -> Path:
        folder = folder or tmp_path / "wheels"
        folder.mkdir(parents=True, exist_ok=True)
        parts = [name, version, *([build] if build else []), ".".join(tags) if len(tags) == 1 else tags[0]]
        path = folder / (filename or "-".join(parts) + ".whl")
        write_wheel(path, name, version, tags=tags, build=build, files=files or {})
        return path

    return make


class Index:
    """What the server serves, how it misbehaves, and what it was asked. Files are offered under their own names."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.files: dict[str, bytes] = {}  # by file name
        self.pages: dict[str, tuple[str, bytes]] = {}  # project -> media type and text, in place of what we would say
        self.json = True
        self.hashes = True
        self.ranges = True
        self.login: tuple[str, str] | None = None
        self.kept_for = 0  # seconds that a client may keep what it got; 0 says nothing of it
        self.missing = 404  # the status for a project that is not there
        self.failing: Counter[str] = Counter()  # path -> how many times it answers 503 first
        self.truncated: Counter[str] = Counter()  # path -> how many times the body breaks off first
        self.marks: dict[str, str] = {}  # path -> the ETag of what breaks off, while the file is the same
        self.redirects: dict[str, str] = {}
        self.yanked: dict[str, str] = {}  # file name -> reason
        self.slow = threading.Event()  # set: file bodies never end
        self.asked: list[tuple[str, str, dict[str, str]]] = []  # method, path, headers in lower case

    @property
    def simple(self) -> str:
        return f"{self.url}/simple/"

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc

    def add(self, path: Path) -> str:
        """Offer a file; give its sha256."""
        self.files[path.name] = path.read_bytes()
        return hashlib.sha256(self.files[path.name]).hexdigest()

    def page(self, project: str) -> tuple[str, bytes] | None:
        """Give media type and text of a project's page."""
        if project in self.pages:
            return self.pages[project]
        names = [name for name in self.files if re.sub(r"[-_.]+", "-", name.partition("-")[0]).lower() == project]
        if not names and project:
            return None
        if self.json and project:
            files = [
                {
                    "filename": name,
                    "url": f"../../files/{quote(name)}",
                    "hashes": {"sha256": hashlib.sha256(self.files[name]).hexdigest()} if self.hashes else {},
                    "size": len(self.files[name]),
                    "yanked": (self.yanked[name] or True) if name in self.yanked else False,
                }
                for name in names
            ]
            document = {"meta": {"api-version": "1.1"}, "name": project, "files": files}
            return "application/vnd.pypi.simple.v1+json", json.dumps(document).encode()
        return "text/html; charset=utf-8", self._html(names if project else list(self.files)).encode()

    def _html(self, names: list[str]) -> str:
        links = ""
        for name in names:
            digest = f"#sha256={hashlib.sha256(self.files[name]).hexdigest()}" if self.hashes else ""
            yanked = f' data-yanked="{self.yanked[name]}"' if name in self.yanked else ""
            links += f'<a href="/files/{quote(name)}{digest}"{yanked}>{name}</a><br>\n'
        return f"<!DOCTYPE html><html><body>\n{links}</body></html>"

    def paths(self, method: str = "GET") -> list[str]:
        return [path for asked, path, _ in self.asked if asked == method]


def serve(index: Index) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            return

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            index.asked.append((self.command, self.path, {key.lower(): value for key, value in self.headers.items()}))
            if index.failing[path] > 0:
                index.failing[path] -= 1
                return self.answer(503, b"later")
            if path in index.redirects:
                return self.answer(302, b"", Location=index.redirects[path])
            if index.login is not None:
                token = base64.b64encode(":".join(index.login).encode()).decode()
                if self.headers.get("Authorization") != f"Basic {token}":
                    return self.answer(401, b"who?", **{"WWW-Authenticate": 'Basic realm="packages"'})
            if path.startswith("/files/"):
                return self.send_file(path)
            page = index.page(path.removeprefix("/simple/").strip("/"))
            if page is None:
                return self.answer(index.missing, b"nothing")
            return self.answer(200, page[1], **{"Content-Type": page[0]})

        def send_file(self, path: str) -> None:
            body = index.files.get(unquote(path.removeprefix("/files/")))
            if body is None:
                return self.answer(404, b"nothing")
            extent = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
            if extent and index.ranges and self.headers.get("If-Range") in {None, index.marks.get(path)}:
                first = int(extent[1]) if extent[1] else max(0, len(body) - int(extent[2]))
                last = int(extent[2]) if extent[1] and extent[2] else len(body) - 1
                piece = body[first : last + 1]
                stated = f"bytes {first}-{first + len(piece) - 1}/{len(body)}"
                return self.answer(206, piece, **{"Content-Range": stated})
            if index.truncated[path] > 0 and self.command == "GET":
                index.truncated[path] -= 1
                self.close_connection = True
                mark = {"ETag": index.marks[path]} if path in index.marks else {}
                return self.answer(200, body[: len(body) // 2], **{"Content-Length": str(len(body)), **mark})
            if index.slow.is_set() and self.command == "GET":
                self.answer(200, body[:10], **{"Content-Length": str(len(body) + 1)})
                while index.slow.is_set():
                    threading.Event().wait(0.05)
                self.close_connection = True
                return None
            return self.answer(200, body)

        def answer(self, status: int, body: bytes, **headers: str) -> None:
            self.send_response(status)
            kept = {"Cache-Control": f"max-age={index.kept_for}"} if index.kept_for else {}
            for name, value in {"Content-Length": str(len(body)), **kept, **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
                self.wfile.flush()

    return Handler


class QuietServer(ThreadingHTTPServer):
    def handle_error(self, *_: Any) -> None:
        """Say nothing when a client goes away early: that is what some tests are about."""


@pytest.fixture
def make_index() -> Iterator[Any]:
    """Give a function that starts an index on loopback; it takes an SSL context to speak HTTPS."""
    servers: list[tuple[ThreadingHTTPServer, Index]] = []

    def make(context: Any = None) -> Index:
        index = Index("")
        server = QuietServer(("127.0.0.1", 0), serve(index))
        scheme, host = ("http", "127.0.0.1") if context is None else ("https", "localhost")
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        index.url = f"{scheme}://{host}:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append((server, index))
        return index

    yield make
    for server, index in servers:
        index.slow.clear()
        server.shutdown()
        server.server_close()


@pytest.fixture
def index(make_index: Any) -> Index:
    """Give one index on loopback."""
    made: Index = make_index()
    return made


class Environment:
    """A virtual environment without pip."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = folder / "bin" / "python"
        self._uv("venv", "-q", str(folder))

    def _uv(self, *words: str) -> None:
        done = subprocess.run([find_uv_bin(), *words, "--no-config"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def install(self, *what: str | Path, options: tuple[str, ...] = ()) -> None:
        """Install with uv, offline but for the URLs given, without dependencies."""
        words = ["pip", "install", "-q", "--no-deps", "--no-index", "--link-mode", "copy", "--python", str(self.python)]
        self._uv(*words, *options, *map(str, what))

    def pip(self, *words: str | Path) -> None:
        """Install with the pip of the tests, from outside."""
        command = [
            sys.executable,
            "-m",
            "pip",
            "--python",
            str(self.python),
            "install",
            "-q",
            "--no-deps",
            "--no-index",
        ]
        done = subprocess.run([*command, *map(str, words)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    @property
    def site(self) -> Path:
        return next(self.folder.glob("lib/python*/site-packages"))

    def facts(self) -> Facts:
        return probe_host(self.python)


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """Give a new virtual environment."""
    return Environment(tmp_path / "venv")
