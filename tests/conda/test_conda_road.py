"""A real evaluation in a conda environment, with pip packages on top, on the real engine: its number comes back."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
import pytest

from envcap import lockfile

pytestmark = [pytest.mark.engine, pytest.mark.network]
PROGRAM = """
import hashlib, json, pathlib, sys
import msgspec, shapes, six

where = pathlib.Path(sys.prefix, "share/places/where.txt").read_text()
binary = pathlib.Path(sys.prefix, "lib/places.bin").read_bytes()
pathlib.Path("metrics.json").write_text(json.dumps({
    "area": shapes.area(3),
    "prefix": hashlib.sha256(where.encode() + binary).hexdigest(),
    "decoded": msgspec.json.decode(b"0.1") * 3,
    "six": six.__version__,
    "compiled": msgspec._core.__file__.endswith(".so"),
}))
"""


def test_the_number_of_a_conda_environment_comes_back(
    whole_channel: Any,
    conda_folder: Path,
    tmp_path: Path,
    envcap: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    prefix = conda_folder / "env"
    whole_channel.install(prefix, cache=tmp_path / "packages")
    python = prefix / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "six==1.16.0", "idna==3.7"], check=True)
    project = tmp_path / "project"
    project.mkdir()
    (project / "evaluate.py").write_text(PROGRAM)
    identity = ["-c", "user.name=Tester", "-c", "user.email=tester@example.org"]
    for words in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "-m", "x"]):
        subprocess.run(["git", *identity, *words], cwd=project, check=True)

    def ok(*words: str) -> Any:
        done = envcap(project, prefix, *words)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    frozen = ok("freeze", "--repeat", "1", "--json", "--", "python", "evaluate.py")["frozen"]
    lock, _ = lockfile.read(project / "pylock.envcap.toml")
    assert [(one.name, one.version) for one in lock.packages] == [("idna", "3.7"), ("six", "1.16.0")]
    assert [one.name for one in lock.conda] == ["msgspec", "places", "python", "shapes", "six"]
    assert frozen["gaps"] == []

    module = next(prefix.glob("lib/python3*/site-packages/shapes.py"))
    module.write_text(module.read_text().replace("0.1", "0.7"))
    frozen = ok("freeze", "--prefix", str(prefix), "--repeat", "1", "--json", "--", "python", "evaluate.py")["frozen"]
    assert [(gap["where"], gap["subject"]) for gap in frozen["gaps"]] == [("conda", "shapes")]
    assert "edited" in frozen["gaps"][0]["reason"]
    assert frozen["runs"][0]["metrics"]["area"] == 3 * 0.7
    built = ok("build", "--engine", "docker", "--json")
    verified = ok("verify", "--engine", "docker", "--json")
    assert verified["verdict"] == "IDENTICAL"
    assert verified["findings"] == []
    assert len(verified["checks"]) == 5

    client = docker.from_env()
    layers = client.images.get(built["image"]["reference"]).attrs["RootFS"]["Layers"]
    ok("build", "--engine", "docker", "--no-cache", "--json")
    assert client.images.get(built["image"]["reference"]).attrs["RootFS"]["Layers"] == layers
    ask = ["sh", "-c", f"cat {prefix}/conda-meta/shapes-*.json; {prefix}/bin/shapes; find / -xdev -name '*rattler*'"]
    said = client.containers.run(built["image"]["reference"], ask, remove=True, user="0", network_mode="none").decode()
    client.close()
    record, end = json.JSONDecoder().raw_decode(said)
    assert record["depends"] == ["python >=3.10", "places"]
    assert record["constrains"] == ["numpy >=9"]
    assert record["url"] == f"{whole_channel.address}/noarch/shapes-1.2-pyh0_0.conda"
    assert said[end:].split() == [str(3 * 0.7)]


def test_post_link_scripts_run_only_when_asked(
    whole_channel: Any,
    conda_folder: Path,
    tmp_path: Path,
    envcap: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    """The evaluation needs what the script makes; the environment here has it, as conda would have left it."""
    add_script(whole_channel)
    prefix = conda_folder / "env"
    whole_channel.install(prefix, cache=tmp_path / "packages", names=["python", "linked"])
    (prefix / "made.txt").write_text("made\n")
    project = tmp_path / "project"
    project.mkdir()
    program = "import json, pathlib, sys\ntext = pathlib.Path(sys.prefix, 'made.txt').read_text()\n"
    (project / "evaluate.py").write_text(program + "print(json.dumps({'length': len(text)}))\n")
    words = ["--repeat", "1", "--metrics", "stdout-json", "--", "python", "evaluate.py"]
    assert "post-link" in envcap(project, prefix, "freeze", *words).stdout
    for options, code in (((), 3), (("--link-scripts",), 0)):
        built = envcap(project, prefix, "build", "--engine", "docker", *options)
        assert built.returncode == 0, built.stderr
        assert ("not promised: post-link scripts of conda packages ran" in built.stdout) == bool(options), built.stdout
        done = envcap(project, prefix, "verify", "--engine", "docker")
        assert done.returncode == code, done.stderr
        assert ("made.txt" in done.stderr) == bool(code)


def add_script(channel: Any) -> None:
    script = b'#!/bin/sh\necho made > "$PREFIX/made.txt"\n'
    channel.add("linked", "1.0", {"bin/.linked-post-link.sh": channel.file(script, executable=True)})


def test_the_engine_without_images_refuses_and_says_why(
    whole_channel: Any,
    conda_folder: Path,
    tmp_path: Path,
    envcap: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    prefix = conda_folder / "env"
    whole_channel.install(prefix, cache=tmp_path / "packages", names=["python"])
    project = tmp_path / "project"
    project.mkdir()
    (project / "evaluate.py").write_text("print('{\"x\": 1}')\n")
    words = ["--repeat", "1", "--metrics", "stdout-json", "--", "python", "evaluate.py"]
    assert envcap(project, prefix, "freeze", *words).returncode == 0
    refused = envcap(project, prefix, "build", "--engine", "venv")
    assert refused.returncode == 3
    assert "1 conda packages" in refused.stderr
    assert "--engine docker" in " ".join(refused.stderr.split())
    refused = envcap(project, prefix, "freeze", "--prefix", str(project), *words)
    assert refused.returncode == 2
    assert "is not a conda environment" in " ".join(refused.stderr.split())
