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

pytestmark = [pytest.mark.engine, pytest.mark.network, pytest.mark.xdist_group("engine")]
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
    leave_no_image: None,
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
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    frozen = ok("freeze", "--repeat", "1", "--json", "--", "python", "evaluate.py")["frozen"]
    lock, _ = lockfile.read(project / "pylock.envcap.toml")
    assert [(one.name, one.version) for one in lock.packages] == [("idna", "3.7"), ("six", "1.16.0")]
    assert [one.name for one in lock.conda] == ["msgspec", "places", "python", "shapes", "six"]
    assert frozen["gaps"] == []
    built = ok("build", "--engine", "docker", "--json")
    verified = ok("verify", "--engine", "docker", "--json")
    assert verified["verdict"] == "IDENTICAL"
    assert verified["findings"] == []
    assert len(verified["checks"]) == 5

    client = docker.from_env()
    ask = ["sh", "-c", f"cat {prefix}/conda-meta/shapes-*.json; {prefix}/bin/shapes; find / -xdev -name '*rattler*'"]
    said = client.containers.run(built["image"]["reference"], ask, remove=True, user="0", network_mode="none").decode()
    client.close()
    record, end = json.JSONDecoder().raw_decode(said)
    assert record["depends"] == ["python >=3.10", "places"]
    assert record["constrains"] == ["numpy >=9"]
    assert record["url"] == f"{whole_channel.address}/noarch/shapes-1.2-pyh0_0.conda"
    assert said[end:].split() == ["0.30000000000000004"]
