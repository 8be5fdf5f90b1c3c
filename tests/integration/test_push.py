"""Images brought to a registry: the one of the tests, one that wants a password, and locks for other machines."""

import contextlib
import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import docker
import msgspec
import pytest
from docker.errors import NotFound

from envcap import lockfile
from tests.integration.registry import REGISTRY, kept, remove

pytestmark = [pytest.mark.engine]
NAME = "envcap-tests/pushed"


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


@pytest.fixture
def client() -> Iterator[docker.DockerClient]:
    opened = docker.from_env()
    yield opened
    opened.close()


@pytest.fixture
def tags(client: docker.DockerClient, closed_registry: str) -> Iterator[list[str]]:
    """Give three names, of an image that is taken, of one that wants a login, and of one that nobody hears of."""
    names = [f"{registry}/{NAME}:1" for registry in (REGISTRY, closed_registry, "127.0.0.1:1")]
    yield names
    for name in names:
        with contextlib.suppress(NotFound):
            client.images.remove(name, force=True, noprune=True)


def test_pushes_packed_layers_and_leaves_its_own_as_they_are(
    small: Any, client: docker.DockerClient, tags: list[str]
) -> None:
    """Who has the packed image from the registry has the same one: verify says so."""
    tag = tags[0]
    small.ok("freeze")
    build = ("build", "--engine", "docker", "--tag", tag, "--json")
    pushed = small.ok(*build, "--push")
    image = pushed.document["image"]
    there = kept(NAME, "1")
    assert image["pushed"] == f"{REGISTRY}/{NAME}@{there.digest}"
    assert there.media_types <= {"tar+gzip", "gzip"}
    assert there.diff_ids == client.images.get(tag).attrs["RootFS"]["Layers"]
    assert f"pushing `{tag}`" in pushed.err
    assert small.ok(*build, "--push").document["image"]["pushed"] == image["pushed"]

    client.images.remove(tag, noprune=True)
    client.images.pull(f"{REGISTRY}/{NAME}", tag="1")
    assert small.ok("verify", "--engine", "docker", "--image", tag).out.startswith("IDENTICAL")
    client.images.remove(tag, noprune=True)
    assert small.ok(*build).document["image"]["identity"] == image["identity"]

    portable = small.ok(*build, "--portable", "--push")
    assert kept(NAME, "1").diff_ids == client.images.get(tag).attrs["RootFS"]["Layers"] != there.diff_ids
    for document in (pushed.document, portable.document):
        remove(NAME, document["image"]["pushed"].partition("@")[2])


def test_tells_why_a_registry_did_not_take_it(
    small: Any, client: docker.DockerClient, tags: list[str], tmp_path: Path
) -> None:
    small.ok("freeze")
    push = ("build", "--engine", "docker", "--push", "--tag")
    failed = small(*push, tags[1])
    assert failed.code == 3
    assert f"Pushing `{tags[1]}` failed: the registry wants a login" in failed.err
    assert f"`docker login {tags[1].partition('/')[0]}`" in failed.err

    helper = tmp_path / "bin" / "docker-credential-locked"
    helper.parent.mkdir()
    helper.write_text("#!/bin/sh\necho the keyring is locked\nexit 1\n")
    helper.chmod(0o755)
    (tmp_path / "config.json").write_text(json.dumps({"credsStore": "locked"}))
    path = f"{helper.parent}{os.pathsep}{os.environ['PATH']}"
    failed = small(*push, tags[1], env={"DOCKER_CONFIG": str(tmp_path), "PATH": path})
    assert failed.code == 3
    assert "the keyring is locked" in failed.err

    failed = small(*push, tags[2])
    assert failed.code == 3
    assert "connection refused" in failed.err
    assert "the same command again" in failed.err
    assert client.images.get(tags[2]).id  # what was built is there
    refuses_a_lock_for_another_processor(small)


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
