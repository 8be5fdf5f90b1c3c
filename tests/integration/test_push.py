"""Images brought to a registry: the one of the tests, one that wants a password, and locks for other machines."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.request import Request, urlopen

import docker
import msgspec
import pytest

from envcap import lockfile

pytestmark = [pytest.mark.engine]
REGISTRY = "127.0.0.1:5000"  # that tests/engine/up starts
NAME = "envcap-tests/pushed"
MANIFEST = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"


class Closed(BaseHTTPRequestHandler):
    """Answers as a registry does to somebody who has not logged in (OCI distribution; RFC 9110, 11.6.1)."""

    default_request_version = "HTTP/1.1"  # engines try TLS first, and know by the status line that here is none

    def answer(self) -> None:
        content = b'{"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}'
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="closed"')
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_HEAD = do_POST = answer  # noqa: N815  (names of the standard library)

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def closed_registry() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Closed)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def ask_registry(method: str, what: str) -> Any:
    request = Request(f"http://{REGISTRY}/v2/{NAME}/manifests/{what}", headers={"Accept": MANIFEST}, method=method)
    with urlopen(request, timeout=30) as answer:
        return answer.headers


def test_pushes_where_it_may_and_only_for_its_own_processor(small: Any, closed_registry: str) -> None:
    tags = [f"{registry}/{NAME}:1" for registry in (REGISTRY, closed_registry)]
    small.ok("freeze")
    try:
        built = small.ok("build", "--engine", "docker", "--push", "--tag", tags[0], "--json")
        image = built.document["image"]
        digest = ask_registry("HEAD", "1")["Docker-Content-Digest"]
        assert image["pushed"] == f"{REGISTRY}/{NAME}@{digest}"
        if image["promise"] == "bit for bit":
            assert image["identity"] == digest
        assert f"pushing `{tags[0]}`" in built.err
        ask_registry("DELETE", digest)

        failed = small("build", "--engine", "docker", "--push", "--tag", tags[1])
        assert failed.code == 3
        assert "wants a login" in failed.err
        assert f"`docker login {closed_registry}`" in failed.err
        refuses_a_lock_for_another_processor(small)
    finally:
        client = docker.from_env()
        for tag in tags:
            if client.images.list(tag):
                client.images.remove(tag, force=True, noprune=True)
        client.close()


def refuses_a_lock_for_another_processor(small: Any) -> None:
    path = lockfile.lock_path(small.project, "envcap")
    lock, _ = lockfile.read(path)
    own = lock.base.platform
    other = "linux/arm64" if own == "linux/amd64" else "linux/amd64"
    base = msgspec.structs.replace(lock.base, platform=other)
    lockfile.write(lockfile.dump(msgspec.structs.replace(lock, base=base)), path)
    for command in ("build", "verify"):
        refused = small(command, "--engine", "docker")
        assert refused.code == 3
        assert f"The lock is for `{other}`, and the engine `docker` is on `{own}`" in refused.err
