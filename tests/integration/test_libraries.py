"""An evaluation that needs a system library and a program that no slim base has: nothing is written by hand."""

import subprocess
from typing import Any

import msgspec
import pytest

from envcap import lockfile

pytestmark = [pytest.mark.engine, pytest.mark.network]

# libgomp through ctypes, as packages without wheels load it; `file` as a program, which brings libmagic and its data.
PROGRAM = """\
import ctypes, json, locale, os, pathlib, random, subprocess
os.environ["OMP_DYNAMIC"] = "FALSE"
random.seed(11)
gomp = ctypes.CDLL("libgomp.so.1")
gomp.omp_set_num_threads(3)
kind = subprocess.run(["file", "--brief", "evaluate.py"], check=True, capture_output=True, text=True).stdout.strip()
values = [float(word) for word in pathlib.Path("data/values.txt").read_text().split()]
locale.setlocale(locale.LC_ALL, "")
values += [1.0 + sorted(["z", "ä", "b"], key=locale.strxfrm).index("ä")]
written = locale.format_string("%.1f", sum(values))
result = {"kind": kind, "threads": gomp.omp_get_max_threads(), "sum": sum(values), "written": written}
pathlib.Path("metrics.json").write_text(json.dumps(result))
"""
LOCALE = "de_DE.UTF-8"  # writes a comma in numbers, and sorts `ä` before `b`
REMARK = "this host has no `{}`: `apt-get update && apt-get install libgomp1 file`"


def test_libraries_and_programs_come_into_the_image(small: Any, engine_state: Any) -> None:
    before = engine_state.look()
    (small.project / "evaluate.py").write_text(PROGRAM)
    (small.project / "data").mkdir()
    (small.project / "data" / "values.txt").write_text("1.5 2.5")
    (small.project / ".gitignore").write_text("data\n")
    (small.project / "envcap.toml").write_text('[evaluation]\ncommand = ["python", "evaluate.py"]\nrepeat = 1\n')
    small.environ |= {"LANG": LOCALE, "LC_TIME": "C"}
    small.environ.pop("LC_ALL", None)
    for name in ("libgomp1", "file"):
        found = subprocess.run(["dpkg-query", "--show", name], capture_output=True, check=False)
        assert found.returncode == 0, REMARK.format(name)

    offered = small.ok("freeze")
    assert 'put: data = ["data/values.txt"]' in offered.out
    document = small.ok("freeze", "--data", "data", "--json").document["frozen"]
    # A host that has not been upgraded has versions that the archive has left behind, and says so.
    told = {(gap["where"], gap["subject"]) for gap in document["gaps"] if gap["where"] != "os-packages"}
    assert told == {("evaluation.watch", "file")}
    assert document["watched"]["read"]["data"] == 1
    assert [item["package"] for item in document["executables"]] == ["file"]
    seen = {item["package"]: item["seen"] for item in document["libraries"]}
    assert (seen["libgomp1"], seen["libmagic1"]) == ("loaded", "both")
    names = [item["name"] for item in document["os_packages"]["packages"]]
    assert set(names) >= {"locales", "libgomp1", "libmagic-mgc", "libmagic1", "file"}
    assert names.index("libmagic-mgc") < names.index("libmagic1") < names.index("file")
    assert "libc6" not in names
    assert document["os_packages"]["locales"] == [LOCALE]
    assert document["system"]["locale-categories"] == {"LC_TIME": "C"}
    assert document["runs"][0]["metrics"]["written"] == "5,0"
    assert document["settings"]["OMP_DYNAMIC"] == "FALSE"
    assert document["seeds"] == [{"file": "evaluate.py", "line": 3, "call": "random.seed(11)"}]

    small.ok("build", "--engine", "docker")
    verified = small.ok("verify", "--engine", "docker", "--json").document
    assert verified["verdict"] == "IDENTICAL"
    assert not [item for item in verified["findings"] if item["where"] in {"libraries", "settings", "system"}]
    shown = small.ok("show").out
    assert "libgomp.so.1" in shown
    assert f"{LOCALE}, LC_TIME C" in shown
    assert engine_state.left_since(before) == set()
    refuses_another_file(small)


def refuses_another_file(small: Any) -> None:
    """Name another digest for a package in the lock: the build stops before anything is installed."""
    path = small.project / "pylock.envcap.toml"
    lock, _ = lockfile.read(path)
    assert lock.os_packages is not None
    changed = small.project / "pylock.changed.toml"
    packages = lock.os_packages.packages
    other = msgspec.structs.replace(packages[0], sha256="0" * 64)
    forged = msgspec.structs.replace(
        lock, os_packages=msgspec.structs.replace(lock.os_packages, packages=[other, *packages[1:]])
    )
    changed.write_bytes(lockfile.dump(forged))
    refused = small("build", "--engine", "docker", "--name", "changed")
    assert refused.code == 5
    assert packages[0].name in refused.err
