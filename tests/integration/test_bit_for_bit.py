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
# A module with byte code beside it, and a library of the system that the base lacks.
PROGRAM = """\
import ctypes, importlib.util, json, pathlib
import shelved
ctypes.CDLL("libgomp.so.1")
cached = pathlib.Path(importlib.util.cache_from_source(shelved.__file__))
pathlib.Path("metrics.json").write_text(json.dumps({"version": shelved.VERSION, "cached": int(cached.exists())}))
"""


@pytest.fixture
def frozen(small: Any, shelf: Any, tmp_path: Path) -> Envcap:
    """Freeze an environment with a package and a system library."""
    shelf.put("shelved", "1.0")
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-cache-dir", "shelved"]
    subprocess.run(pip, check=True, env={**small.environ, **shelf.pip})
    small.environ |= {"VIRTUAL_ENV": str(environment), **shelf.pip}
    (small.project / "evaluate.py").write_text(PROGRAM)
    (small.project / "envcap.toml").write_text('[evaluation]\ncommand = ["python", "evaluate.py"]\nrepeat = 1\n')
    assert small.ok("freeze", "--json").document["frozen"]["runs"][0]["metrics"]["cached"] == 1
    project: Envcap = small
    return project


def build_as_another(project: Envcap, folder: Path, tag: str) -> None:
    """Build a copy in another place, as another user, with another umask, time zone and locale, and empty caches."""
    copy, home = folder / "elsewhere" / "a copy", folder / "home"
    shutil.copytree(project.project, copy, symlinks=True)
    home.mkdir()
    for path in (copy.parent, home):
        subprocess.run(["chown", "--recursive", str(ANOTHER), path], check=True)
    env = {name: value for name, value in project.environ.items() if name not in {"TMPDIR", "VIRTUAL_ENV"}}
    env |= {"HOME": str(home), "ENVCAP_CACHE": str(home / "cache"), "TZ": "Pacific/Kiritimati", "LC_ALL": "C"}
    socket = Path("/var/run/docker.sock").stat().st_gid
    # It may read what belongs to root: the interpreter and the test's own folder.
    words = ["setpriv", f"--reuid={ANOTHER}", f"--groups={socket}", "--inh-caps=+dac_read_search"]
    words += ["--ambient-caps=+dac_read_search", "--bounding-set=-all,+dac_read_search"]
    words += [sys.executable, "-m", "envcap", "build", "--trust", "--engine", "docker", "--no-cache", "--tag", tag]
    done = subprocess.run(words, cwd=copy, env=env, umask=0o077, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_one_lock_one_image(frozen: Envcap, tmp_path: Path) -> None:
    """The same digest with BuildKit, and the same layers with the classic builder and without envcap."""
    first, second = "envcap/bits:first", "envcap/bits:second"
    built = frozen.ok("build", "--engine", "docker", "--no-cache", "--tag", first, "--json").document["image"]
    assert (built["promise"], built["builder"].split()[0]) == ("bit for bit", "BuildKit")
    assert [step for step in built["steps"] if step["step"].startswith("ADD")]
    verified = frozen.ok("verify", "--engine", "docker", "--image", first, "--json").document
    assert verified["verdict"] == "IDENTICAL"
    build_as_another(frozen, tmp_path, second)
    older = frozen.ok(
        "build", "--engine", "docker", "--tag", "envcap/bits:classic", "--json", env={"DOCKER_BUILDKIT": "0"}
    )
    image = older.document["image"]
    assert (image["promise"], image["builder"]) == ("same content", "Docker's classic builder")
    frozen.ok("build", "--output", str(tmp_path / "context"))
    by_hand = ["docker", "buildx", "build", "--quiet", "--network", "none", "--tag", "envcap/bits:by-hand"]
    subprocess.run([*by_hand, tmp_path / "context"], check=True, capture_output=True)

    client = docker.from_env()
    references = [first, second, "envcap/bits:classic", "envcap/bits:by-hand"]
    images = [client.images.get(reference) for reference in references]
    layers = [one.attrs["RootFS"]["Layers"] for one in images]
    for reference in references:
        client.images.remove(reference, noprune=True)
    client.close()
    assert images[0].id == images[1].id
    assert layers[0] == layers[1] == layers[3]
    # BuildKit makes an empty layer for the folder that WORKDIR names, the classic builder none.
    assert layers[2] == layers[0][: len(layers[2])]
    assert len(layers[0]) - len(layers[2]) <= 1
