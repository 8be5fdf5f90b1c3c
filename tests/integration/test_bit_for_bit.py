"""The same lock gives the same image, whoever builds it, where, and with which builder."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.integration.conftest import Envcap

pytestmark = [pytest.mark.engine, pytest.mark.network, pytest.mark.xdist_group("engine")]
ANOTHER = 23456  # a user that no machine has


def build(project: Envcap, tag: str, **env: str) -> Any:
    return project.ok("build", "--engine", "docker", "--no-cache", "--tag", tag, "--json", env=env).document["image"]


def build_as_another(project: Envcap, folder: Path, tag: str) -> None:
    """Build a copy in another place, as another user, with another umask, time zone and locale, and empty caches."""
    shutil.copytree(project.project, folder / "elsewhere" / "a copy", symlinks=True)
    home = folder / "home"
    home.mkdir()
    for path in (folder / "elsewhere", home):
        subprocess.run(["chown", "--recursive", str(ANOTHER), path], check=True)
    env = {name: value for name, value in project.environ.items() if name not in {"TMPDIR", "VIRTUAL_ENV"}}
    env |= {"HOME": str(home), "ENVCAP_CACHE": str(home / "cache"), "TZ": "Pacific/Kiritimati", "LC_ALL": "C"}
    socket = Path("/var/run/docker.sock").stat().st_gid
    # It may read what belongs to root: the interpreter and the test's own folder.
    words = ["setpriv", f"--reuid={ANOTHER}", f"--groups={socket}", "--inh-caps=+dac_read_search"]
    words += ["--ambient-caps=+dac_read_search", "--bounding-set=-all,+dac_read_search"]
    command = [*words, sys.executable, "-m", "envcap", "build", "--trust"]
    command += ["--engine", "docker", "--no-cache", "--tag", tag]
    done = subprocess.run(
        command, cwd=folder / "elsewhere" / "a copy", env=env, umask=0o077, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_one_lock_one_image(small: Any, tmp_path: Path, make_environment: Any) -> None:
    small.environ["VIRTUAL_ENV"] = str(make_environment("markupsafe==3.0.2", "iniconfig==2.0.0"))
    program = small.project / "evaluate.py"
    program.write_text(f"import markupsafe\n{program.read_text()}")
    small.ok("freeze")
    first = build(small, "envcap/bits:first")
    assert (first["promise"], first["builder"].split()[0]) == ("bit for bit", "BuildKit")
    assert [step for step in first["steps"] if step["step"].startswith("ADD")]
    build_as_another(small, tmp_path, "envcap/bits:second")
    older = build(small, "envcap/bits:classic", DOCKER_BUILDKIT="0")
    assert (older["promise"], older["builder"]) == ("same content", "Docker's classic builder")
    client = docker.from_env()
    tags = [f"envcap/bits:{tag}" for tag in ("first", "second", "classic")]
    images = [client.images.get(tag) for tag in tags]
    layers = [image.attrs["RootFS"]["Layers"] for image in images]
    ids = [image.id for image in images]
    for tag in tags:
        client.images.remove(tag)
    client.close()
    assert ids[0] == ids[1]
    assert layers[1] == layers[0]
    # The classic builder makes no layer for the folder that WORKDIR names and finds there.
    assert layers[2] == layers[0][: len(layers[2])]
