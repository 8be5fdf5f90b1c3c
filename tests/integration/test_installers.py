"""The lock is a PEP 751 file that others can use: `packaging` reads it, uv and pip install from it."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from packaging.pylock import Pylock

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

pytestmark = [pytest.mark.network, pytest.mark.xdist_group("digits")]
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
LOCK = "pylock.envcap.toml"


def installed(python: Path) -> dict[str, str]:
    """Ask pip what is in an environment; pip itself does not count."""
    done = subprocess.run(
        [*PIP, "--python", str(python), "list", "--format", "freeze"],
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(line.split("==") for line in done.stdout.split())


def test_packaging_uv_and_pip_take_the_lock(digits: Any, tmp_path: Path) -> None:
    digits.ok("freeze", "--repeat", "1")
    document = tomllib.loads((digits.project / LOCK).read_text())
    locked = {str(package.name): str(package.version) for package in Pylock.from_dict(document).packages}
    assert "scikit-learn" in locked

    environment = tmp_path / "by-uv"
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, environment], check=True)
    python = environment / "bin" / "python"
    subprocess.run([uv, "pip", "sync", "--quiet", "--python", python, LOCK], cwd=digits.project, check=True)
    assert installed(python) == locked

    environment = tmp_path / "by-pip"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    python = environment / "bin" / "python"
    install = [*PIP, "--python", str(python), "install", "--quiet", "--no-compile", "--no-deps", "-r", LOCK]
    subprocess.run(install, cwd=digits.project, check=True)
    assert installed(python) == locked


def test_freezing_twice_changes_only_the_declared_fields(digits: Any) -> None:
    """`created-at`, each run's `seconds` and `peak-memory`, and the digest over them."""
    digits.ok("freeze", "--repeat", "1")
    first = (digits.project / LOCK).read_text().splitlines()
    digits.ok("freeze", "--repeat", "1")
    second = (digits.project / LOCK).read_text().splitlines()
    assert len(first) == len(second)
    differing = {
        line.split(" = ")[0] for pair in zip(first, second, strict=True) if len(set(pair)) > 1 for line in pair
    }
    assert differing <= {"created-at", "seconds", "peak-memory", "lock-digest"}
