"""A package that was changed by hand after its installation: told, shown, carried, and the number comes back."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.conftest import Envcap, make_repository
from tests.pins.conftest import write_wheel

BASE = f"python:3.11@sha256:{'0' * 64}"
FILES: dict[str, str | bytes] = {
    "model/__init__.py": "def score():\n    return 0.5\n",
    "model/old.py": "unused = True\n",
}


@pytest.fixture
def edited(tmp_path: Path, clean_environ: dict[str, str]) -> Envcap:
    """Give a project whose package was edited, got a module, and lost another."""
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    site = next(environment.glob("lib/python3*/site-packages"))
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    wheel = wheels / "model-1.0-py3-none-any.whl"
    write_wheel(wheel, "model", "1.0", tags=("py3-none-any",), build="", files=FILES)
    pip = [sys.executable, "-m", "pip", "--python", str(environment / "bin" / "python"), "install", "-q", "--no-index"]
    subprocess.run([*pip, "--find-links", str(wheels), "model"], check=True)
    (site / "model" / "__init__.py").write_text(
        "from model.mine import OFFSET\ndef score():\n    return 0.5 + OFFSET\n"
    )
    (site / "model" / "mine.py").write_text("OFFSET = 0.25\n")
    (site / "model" / "old.py").unlink()
    project = tmp_path / "project"
    project.mkdir()
    (project / "evaluate.py").write_text(
        "import json, pathlib, model\npathlib.Path('metrics.json').write_text(json.dumps({'score': model.score()}))\n"
    )
    (project / "envcap.toml").write_text('[evaluation]\ncommand = ["python", "evaluate.py"]\nrepeat = 1\n')
    make_repository(project)
    environ = {**clean_environ, "VIRTUAL_ENV": str(environment), "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}
    nowhere = {"DOCKER_HOST": "unix:///nowhere/docker.sock", "CONTAINER_HOST": "unix:///nowhere/podman.sock"}
    return Envcap(project, {**environ, **nowhere})


def test_an_edited_package_is_named_shown_and_comes_back(edited: Envcap) -> None:
    line = "  model 1.0: model/__init__.py, model/mine.py, model/old.py (`envcap show --patch model`)\n"
    assert line in edited.ok("freeze", "--base", BASE).out
    shown = edited.ok("show").out
    assert line in shown
    assert "Changed by hand: 1 package, in the image as they were frozen\n" in shown
    patch = edited.ok("show", "--patch", "Model").out
    assert "-    return 0.5\n+    return 0.5 + OFFSET\n" in patch
    assert "--- /dev/null\n+++ b/model/mine.py\n" in patch
    assert "--- a/model/old.py\n+++ /dev/null\n" in patch
    (package,) = edited.ok("show", "--json").document["frozen"]["packages"]
    assert (package["edits"]["files"], package["confidence"]) == (3, "carried")

    edited.ok("build", "--output", "context")
    dockerfile = (edited.project / "context" / "Dockerfile").read_text()
    assert "# model 1.0 (changed by hand: 3 files)\n" in dockerfile
    edited.ok("build", "--engine", "venv")
    assert edited.ok("verify", "--engine", "venv").out.startswith("IDENTICAL")

    for words, said in (
        (("--patch", "absent"), "The lock has no package `absent`"),
        (("--patch", "model", "--json"), "`--patch` gives a patch and nothing else"),
    ):
        wrong = edited("show", *words)
        assert wrong.code == 2
        assert said in wrong.err
    for held in (edited.project / ".envcap" / "store").glob("*/model-1.0.patch"):
        held.unlink()
    assert edited("show", "--patch", "model").code == 5
