"""The probe under every CPython of this machine, against what that interpreter says of itself."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.tags import sys_tags

from envcap.probe.handover import probe_host
from envcap.probe.target.interpreter import kind, wheel_tag

# The slow and sure way to the same facts.
_ORACLE = """
import ctypes, json, locale, os, platform, sys, sysconfig
locale.setlocale(locale.LC_ALL, "")
try:
    from importlib.metadata import distributions
    names = sorted({(d.metadata["Name"], d.version) for d in distributions() if d.metadata["Name"]})
except ImportError:
    names = None
libc = getattr(ctypes.CDLL(None), "gnu_get_libc_version", None)  # platform.libc_ver() is wrong before 3.8
if libc is not None:
    libc.restype = ctypes.c_char_p
print(json.dumps({
    "version": platform.python_version(), "build": [*platform.python_build(), platform.python_compiler()],
    "abi": sysconfig.get_config_var("SOABI"), "platform": sysconfig.get_platform(), "paths": sys.path[1:],
    "prefix": sys.prefix, "base_prefix": sys.base_prefix, "executable": sys.executable,
    "encoding": locale.getpreferredencoding(False), "locale": locale.setlocale(locale.LC_CTYPE),
    "glibc": libc and libc().decode(), "names": names,
}))
"""


def test_agrees_with_the_interpreter_itself(interpreter: Path) -> None:
    facts = probe_host(interpreter)
    done = subprocess.run([interpreter, "-c", _ORACLE], capture_output=True, check=True, stdin=subprocess.DEVNULL)
    truth = json.loads(done.stdout)
    python, system = facts.interpreter, facts.system
    assert (python.implementation, python.version, python.abi) == ("cpython", truth["version"], truth["abi"])
    assert all(" ".join(part.split()) in python.build.replace(",", "") for part in truth["build"])
    digits = "".join(truth["version"].split(".")[:2])
    platform = truth["platform"].replace("-", "_").replace(".", "_")
    assert python.tag.startswith(f"cp{digits}-cp{digits}")
    assert python.tag.endswith(f"-{platform}")
    assert facts.paths == truth["paths"]
    assert (facts.prefix, facts.base_prefix) == (truth["prefix"], truth["base_prefix"])
    assert facts.executable == truth["executable"]
    assert (system.locale, system.encoding) == (truth["locale"], truth["encoding"])
    if truth["glibc"] is not None:
        assert (system.libc, system.libc_version) == ("glibc", truth["glibc"])
    if truth["names"] is not None:
        hidden = {gap.subject for gap in facts.gaps if gap.where == "packages"}
        seen = {(one.name, one.version) for one in facts.distributions}
        assert {tuple(one) for one in truth["names"] if one[0] not in hidden} == {
            one for one in seen if one[0] not in hidden
        }


def test_a_virtual_environment_of_it(interpreter: Path, tmp_path: Path) -> None:
    subprocess.run([interpreter, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    facts = probe_host(tmp_path / "venv" / "bin" / "python")
    assert facts.interpreter.kind == "venv"
    assert facts.prefix == str(tmp_path / "venv")
    assert facts.base_prefix not in ("", facts.prefix)
    assert facts.paths[-1].startswith(facts.prefix)
    assert facts.distributions == []


def test_the_users_own_packages_are_seen(tmp_path: Path, add_dist_info: Callable[..., Path]) -> None:
    base = Path(sys.executable).resolve()  # virtual environments have no user site
    env = {"PYTHONUSERBASE": str(tmp_path)}
    ask = [str(base), "-c", "import site; print(site.getusersitepackages())"]
    folder = subprocess.run(ask, env=env, capture_output=True, check=True, text=True).stdout.strip()
    path = add_dist_info(Path(folder), "mine", "1.0")
    assert str(path) in [distribution.path for distribution in probe_host(base, env=env).distributions]


def test_the_tag_is_one_that_packaging_would_try() -> None:
    assert probe_host(Path(sys.executable)).interpreter.tag in {str(tag) for tag in sys_tags()}


@pytest.mark.parametrize(
    ("implementation", "release", "abi", "expected"),
    [
        ("cpython", (3, 6), "cpython-36m-x86_64-linux-gnu", "cp36-cp36m-linux_x86_64"),
        ("cpython", (3, 11), "cpython-311d-x86_64-linux-gnu", "cp311-cp311d-linux_x86_64"),
        ("cpython", (3, 13), "cpython-313t-x86_64-linux-gnu", "cp313-cp313t-linux_x86_64"),
        ("pypy", (3, 9), "pypy39-pp73-x86_64-linux-gnu", "pp39-pypy39_pp73-linux_x86_64"),
    ],
)
def test_wheel_tags(implementation: str, release: tuple[int, int], abi: str, expected: str) -> None:
    assert wheel_tag(implementation, release, abi, "linux_x86_64") == expected


def test_tells_the_kinds_of_environment_apart(tmp_path: Path) -> None:
    conda = tmp_path / "conda"
    (conda / "conda-meta").mkdir(parents=True)
    assert kind(str(conda), str(conda)) == "conda"
    assert kind(str(tmp_path), str(conda)) == "venv"
    assert kind("/usr", "/usr") == "system"
    assert kind(str(tmp_path), str(tmp_path)) == "prefix"


def test_records_flags_that_bend_results() -> None:
    env = {"PYTHONOPTIMIZE": "2", "PYTHONHASHSEED": "0", "PYTHONUTF8": "1", "PYTHONNOUSERSITE": "1"}
    flags = probe_host(Path(sys.executable), env=env).interpreter.flags
    assert flags == {"optimize": 2, "hash_randomization": 0, "utf8_mode": 1, "no_user_site": 1}
