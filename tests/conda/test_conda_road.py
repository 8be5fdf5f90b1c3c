"""A real evaluation in a conda environment, with pip packages on top, on the real engine: its number comes back."""

import json
import platform
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
import pytest

from envcap import lockfile

pytestmark = [pytest.mark.engine, pytest.mark.network]
BASE = f"python:{platform.python_version()}-slim-bookworm"  # has another Python than conda's, if this machine has one
PROGRAM = """
import hashlib, json, os, pathlib, sys
import idna, msgspec, shapes, six

where = pathlib.Path(sys.prefix, "share/places/where.txt").read_text()
binary = pathlib.Path(sys.prefix, "lib/places.bin").read_bytes()
pathlib.Path("metrics.json").write_text(json.dumps({
    "area": shapes.area(3),
    "prefix": hashlib.sha256(where.encode() + binary).hexdigest(),
    "decoded": msgspec.json.decode(b"0.1") * 3,
    "six": six.__version__,
    "compiled": msgspec._core.__file__.endswith(".so"),
    "quickly": all(os.path.exists(module.__cached__) for module in (idna, six)),
    "own": pathlib.Path(sys.prefix, "share/corpus.txt").read_text(),
}))
"""


def test_the_number_of_a_conda_environment_comes_back(
    whole_channel: Any,
    conda_folder: Path,
    tmp_path: Path,
    envcap: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    prefix = conda_folder / "env"
    (tmp_path / "wheel").mkdir()
    whole_channel.add_extension(tmp_path / "wheel")
    whole_channel.install(prefix, cache=tmp_path / "packages")
    python = prefix / "bin" / "python"
    pip = ["-m", "pip", "--python", str(python), "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([whole_channel.python.path, *pip, "six==1.16.0", "idna==3.7"], check=True)
    (prefix / "share" / "corpus.txt").write_text("put here by hand\n")
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

    words = ["--base", BASE, "--repeat", "1", "--json", "--", "python", "evaluate.py"]
    frozen = ok("freeze", *words)["frozen"]
    lock, _ = lockfile.read(project / "pylock.envcap.toml")
    assert [(one.name, one.version) for one in lock.packages] == [("idna", "3.7"), ("six", "1.16.0")]
    assert [one.name for one in lock.conda] == ["msgspec", "places", "python", "shapes", "six"]
    (left,) = frozen["gaps"]
    assert "gets those that the runs used, 1 file (`share/corpus.txt`)" in left["consequence"]

    module = next(prefix.glob("lib/python3*/site-packages/shapes.py"))
    module.write_text(module.read_text().replace("0.1", "0.7"))
    frozen = ok("freeze", "--prefix", str(prefix), *words)["frozen"]
    assert [(gap["where"], gap["subject"]) for gap in frozen["gaps"]] == [("conda", "shapes"), ("conda", str(prefix))]
    assert "edited" in frozen["gaps"][0]["reason"]
    assert frozen["runs"][0]["metrics"]["area"] == 3 * 0.7
    built = ok("build", "--engine", "docker", "--json")
    verified = ok("verify", "--engine", "docker", "--json")
    assert verified["verdict"] == "IDENTICAL"
    assert verified["findings"] == []
    assert len(verified["checks"]) == 7

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
    """The evaluation needs the module that the script makes; the environment here has it, as with conda."""
    add_script(whole_channel)
    prefix = conda_folder / "env"
    whole_channel.install(prefix, cache=tmp_path / "packages", names=["python", "linked"])
    site = next(prefix.glob("lib/python3*")) / "site-packages"
    site.mkdir(exist_ok=True)
    (site / "made.py").write_text("LENGTH = 5\n")
    project = tmp_path / "project"
    project.mkdir()
    (project / "evaluate.py").write_text("import json, made\nprint(json.dumps({'length': made.LENGTH}))\n")
    words = ["--base", BASE, "--repeat", "1", "--metrics", "stdout-json", "--", "python", "evaluate.py"]
    assert "post-link" in envcap(project, prefix, "freeze", *words).stdout
    for options, code in (((), 3), (("--link-scripts",), 0)):
        built = envcap(project, prefix, "build", "--engine", "docker", *options)
        assert built.returncode == 0, built.stderr
        assert ("not promised: post-link scripts of conda packages ran" in built.stdout) == bool(options), built.stdout
        done = envcap(project, prefix, "verify", "--engine", "docker")
        assert done.returncode == code, done.stderr
        assert ("'made'" in done.stderr) == bool(code)


def add_script(channel: Any) -> None:
    series = "python{}.{}".format(*channel.python.minor)
    site = f'"$PREFIX"/lib/{series}/site-packages'
    script = f"#!/bin/sh\nmkdir -p {site}\necho LENGTH = 5 > {site}/made.py\n".encode()
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
