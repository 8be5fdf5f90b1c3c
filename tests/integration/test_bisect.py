"""`envcap bisect` as a user starts it: planted culprits among two dozen packages that really differ."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from envcap import lockfile

if TYPE_CHECKING:
    from tests.integration.conftest import Envcap, Shelf

NAMES = [f"part{number:02}" for number in range(1, 25)]
EVALUATE = """\
import importlib, json, pathlib
new = {{name for name in {names} if importlib.import_module(name).VERSION == "2.0"}}
assert "part11" not in new or "part14" in new, "part11 needs the new part14"
pathlib.Path("metrics.json").write_text(json.dumps({{"score": 0.5 if set({culprits}) <= new else 0.75}}))
pathlib.Path("table.csv").write_text("id\\n1\\n")
"""


@pytest.fixture
def locks(tmp_path: Path, small: Envcap, shelf: Shelf) -> Envcap:
    """Freeze two evaluations of one environment, and both again with every package newer.

    Of `good` one new package is to blame, of `pair` two that are only together. Two others go only together, by their
    requirements; and one fails without the next, which no metadata tells.
    """
    for name in NAMES:
        shelf.put(name, "1.0", *(["part04<2"] if name == "part03" else []))
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    small.environ |= {**shelf.pip, "VIRTUAL_ENV": str(environment), "PIP_CACHE_DIR": str(tmp_path / "pip")}
    small.environ |= {"DOCKER_HOST": "unix:///nowhere/docker.sock", "CONTAINER_HOST": "unix:///nowhere/podman.sock"}
    python = str(environment / "bin" / "python")
    command = [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", *NAMES]
    subprocess.run(command, env=small.environ, check=True)
    for name, culprits in (("pair", ["part22", "part23"]), ("good", ["part13"])):
        text = EVALUATE.format(names=NAMES, culprits=culprits)
        (small.project / "evaluate.py").write_text(text)
        small.ok("freeze", "--name", name)
    for name in NAMES:
        shelf.put(name, "2.0", *(["part04>=2"] if name == "part03" else []))
    small.ok("upgrade", "--name", "good", "--to", "bad")
    bad, _ = lockfile.read(small.project / "pylock.bad.toml")
    pair, _ = lockfile.read(small.project / "pylock.pair.toml")
    newer = replace(pair, name="pair-newer", packages=bad.packages)
    lockfile.write(lockfile.dump(newer), small.project / "pylock.pair-newer.toml")
    return small


def culprits_of(document: Any) -> list[str]:
    return [f"{one['package']} {one['before']} -> {one['after']}" for one in document["culprits"]]


def test_the_planted_culprit_is_found_alone_or_in_a_pair(locks: Envcap) -> None:
    stopped = locks.stop_when("run 5 of at most 100", "bisect", "good", "bad")
    assert stopped.code == 130
    assert "24 packages differ: at most 100 runs, about 10 if one is to blame" in stopped.err
    kept = list((locks.project / ".envcap" / "bisect").glob("*.json"))
    assert len(kept) >= 4

    one = locks.ok("bisect", "good", "bad", "--json").document
    assert culprits_of(one) == ["part13 1.0 -> 2.0"]
    assert (one["found"], one["exit-code"], one["changes"], one["groups"]) == (True, 0, 24, 23)
    assert sum(attempt["remembered"] for attempt in one["attempts"]) == len(kept)
    assert one["runs"] == len(one["attempts"]) - len(kept)
    assert [attempt["what"] for attempt in one["attempts"][:2]] == ["no change", "all changes"]
    assert one["attempts"][-1]["what"] == "all but part13"
    assert "metric `score`: it shifted by -0.25" in one["reasons"][0]
    assert "frozen 0.75, now 0.5" in one["reasons"][0]
    assert one["reasons"][1].startswith("`bad` without them: as frozen")
    assert all({"part03", "part04"} & set(each["changed"]) in ({"part03", "part04"}, set()) for each in one["attempts"])

    said = locks.ok("bisect", "good", "bad").out
    assert said.startswith("FOUND: one package change of 24 from `good` to `bad`\n  part13 1.0 -> 2.0\n")
    assert "0 runs of at most 100" in said

    two = locks.ok("bisect", "pair", "pair-newer", "--trust", "--json").document
    assert culprits_of(two) == ["part22 1.0 -> 2.0", "part23 1.0 -> 2.0"]
    assert any(attempt["answer"] == "did not run" for attempt in two["attempts"])
    assert two["runs"] == len(two["attempts"]) < 45
    assert not list(Path(locks.environ["TMPDIR"]).iterdir())

    few = locks("bisect", "pair", "pair-newer", "--trust", "--runs", "2", "--no-cache")
    assert (few.code, "NOT NARROWED DOWN: " in few.out) == (4, True), few.err
    same = locks("bisect", "pair", "pair-newer", "--trust", "--runs", "1")
    assert (same.code, "`--runs` is `1`" in same.err) == (2, True)
    nothing = locks("bisect", "good", "pair", env={"ENVCAP_NO_CACHE": "1"})
    assert (nothing.code, "the same packages" in nothing.err) == (2, True)
    swapped = locks("bisect", "bad", "good")
    assert (swapped.code, "`bad` does not give its own frozen result here" in swapped.out) == (4, True), swapped.err
