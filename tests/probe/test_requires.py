"""What packages require, as the probe reads it from dist-info and egg-info, and the variables that markers need."""

import importlib.metadata
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.markers import default_environment
from packaging.requirements import Requirement

from envcap.probe.handover import decode, pack, probe_host
from envcap.probe.target.distributions import list_distributions
from envcap.probe.target.gaps import Gaps
from envcap.probe.target.requires import parse_requires_txt

REQUIRES_TXT = """plain>=1
address @ https://files.example.org/x.whl

[fast]
numbers
[:python_version < "3.9"]
backport
[slow:os_name == "nt" or os_name == "posix"]
either
other@ https://files.example.org/y.whl
[]
last
"""


def requires(*folders: Path) -> object:
    (found,) = list_distributions([str(folder) for folder in folders], Gaps())
    return found["requires"]


def test_requirements_of_a_wheel(tmp_path: Path, add_dist_info: Callable[..., Path]) -> None:
    metadata = (
        "Name: one\nVersion: 1\nRequires-Dist: two>=1\nrequires-dist: three;\n  extra == 'x'\n\nRequires-Dist: no\n"
    )
    add_dist_info(tmp_path, "one", "1", {"METADATA": metadata})
    assert requires(tmp_path) == ["two>=1", "three; extra == 'x'"]


def test_requirements_of_an_egg_info(tmp_path: Path) -> None:
    folder = tmp_path / "one.egg-info"
    folder.mkdir()
    (folder / "PKG-INFO").write_text("Name: one\nVersion: 1\n")
    assert requires(tmp_path) == []
    (folder / "requires.txt").write_text(REQUIRES_TXT)
    assert requires(tmp_path) == parse_requires_txt(REQUIRES_TXT.encode())
    (folder / "PKG-INFO").write_text("Name: one\nVersion: 1\nRequires-Dist: two\n")
    assert requires(tmp_path) == ["two"]


def test_sections_mean_what_importlib_metadata_makes_of_them(tmp_path: Path) -> None:
    folder = tmp_path / "one.egg-info"
    folder.mkdir()
    (folder / "PKG-INFO").write_text("Name: one\nVersion: 1\n")
    (folder / "requires.txt").write_text(REQUIRES_TXT)
    (known,) = importlib.metadata.distributions(path=[str(tmp_path)])
    expected = sorted(str(Requirement(line)) for line in known.requires or [])
    assert sorted(str(Requirement(line)) for line in parse_requires_txt(REQUIRES_TXT.encode())) == expected


@given(content=st.binary(max_size=200))
def test_no_bytes_make_it_fail(content: bytes) -> None:
    assert all(parse_requires_txt(content))


def test_markers_are_those_that_packaging_would_use() -> None:
    assert probe_host(Path(sys.executable)).markers == default_environment()


def test_markers_of_every_interpreter(interpreter: Path, tmp_path: Path) -> None:
    program = tmp_path / "probe.py"
    program.write_bytes(pack())
    facts = decode(subprocess.run([interpreter, "-B", program], capture_output=True, check=True).stdout)
    asked = "import platform, sys; print(platform.python_implementation(), platform.version(), sep='|')"
    told = subprocess.run([interpreter, "-c", asked], capture_output=True, text=True, check=True).stdout.strip()
    markers = facts.markers
    assert "|".join((markers["platform_python_implementation"], markers["platform_version"])) == told
    assert markers["python_full_version"] == facts.interpreter.version
    assert set(markers) == set(default_environment())


def test_an_unreadable_requires_txt_is_a_gap(tmp_path: Path) -> None:
    folder = tmp_path / "one.egg-info"
    (folder / "requires.txt").mkdir(parents=True)
    (folder / "PKG-INFO").write_text("Name: one\nVersion: 1\n")
    gaps = Gaps()
    (found,) = list_distributions([str(tmp_path)], gaps)
    assert found["requires"] == []
    assert [gap["subject"] for gap in gaps.found] == [str(folder / "requires.txt")]


pytestmark = pytest.mark.filterwarnings("default::DeprecationWarning")
