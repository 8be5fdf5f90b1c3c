"""The layers of an image: the same digests for every build of a lock, whoever makes it and wherever."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import docker
import pytest

pytestmark = [pytest.mark.engine, pytest.mark.network, pytest.mark.xdist_group("engine")]
# A module with byte code beside it, and a library of the system that the base lacks.
PROGRAM = """\
import ctypes, importlib.util, json, pathlib
import shelved
ctypes.CDLL("libgomp.so.1")
cached = pathlib.Path(importlib.util.cache_from_source(shelved.__file__))
pathlib.Path("metrics.json").write_text(json.dumps({"version": shelved.VERSION, "cached": int(cached.exists())}))
"""


def layers(reference: str) -> list[str]:
    client = docker.from_env()
    found: list[str] = client.images.get(reference).attrs["RootFS"]["Layers"]
    client.close()
    return found


def test_two_builds_give_the_same_layers(small: Any, shelf: Any, tmp_path: Path) -> None:
    """One by envcap; one of the written folder, without envcap, from another place with other caches around it."""
    shelf.put("shelved", "1.0")
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-cache-dir", "shelved"]
    subprocess.run(pip, check=True, env={**small.environ, **shelf.pip})
    small.environ |= {"VIRTUAL_ENV": str(environment), **shelf.pip}
    (small.project / "evaluate.py").write_text(PROGRAM)
    (small.project / "envcap.toml").write_text('[evaluation]\ncommand = ["python", "evaluate.py"]\nrepeat = 1\n')
    assert small.ok("freeze", "--json").document["frozen"]["runs"][0]["metrics"]["cached"] == 1
    built = small.ok("build", "--engine", "docker", "--no-cache", "--json").document["image"]["reference"]
    assert small.ok("verify", "--engine", "docker", "--json").document["verdict"] == "IDENTICAL"

    small.project = shutil.copytree(small.project, tmp_path / "elsewhere")
    before = os.umask(0o077)
    try:
        again = {"ENVCAP_CACHE": str(tmp_path / "other-cache"), "TZ": "Pacific/Kiritimati"}
        small.ok("build", "--output", str(tmp_path / "context"), env=again)
    finally:
        os.umask(before)
    client = docker.from_env()
    second, _ = client.images.build(path=str(tmp_path / "context"), nocache=True, rm=True, network_mode="none")
    try:
        assert layers(built) == layers(str(second.id))
    finally:
        client.images.remove(str(second.id), noprune=True)
        client.close()
