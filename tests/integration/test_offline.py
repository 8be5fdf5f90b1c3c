"""`envcap freeze --offline` with the network cut off by the kernel: a namespace without even a loopback that is up."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from uv import find_uv_bin

from envcap import lockfile
from envcap.model.lock import Package

if TYPE_CHECKING:
    from tests.integration.conftest import Envcap, Shelf

CUT_OFF = ["unshare", "--net", "--map-root-user"]


def cut_off(envcap: Envcap, *words: str) -> subprocess.CompletedProcess[str]:
    """Start envcap without a network, and expect it to succeed."""
    done = subprocess.run(
        [*CUT_OFF, sys.executable, "-m", "envcap", *words],
        cwd=envcap.project,
        env=envcap.environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done


def packages(envcap: Envcap, name: str) -> dict[str, Package]:
    return {one.name: one for one in lockfile.read(envcap.project / f"pylock.{name}.toml")[0].packages}


@pytest.fixture
def here(tmp_path: Path, small: Envcap) -> Envcap:
    """Give the project with a fresh environment of its own and fresh caches of pip and uv."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "uv").symlink_to(find_uv_bin())
    small.environ |= {
        "VIRTUAL_ENV": str(tmp_path / "venv"),
        "PIP_CACHE_DIR": str(tmp_path / "pip"),
        "UV_CACHE_DIR": str(tmp_path / "uv"),
        "PATH": f"{programs}:{small.environ['PATH']}",
    }
    return small


def install(envcap: Envcap, *what: str, uv: bool = False) -> None:
    python = str(Path(envcap.environ["VIRTUAL_ENV"], "bin", "python"))
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "-q"]
    command = [find_uv_bin(), "pip", "install", "-q", "--python", python] if uv else pip
    subprocess.run([*command, *what], env=envcap.environ, check=True)


def of_shelf(envcap: Envcap, shelf: Shelf) -> None:
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        envcap.environ.pop(name, None)
    envcap.environ |= {**shelf.pip, "UV_DEFAULT_INDEX": shelf.simple, "UV_NO_CONFIG": "1"}


def test_there_is_no_network_in_there() -> None:
    ask = "import socket; socket.create_connection(('127.0.0.1', 1), timeout=5)"
    done = subprocess.run([*CUT_OFF, sys.executable, "-c", ask], capture_output=True, text=True, check=False)
    assert "Network is unreachable" in done.stderr


@pytest.mark.parametrize("uv", [False, True], ids=["pip", "uv"])
def test_what_the_installer_kept_proves_as_the_index_does(here: Envcap, shelf: Shelf, uv: bool) -> None:  # noqa: FBT001
    of_shelf(here, shelf)
    digests = {"alpha": shelf.put("alpha", "1.0", "beta"), "beta": shelf.put("beta", "2.0")}
    install(here, "alpha", uv=uv)
    result = cut_off(here, "freeze", "--offline", "--name", "off")
    here.ok("freeze", "--name", "on", env={"ENVCAP_CACHE": str(here.project.parent / "other")})
    off, on = packages(here, "off"), packages(here, "on")
    assert {name: package.wheel.sha256 for name, package in off.items()} == digests
    assert all(package.confidence == "proven" for package in off.values())
    assert [(one.wheel.url, one.wheel.sha256) for one in off.values()] == [
        (one.wheel.url, one.wheel.sha256) for one in on.values()
    ]
    # uv keeps no wheels, only what was in them: that much is said.
    assert ("build will load alpha, beta" in result.stderr) == uv
    if not uv:
        assert [one.index for one in off.values()] == [one.index for one in on.values()]
        cut_off(here, "build", "--engine", "venv", "--name", "off")


def test_what_nothing_proves_is_carried_and_can_be_built(here: Envcap, shelf: Shelf) -> None:
    of_shelf(here, shelf)
    shelf.put("alpha", "1.0")
    install(here, "alpha")
    shutil.rmtree(here.environ["PIP_CACHE_DIR"])
    result = cut_off(here, "freeze", "--offline", "--json")
    (package,) = packages(here, "envcap").values()
    assert (package.confidence, package.origin) == ("carried", "repacked")
    reasons = {gap["subject"]: gap["reason"] for gap in json.loads(result.stdout)["frozen"]["gaps"]}
    assert reasons["alpha==1.0"] == (
        "nothing on this machine tells which wheel it came from, and `--offline` asks nobody else"
    )
    cut_off(here, "build", "--engine", "venv")


