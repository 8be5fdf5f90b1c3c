"""Builds that tests on more than one engine make, and bases for them. The project's environment says which engine."""

import io
import json
import os
import platform
import secrets
import shlex
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import docker

from tests.integration.conftest import Envcap
from tests.integration.registry import REGISTRY, remove

UP = Path(__file__).parents[1] / "engine" / "up"


def python_image(client: docker.DockerClient) -> str:
    """Give the official image of the Python that runs the tests, which `tests/engine/up` brings."""
    prefix = f"python:{platform.python_version()}-slim-"
    return next(tag for image in client.images.list("python") for tag in image.tags if tag.startswith(prefix))


@contextmanager
def base_in_registry(client: docker.DockerClient, instruction: str) -> Iterator[str]:
    """Give the name of an image of that Python and one more step; afterwards neither engine nor registry has it."""
    repository = f"envcap-tests/base-{secrets.token_hex(4)}"
    name = f"{REGISTRY}/{repository}:1"
    dockerfile = io.BytesIO(f"FROM {python_image(client)}\n{instruction}\n".encode())
    client.images.build(fileobj=dockerfile, tag=name, network_mode="none", rm=True)
    with ExitStack() as undo:
        undo.callback(client.images.remove, name, force=True)
        assert '"error"' not in client.images.push(name)
        digest = client.images.get(name).attrs["RepoDigests"][0].rpartition("@")[2]
        undo.callback(remove, repository, digest)
        yield name


def slow_step(statement: str) -> str:
    """Give what makes a base on which the step that makes the environment takes a while, and then runs a statement."""
    text = f"import time; time.sleep(1); {statement}"
    return f"RUN echo {shlex.quote(text)} | tee --append /usr/local/lib/python*/venv/__init__.py"


def without_buildx(folder: Path, path: str) -> str:
    """Give the PATH with a Docker client in front that has no buildx, as where its package is not installed."""
    folder.mkdir()
    (folder / "docker").write_text(f'#!/bin/sh\n[ "$1" != buildx ] || exit 1\nexec {shutil.which("docker")} "$@"\n')
    (folder / "docker").chmod(0o755)
    return f"{folder}{os.pathsep}{path}"


def build_twice_at_once(project: Envcap) -> None:
    """Build one lock in two processes at the same time: both succeed, with one image and nothing left."""
    words = [sys.executable, "-m", "envcap", "build", "--engine", "docker", "--no-cache", "--json"]
    both = [
        subprocess.Popen(
            words, cwd=project.project, env=project.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    ends = [(child.communicate(timeout=600), child.returncode) for child in both]
    assert [code for _, code in ends] == [0, 0], ends
    images = [json.loads(out)["image"] for (out, _), _ in ends]
    assert images[0]["identity"] == images[1]["identity"]
    contexts = Path(project.environ["ENVCAP_CACHE"], "contexts")
    assert [path for path in contexts.rglob("*") if path.name.startswith("tmp") or not path.is_dir()] == []


def pack_with_packages(project: Envcap) -> Path:
    """Pack a project that has a wheel and a package of the operating system; give the capsule."""
    capsule = Path(project.ok("pack", "--json").document["capsule"]["path"])
    with tarfile.open(capsule) as archive:
        names = archive.getnames()
    assert names[0] == ".envcap/capsule.json"
    assert {".whl", ".deb"} <= {Path(name).suffix for name in names}
    return capsule


def run_alone(project: Envcap, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run envcap in a folder with no network, not even a loopback, and with a cache that was empty at first."""
    environ = {**project.environ, "ENVCAP_CACHE": str(folder / "empty")}
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        environ.pop(name, None)
    command = ["unshare", "--net", sys.executable, "-m", "envcap", *words]
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)


def build_and_verify_alone(project: Envcap, capsule: Path, folder: Path) -> None:
    """Build a capsule into `folder/paper`, and verify the image, with nothing but the engine in reach."""
    built = run_alone(project, folder, "build", str(capsule), "--into", "paper")
    assert built.returncode == 0, built.stderr
    assert "--project" in built.stdout
    verified = run_alone(project, folder, "verify", "--project", "paper")
    assert verified.returncode == 0, verified.stderr
    assert verified.stdout.startswith("IDENTICAL")
