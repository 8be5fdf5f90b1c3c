"""`verify --stress`: what must not matter is varied, and what did matter is named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.integration.conftest import Envcap

NO_DOCKER = {"DOCKER_HOST": "unix:///nowhere/docker.sock", "CONTAINER_HOST": "unix:///nowhere/podman.sock"}
VARIED = {"hash seed", "processors", "home", "locale", "time zone", "umask", "directory order"}
UNREACHED = {"user", "host name", "read-only root"}
PROGRAM = """\
import json, os, pathlib
{body}
pathlib.Path("metrics.json").write_text(json.dumps({{"score": score}}))
pathlib.Path("table.csv").write_text("id\\n1\\n")
"""


def prepared(small: Envcap, body: str, **environ: str) -> Envcap:
    """Freeze and build such an evaluation."""
    small.environ.update(NO_DOCKER)
    (small.project / "rows").mkdir()
    for name in ("a", "b", "c"):
        (small.project / "rows" / name).write_text(name)
    (small.project / "evaluate.py").write_text(PROGRAM.format(body=body))
    small.ok("freeze", "--offline", env=environ)
    small.ok("build", "--engine", "venv")
    return small


def stressed(small: Envcap, body: str, **environ: str) -> tuple[Any, dict[str, str]]:
    """Give the judgement under stress as a document, and the outcome of each variation."""
    document = prepared(small, body, **environ)("verify", "--engine", "venv", "--stress", "--json").document
    return document, {one["name"]: one["outcome"] for one in document["stressed"]}


def test_what_depends_on_the_hash_seed_is_found(small: Envcap) -> None:
    prepared(small, "score = ''.join({chr(97 + number) for number in range(20)})")
    result = small("verify", "--engine", "venv", "--stress")
    assert (result.code, result.out.startswith("DIFFERENT")) == (1, True)
    (line,) = (line for line in result.out.splitlines() if line.startswith("  hash seed "))
    assert "PYTHONHASHSEED=1 instead of 0" in line
    assert result.out.count("changes the result") == 1
    assert "stress: hash seed" in result.out


def test_two_culprits_are_told_apart_and_what_cannot_be_varied_is_not_called_passed(small: Envcap) -> None:
    body = "score = ''.join(os.listdir('rows'))\nos.listdir(os.path.expanduser('~'))"
    document, outcomes = stressed(small, body, PYTHONHASHSEED="7")
    assert document["verdict"] == "DIFFERENT"
    assert "with nothing varied it is IDENTICAL" in document["reasons"]
    assert (outcomes["directory order"], outcomes["home"]) == ("changes the result", "fails")
    assert outcomes["hash seed"] == "not exercised"
    assert "the lock fixes PYTHONHASHSEED" in [one["detail"] for one in document["stressed"]]
    assert {outcomes[name] for name in VARIED - {"directory order", "home", "hash seed", "processors"}} == {"no change"}
    assert {outcomes[name] for name in UNREACHED} == {"not exercised"}


def test_what_depends_on_nothing_stays(small: Envcap) -> None:
    document, outcomes = stressed(small, "score = 1.5 + len(os.listdir('rows'))")
    assert document["verdict"] == "IDENTICAL"
    assert {outcomes[name] for name in VARIED - {"processors"}} == {"no change"}
    assert {outcomes[name] for name in UNREACHED} == {"not exercised"}
