"""`verify --stress`: what must not matter is varied, and what did matter is named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.integration.conftest import EngineState, Envcap

NO_DOCKER = {"DOCKER_HOST": "unix:///nowhere/docker.sock", "CONTAINER_HOST": "unix:///nowhere/podman.sock"}
IN_CONTAINERS = {"user", "host name", "working directory"}
VARIED = {"hash seed", "processors", "home", "locale", "time zone", "umask", "directory order"}
UNREACHED = {"user", "host name", "read-only root"}
PROGRAM = """\
import json, os, pathlib
{body}
pathlib.Path("metrics.json").write_text(json.dumps({{"score": score}}))
pathlib.Path("table.csv").write_text("id\\n1\\n")
"""


def prepared(small: Envcap, body: str, *, engine: str = "venv", **environ: str) -> Envcap:
    """Freeze and build such an evaluation."""
    if engine == "venv":
        small.environ.update(NO_DOCKER)
    (small.project / "rows").mkdir()
    for name in ("a", "b", "c"):
        (small.project / "rows" / name).write_text(name)
    (small.project / "evaluate.py").write_text(PROGRAM.format(body=body))
    small.ok("freeze", *(["--offline"] if engine == "venv" else []), env=environ)
    small.ok("build", "--engine", engine)
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


@pytest.mark.engine
@pytest.mark.network
def test_a_container_has_more_to_vary(small: Envcap, engine_state: EngineState) -> None:
    """It must be this user in that folder on such a host, who may write there: only so is the score another one."""
    body = (
        "found = (os.getuid(), os.getcwd(), os.uname().nodename)\n"
        "score = 1.5 + (found == (54321, '/elsewhere/work', 'elsewhere'))\n"
        "pathlib.Path('rows', 'new').write_text('x')\n"
    )
    prepared(small, body, engine="docker")
    before = engine_state.look()
    result = small("verify", "--engine", "docker", "--stress")
    assert result.out.startswith("DIFFERENT: stress: user: only together with host name, working directory"), result.out
    rows = {line.strip().split("  ")[0]: line for line in result.out.partition("Stress:\n")[2].splitlines()}
    assert all("changes the result" in rows[name] for name in IN_CONTAINERS), result.out
    assert all("no change" in rows[name] for name in VARIED - {"processors"}), result.out
    assert "not exercised" in rows["read-only root"]
    assert "Why: the outputs depend on what must not matter, as stress showed: user, host name" in result.out
    assert engine_state.left_since(before) == set()
