"""Builds that the engine or the disk drops: the message says where, nothing is left, and the next build succeeds."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.integration.builds import base_in_registry, build_twice_at_once, slow_step


class Relay:
    """Stands before the engine's socket. When `sign` passes, either way, all lines are cut and no more are taken."""

    def __init__(self, path: Path, engine: str, sign: bytes) -> None:
        self._engine = engine
        self._sign = sign
        self.cut = threading.Event()
        self._lines: list[socket.socket] = []
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(str(path))
        self._door.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._door.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(self._engine)
                self._lines += [near, far]
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=(source, target), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        before = b""
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                if self._sign in before + piece:
                    self.close()
                    self.cut.set()
                    return
                before = (before + piece)[-len(self._sign) + 1 :]
                target.sendall(piece)
            target.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        for line in (self._door, *self._lines):
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            line.close()


# Stands in front of the client; when a step begins it kills the client and then itself.
SHIM = """\
import os, signal, subprocess, sys
words = [os.environ["REAL"], *sys.argv[1:]]
if sys.argv[1:3] != ["buildx", "build"]:
    os.execv(words[0], words)
client = subprocess.Popen(words, stderr=subprocess.PIPE, start_new_session=True)
for line in client.stderr:
    sys.stderr.buffer.write(line)
    sys.stderr.flush()
    if b"RUN [" in line:
        os.killpg(client.pid, signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def engine_socket() -> str:
    """Give the path of the engine's socket; tests of an engine elsewhere have none to stand before."""
    return os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")


def install(project: Any, shelf: Any, *packages: str, into: Path) -> None:
    """Make an environment with packages of the shelf, and have it active."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", into], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(into / "bin" / "python"), "install", "--quiet"]
    environ = {**project.environ, **shelf.pip}
    subprocess.run([*pip, "--no-cache-dir", "--no-compile", *packages], check=True, env=environ)
    project.environ |= {"VIRTUAL_ENV": str(into), **shelf.pip}


# What passes when the line is cut, whether BuildKit builds, and what is said then.
STOPPED = "Building the image failed: the Docker engine stopped answering"
PHASES = {
    "while it is asked what it is": (b"/info HTTP", "1", STOPPED),
    "before BuildKit answers": (b"/grpc", "1", "The build ended before its first step: "),
    "when BuildKit is at its end": (b"exporting to image", "1", "The build ended after `"),
    "while the image gets its name": (b"/tag?", "1", STOPPED),
    "within a step of the classic builder": (b"Step 3/", "0", "`: Docker stopped answering: "),
}


@pytest.mark.engine
def test_an_engine_that_goes_away(
    small: Any, engine_socket: str, engine_client: Any, engine_state: Any, tmp_path: Path
) -> None:
    before = engine_state.look()
    stop_within_a_step(small, engine_client)
    assert engine_state.left_since(before, tags=True) == set()
    small.ok("freeze")
    for number, (phase, (sign, buildkit, message)) in enumerate(PHASES.items()):
        relay = Relay(tmp_path / f"{number}.sock", engine_socket, sign)
        environ = {"DOCKER_HOST": f"unix://{tmp_path}/{number}.sock", "DOCKER_BUILDKIT": buildkit}
        failed = small("build", "--engine", "docker", "--no-cache", env=environ)
        relay.close()
        assert relay.cut.is_set(), phase
        assert failed.code == 3, f"{phase}: {failed.err}"
        assert message in failed.err, f"{phase}: {failed.err}"
    killed = kill_the_client(small)
    assert killed.code == 3
    assert "had begun: its client `docker buildx` was ended by signal 9" in killed.err
    assert engine_state.left_since(before, tags=True) == set()
    assert list((tmp_path / "cache").glob("files/context-*")) == []
    assert list((tmp_path / "scratch").iterdir()) == []
    build_twice_at_once(small)


def stop_within_a_step(small: Any, client: Any) -> None:
    """Ctrl-C, with either builder, in a step that takes long enough for it."""
    with base_in_registry(client, slow_step("")) as base:
        small.ok("freeze", "--base", base)
        for buildkit in ("1", "0"):
            small.environ["DOCKER_BUILDKIT"] = buildkit
            stopped = small.stop_when("RUN [", "build", "--engine", "docker", "--no-cache")
            assert stopped.code == 130, stopped.err
    del small.environ["DOCKER_BUILDKIT"]


def kill_the_client(small: Any) -> Any:
    """Kill BuildKit's client within a step, as a machine that is short of memory may."""
    shim = small.project.parent / "programs" / "docker"
    shim.parent.mkdir()
    shim.write_text(f"#!{sys.executable}\n{SHIM}")
    shim.chmod(0o755)
    path = f"{shim.parent}{os.pathsep}{small.environ['PATH']}"
    return small("build", "--engine", "docker", "--no-cache", env={"PATH": path, "REAL": str(shutil.which("docker"))})