def test_a_wheel_without_its_page_is_taken_along(here: Envcap, shelf: Shelf) -> None:
    of_shelf(here, shelf)
    digest = shelf.put("alpha", "1.0")
    install(here, "alpha")
    for body in Path(here.environ["PIP_CACHE_DIR"]).rglob("*.body"):
        if body.read_bytes()[:2] != b"PK":
            body.unlink()
    cut_off(here, "freeze", "--offline")
    (package,) = packages(here, "envcap").values()
    assert (package.wheel.sha256, package.confidence) == (digest, "proven")
    assert package.wheel.path is not None
    cut_off(here, "build", "--engine", "venv")


def test_what_the_caches_say_wrongly_proves_nothing(here: Envcap, shelf: Shelf) -> None:
    of_shelf(here, shelf)
    shelf.put("alpha", "1.0")
    install(here, "alpha", uv=True)
    for record in Path(here.environ["UV_CACHE_DIR"]).rglob("alpha-1.0.dist-info/RECORD"):
        record.write_text(record.read_text().replace("sha256=", "sha256=A", 1))
    cut_off(here, "freeze", "--offline")
    (package,) = packages(here, "envcap").values()
    assert package.confidence == "carried"


def test_what_envcap_learned_before_counts(here: Envcap, shelf: Shelf) -> None:
    of_shelf(here, shelf)
    shelf.put("alpha", "1.0")
    install(here, "alpha")
    shutil.rmtree(here.environ["PIP_CACHE_DIR"])
    here.ok("freeze", "--name", "on")
    cut_off(here, "freeze", "--offline", "--name", "off")
    assert packages(here, "off") == packages(here, "on")


def test_a_base_that_no_engine_here_has_is_a_gap(here: Envcap) -> None:
    here.environ["DOCKER_HOST"] = "unix:///nowhere/docker.sock"
    result = cut_off(here, "freeze", "--offline", "--json")
    (gap,) = [gap for gap in json.loads(result.stdout)["frozen"]["gaps"] if gap["where"] == "base"]
    assert "`--offline` asks no registry" in gap["reason"]
    here.environ["DOCKER_HOST"] = "tcp://engine.example.org:2375"
    result = cut_off(here, "freeze", "--offline", "--json")
    assert "does not ask a Docker engine of another machine" in str(json.loads(result.stdout)["frozen"]["gaps"])


@pytest.mark.network
@pytest.mark.parametrize("uv", [False, True], ids=["pip", "uv"])
def test_real_packages_get_the_hashes_that_they_get_online(here: Envcap, uv: bool) -> None:  # noqa: FBT001
    install(here, "six==1.16.0", "msgspec", "antlr4-python3-runtime==4.9.3", uv=uv)
    cut_off(here, "freeze", "--offline", "--name", "off")
    here.ok("freeze", "--name", "on", env={"ENVCAP_CACHE": str(here.project.parent / "other")})
    off, on = packages(here, "off"), packages(here, "on")
    assert off.keys() == on.keys()
    assert off["antlr4-python3-runtime"] == on["antlr4-python3-runtime"]
    if uv:
        assert {name: one.wheel.sha256 for name, one in off.items()} == {n: o.wheel.sha256 for n, o in on.items()}
        assert {name: one.wheel.url for name, one in off.items()} == {n: o.wheel.url for n, o in on.items()}
        return
    # Whether pip keeps wheels is for the index to say; what it has built it always keeps.
    for name in ("six", "msgspec"):
        assert off[name].wheel.sha256 == on[name].wheel.sha256 or off[name].confidence == "carried"
    gaps = {gap.subject: gap.reason for gap in lockfile.read(here.project / "pylock.off.toml")[0].gaps}
    assert "antlr4-python3-runtime-4.9.3.tar.gz (sha256 f224469b" in gaps["antlr4-python3-runtime==4.9.3"]
