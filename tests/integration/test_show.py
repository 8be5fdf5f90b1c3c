"""show and export on real locks, as a user starts them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

LOCK = "pylock.envcap.toml"
EXPORTED = "requirements.txt"


def test_show_and_export_of_a_small_lock(small: Any) -> None:
    small.ok("freeze")
    before = (small.project / LOCK).read_bytes()
    assert small.ok("show").out.startswith(f"Frozen: {LOCK} (sha256 ")
    assert small.ok("show", "--tree").out.startswith(f"Frozen: {LOCK} (sha256 ")
    document = small.ok("show", "--json").document
    assert document["frozen"]["name"] == "envcap"
    assert document["roots"] == []
    assert small.ok("export").out == small.ok("export", "--format", "requirements").out
    assert small.ok("export", "--output", EXPORTED).out == ""
    assert (small.project / EXPORTED).read_text() == small.ok("export").out
    assert (small.project / LOCK).read_bytes() == before


@pytest.mark.parametrize("verb", ["show", "export"])
def test_a_lock_that_is_not_there_or_not_to_be_believed(verb: str, small: Any) -> None:
    missing = small(verb)
    assert (missing.code, missing.out) == (2, "")
    assert "envcap freeze" in missing.err
    small.ok("freeze")
    path = small.project / LOCK
    path.write_text(path.read_text().replace('name = "envcap"', 'name = "envcup"'))
    refused = small(verb)
    assert (refused.code, refused.out) == (5, "")
    assert "was changed after envcap wrote it" in refused.err


def test_a_wrong_export_writes_nothing(small: Any) -> None:
    small.ok("freeze")
    unknown = small("export", "--format", "parchment")
    assert unknown.code == 2
    assert "There is: " in unknown.err
    assert "requirements" in unknown.err
    assert small("export", "--output", ".").code == 2
    assert small("export", "--output", "absent/requirements.txt").code == 3
    assert not (small.project / "absent").exists()


def test_an_export_tells_which_packages_are_not_as_the_lock_wants_them(small: Any) -> None:
    small.ok("freeze")
    assert small.ok("export").err == ""
    site = small.project / "more"
    (site / "odd-1.0.egg-info").mkdir(parents=True)
    (site / "odd-1.0.egg-info" / "PKG-INFO").write_text("Name: odd\nVersion: 1.0\n")
    small.ok("freeze", env={"PYTHONPATH": f"{small.environ['PYTHONPATH']}{os.pathsep}{site}"})
    exported = small.ok("export")
    assert "! a gap in the lock: odd==1.0: " in exported.err
    assert "odd" not in exported.out


def install(requirements: str, folder: Path, environment: Path) -> dict[str, str]:
    """Install with a real pip into a new environment, and give what is in it."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    there = [*pip, "--python", str(environment / "bin" / "python")]
    words = ["install", "--quiet", "--no-compile", "--require-hashes", "--no-deps", "-r", requirements]
    subprocess.run([*there, *words], cwd=folder, check=True)
    listed = subprocess.run([*there, "list", "--format", "json"], capture_output=True, check=True).stdout
    return {item["name"].lower(): item["version"] for item in json.loads(listed)}


@pytest.mark.network
@pytest.mark.xdist_group("digits")
def test_edges_of_a_real_stack_and_what_pip_makes_of_its_export(digits: Any, tmp_path: Path) -> None:
    digits.ok("freeze", "--repeat", "1")
    shown = digits.ok("show", "--json").document["frozen"]
    edges = {package["name"]: package["dependencies"] for package in shown["packages"]}
    assert {"joblib", "numpy", "scipy", "threadpoolctl"} <= set(edges["scikit-learn"])
    assert shown["conflicts"] == []
    tree = digits.ok("show", "--tree").out
    assert "\n└── " in tree
    assert all(name in tree for name in edges)
    digits.ok("export", "--output", EXPORTED)
    installed = install(EXPORTED, digits.project, tmp_path / "by-pip")
    assert installed == {package["name"]: package["version"] for package in shown["packages"]}


@pytest.mark.network
@pytest.mark.xdist_group("digits")
def test_a_carried_wheel_installs_from_the_export(small: Any, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "mine.py").write_text("VALUE = 1\n")
    (source / "setup.py").write_text(
        "from setuptools import setup\n"
        "setup(name='mine', version='1.5', py_modules=['mine'], install_requires=['idna>=2', 'absent>1'])\n"
    )
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    python = environment / "bin" / "python"
    for words in (["idna==3.7"], ["--no-deps", str(source)]):
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *words]
        subprocess.run(command, check=True, env=dict(os.environ))
    frozen = small.ok("freeze", "--python", str(python))
    assert "`mine` requires `absent>1`, which is not installed" in frozen.out
    exported = small.ok("export", "--output", EXPORTED)
    assert exported.out == ""
    text = (small.project / EXPORTED).read_text()
    assert "./.envcap/store/" in text
    assert "    # via mine\n" in text
    assert install(EXPORTED, small.project, tmp_path / "by-pip")["mine"] == "1.5"
    assert "mine 1.5" in small.ok("show", "--tree").out
