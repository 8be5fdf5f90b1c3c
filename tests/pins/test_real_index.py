"""The index that this machine's pip is configured with, and packages that people use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from envcap.pins.configuration import read_configuration
from envcap.pins.download import fetch
from envcap.pins.pip import pin
from envcap.pins.record import installed_rows, same_contents, wheel_rows
from envcap.pins.session import open_session
from envcap.store import STORE_FOLDER, Store

if TYPE_CHECKING:
    from tests.pins.conftest import Environment

pytestmark = pytest.mark.network

# The last one has no wheel on the index: pip builds it here.
WISHES = ["six==1.16.0", "numpy", "packaging", "msgspec", "antlr4-python3-runtime==4.9.3"]


def test_real_packages_are_pinned_fetched_and_are_what_is_installed(environment: Environment, tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--python", str(environment.python), "install", "-q"]
    done = subprocess.run([*pip, *WISHES], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    facts = environment.facts()
    configuration = read_configuration(environment.python)
    cache = Store(tmp_path / "cache")
    pinned = pin(
        facts, configuration=configuration, store=Store(tmp_path / STORE_FOLDER), cache=cache, tell=lambda _: None
    )
    packages = {package.name: package for package in pinned.packages}
    assert list(packages) == sorted(distribution.name for distribution in facts.distributions)
    built = packages.pop("antlr4-python3-runtime")
    assert built.origin == "repacked"
    assert [gap.subject for gap in pinned.gaps] == ["antlr4-python3-runtime==4.9.3"]
    six = packages["six"]
    assert six.wheel.name == "six-1.16.0-py2.py3-none-any.whl"
    assert six.wheel.sha256 == "8abb2f1d86890a2dfb989f9a77cfcfd3e47c2a354b01111771326f8aa26e0254"
    assert (six.wheel.url or "").startswith("https://")
    assert all(package.requested and package.installer == "pip" for package in pinned.packages)

    with open_session(configuration) as session:
        files = fetch(pinned.packages, cache=cache, lock_folder=tmp_path, session=session, tell=lambda _: None)
    for distribution in facts.distributions:
        package = next(one for one in pinned.packages if one.name == distribution.name)
        with files[package.wheel.sha256].open("rb") as file:
            assert same_contents(wheel_rows(file), installed_rows(Path(distribution.path))), package.name
