"""A lock that came from elsewhere: shown, asked about, refused where nobody can answer."""

import os
import pty
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

VERIFY = ("verify", "--engine", "venv")
BUILD = ("build", "--engine", "venv")


def elsewhere(small: Any) -> dict[str, str]:
    """Give the variables of a user who has never seen the lock."""
    return {"ENVCAP_STATE": str(small.project.parent / "other-state")}


def on_a_terminal(small: Any, answer: bytes, *words: str) -> tuple[int, str]:
    """Start the command with a terminal for input and messages, type the answer, and give what was on the screen."""
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-m", "envcap", *words],
        cwd=small.project,
        env={**small.environ, **elsewhere(small), "COLUMNS": "200"},
        stdin=theirs,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    )
    os.close(theirs)
    os.write(ours, answer)
    said = b""
    with suppress(OSError):  # the other side is closed
        while True:
            said += os.read(ours, 4096)
    os.close(ours)
    return child.wait(timeout=60), said.decode().replace("\r\n", "\n")


def test_a_stranger_is_shown_and_needs_a_yes(small: Any) -> None:
    small.ok("freeze")
    small.ok(*BUILD)
    small.ok(*VERIFY)
    for command in (BUILD, VERIFY):
        refused = small(*command, env=elsewhere(small))
        said = " ".join(refused.err.split())
        assert refused.code == 5
        assert 'command: ["python", "evaluate.py"]' in said
        assert "does not contain it" in said
        assert "ENVCAP_TRUST=1" in said
    foreign = small(*VERIFY, "--trust", env=elsewhere(small))
    assert (foreign.code, "There is no image" in foreign.err) == (3, True)  # who never built it does not run it either
    assert small(*BUILD, "--trust", env=elsewhere(small)).code == 0
    assert small(*VERIFY, "--trust", env=elsewhere(small)).code == 0
    code, said = on_a_terminal(small, b"\n", *VERIFY)  # so it was not remembered, and no is the default
    assert (code, "Verify it? [y/N]" in said) == (5, True), said
    code, said = on_a_terminal(small, b"y\n", *VERIFY)
    assert code == 0, said
    again = small.ok(*VERIFY, env=elsewhere(small))
    assert "not written on this machine" not in again.err


def test_nothing_of_a_stranger_runs_for_a_folder(small: Any, tmp_path: Path) -> None:
    """Not even the interpreter of its base image: the engine, if there is one, is not asked for it."""
    small.ok("freeze", "--base", f"registry.example.org/python:3.11@sha256:{'a' * 64}")
    asked = []
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(tmp_path / "engine.sock"))
        door.listen()
        door.settimeout(0)
        engine = {"DOCKER_HOST": f"unix://{tmp_path}/engine.sock", "CONTAINER_HOST": f"unix://{tmp_path}/engine.sock"}
        written = small.ok("build", "--output", str(tmp_path / "context"), env={**elsewhere(small), **engine})
        with suppress(BlockingIOError):
            asked.append(door.accept())
    assert not asked
    assert "nothing of it is run, its base image neither" in " ".join(written.err.split())
    assert "FROM registry.example.org/python:3.11@sha256:" in (tmp_path / "context" / "Dockerfile").read_text()


def test_an_environment_that_came_with_a_project_is_not_run(small: Any) -> None:
    """Its Python is whatever somebody put there."""
    small.ok("freeze")
    small.ok(*BUILD)
    (environment,) = (small.project / ".envcap" / "venv").iterdir()
    named = ("diff", "envcap", environment.name.replace("envcap-envcap-", "envcap/envcap:"), "--engine", "venv")
    assert small(*named).code in {0, 1}
    python = environment / "env" / "bin" / "python"
    python.unlink()
    python.write_text("#!/bin/sh\ntouch ran; exit 1\n")
    python.chmod(0o755)
    received = small(*named, env=elsewhere(small))
    assert received.code == 2, received.err
    assert "neither a lock here nor an image" in received.err
    moved = small.project.parent / "moved"
    small.project.rename(moved)
    small.project = moved
    assert small(*named).code == 2
    assert not list(moved.rglob("ran"))