@pytest.mark.engine
def test_a_stop_while_byte_code_is_made(small: Any, shelf: Any, engine_state: Any, tmp_path: Path) -> None:
    """Each package is a batch for a container of its own, and two are at work at once."""
    slow = "x = [" + "[0, y]," * 400_000 + "]\n" + "#" * (24 << 20)
    for name in ("one", "another"):
        shelf.put(name, "1.0", code=slow)
    install(small, shelf, "one", "another", into=tmp_path / "environment")
    small.ok("freeze")
    before = engine_state.look()
    for pause in (0.0, 0.4, 1.0):  # its containers are about to be made, are being made, compile
        stopped = small.stop_when("compiling", "build", "--engine", "docker", pause=pause)
        assert (stopped.code, list((tmp_path / "cache").glob("assembled/assembling-*"))) == (130, []), stopped.err
    assert engine_state.left_since(before) == set()
    assert list((tmp_path / "scratch").iterdir()) == []


# What the cache's disk has, what is under way when it is full, and what is said. The package has a megabyte, as has
# each of its sources for the compiler and its byte code; assembled it has two.
FULL = {
    "a download": ("256k", r"`{cache}/files/partial/[0-9a-f]{{64}}\.part`: No space left on device"),
    "the byte code": ("1700k", r"No space left on device"),
    "an assembled package": ("4200k", r"`{cache}/assembled/incoming/files\.tar`: No space left on device"),
}


def test_a_full_disk(small: Any, shelf: Any, tmp_path: Path) -> None:
    """The message names the place, nothing half made is left, and with room again the next build succeeds."""
    shelf.put("shelved", "1.0", data=os.urandom(1 << 19).hex())
    install(small, shelf, "shelved", into=tmp_path / "environment")
    small.ok("freeze", "--base", f"registry.example.org/python:3.11@sha256:{'a' * 64}")
    (tmp_path / "full").mkdir()
    # Another user's state: a Python of this machine makes the byte code then, and no engine is needed.
    small.environ |= {"ENVCAP_CACHE": str(tmp_path / "full"), "ENVCAP_STATE": str(tmp_path / "other")}
    script = (
        'mount -t tmpfs -o "size=$SIZE" none "$ENVCAP_CACHE" && "$@"; code=$?; cd "$ENVCAP_CACHE"; find . -type f; '
    )
    words = ["unshare", "--mount", "--map-root-user", "sh", "-c", f"{script} exit $code", "sh"]
    words += [sys.executable, "-m", "envcap", "build", "--output", str(tmp_path / "context")]
    for what, (size, message) in FULL.items():
        environ = {**small.environ, "SIZE": size}
        done = subprocess.run(words, cwd=small.project, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 3, f"{what}: {done.stderr}"
        assert "fetching 1 packages" in done.stderr
        assert re.search(message.format(cache=tmp_path / "full"), done.stderr), f"{what}: {done.stderr}"
        assert "point `--project`, ENVCAP_CACHE or TMPDIR to another disk" in done.stderr
        left = {path.split("/")[1] for path in done.stdout.split()}
        assert left <= ({"files", "known"} if what != "a download" else set()), f"{what}: {done.stdout}"
        assert not (tmp_path / "context").exists()
    small.ok("build", "--output", str(tmp_path / "context"))
    with tarfile.open(tmp_path / "context" / "layers" / "01-small-00.tar") as layer:
        assert [name for name in layer.getnames() if "/__pycache__/shelved." in name]
