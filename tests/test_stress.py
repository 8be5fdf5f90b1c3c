"""What stress makes of runs that end badly, by the evaluation's fault or by that of what it ran on."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from envcap.diagnose import Case
from envcap.engines.venv import VenvEngine
from envcap.errors import NotRunError
from envcap.model.facts import Facts
from envcap.model.image import Image, Outcome, Task
from envcap.model.lock import Lock
from envcap.model.numerics import Numerics
from envcap.model.progress import Tell, say_nothing
from envcap.store import Store
from envcap.stress import stress

ENDED = Outcome(code=0, seconds=1.0, stdout="", tail=[])
Ends = Callable[[Task], Outcome]


class Scripted(VenvEngine):
    """An engine of containers whose runs end as the test says, with the metric 1 unless another is asked for."""

    name = "docker"

    def __init__(self, root: Path, ends: Ends) -> None:
        super().__init__(root)
        self._ends = ends
        self.runs = 0

    def run(self, image: Image, task: Task, *, results: Path, tell: Tell) -> Outcome:
        """End as the test says."""
        del image, tell
        self.runs += 1
        outcome = self._ends(task)
        (results / "metrics.json").write_bytes(msgspec.json.encode({"score": len(outcome.stdout) + 1}))
        return outcome


@pytest.fixture
def outcomes(sample_lock: Lock, tmp_path: Path) -> Callable[[Ends], dict[str, tuple[str, str]]]:
    """Give what runs stress with such an engine, and gives outcome and detail of each variation."""
    declaration = replace(sample_lock.declaration, metrics="metrics.json", artifacts=[], tolerance={}, primary=None)
    run = replace(sample_lock.runs[0], metrics={"score": 1}, artifacts=[])
    system = replace(sample_lock.system, environment={})
    lock = replace(sample_lock, declaration=declaration, runs=[run], system=system)
    image = Image(engine="docker", reference="x", identity="x", lock_sha256="0" * 64)
    task = Task(command=["python", "evaluate.py"], timeout=10.0)
    facts = Facts(
        format=1,
        interpreter=lock.python,
        executable="/opt/env/bin/python",
        prefix="/opt/env",
        base_prefix="/usr/local",
        paths=[],
        distributions=[],
        system=lock.system,
        hardware=lock.hardware,
    )

    def asked(ends: Ends) -> dict[str, tuple[str, str]]:
        engine = Scripted(tmp_path, ends)
        case = Case(engine, image, lock, task, Store(tmp_path), facts, Numerics(), [], [], [])
        return {one.name: (one.outcome, one.detail) for one in stress(case, tell=say_nothing)}

    return asked


Outcomes = Callable[[Ends], dict[str, tuple[str, str]]]


def test_what_the_engine_cannot_vary_is_not_exercised_and_the_rest_is(outcomes: Outcomes) -> None:
    def ends(task: Task) -> Outcome:
        if task.cpus == 1:
            raise NotRunError("no cpuset here")
        return ENDED

    found = outcomes(ends)
    assert found.pop("processors") == ("not exercised", "it cannot run: no cpuset here")
    assert found.pop("read-only root")[0] == "not exercised"
    assert set(found.values()) == {("no change", "varied together with all others")}


def test_a_run_that_takes_too_long_or_too_much_tells_nothing(outcomes: Outcomes) -> None:
    def ends(task: Task) -> Outcome:
        if task.cpus == 1:
            return replace(ENDED, code=137, timed_out=True)
        return replace(ENDED, code=137, out_of_memory=True) if task.user else ENDED

    found = outcomes(ends)
    assert (found["processors"][0], found["user"]) == ("not told", ("not told", "it ran out of memory"))
    assert "it did not end within" in found["processors"][1]
    assert found["home"][0] == "no change"


def test_the_culprit_is_found_beside_what_the_engine_cannot_vary(outcomes: Outcomes) -> None:
    def ends(task: Task) -> Outcome:
        if task.host == "elsewhere":
            raise NotRunError("no host names here")
        return replace(ENDED, stdout="x" if task.environment.get("HOME") else "", code=int(bool(task.folder)))

    found = outcomes(ends)
    assert found["host name"][0] == "not exercised"
    assert (found["home"][0], found["working directory"][0]) == ("changes the result", "fails")
    assert {outcome for name, (outcome, _) in found.items() if name in {"user", "umask", "time zone"}} == {"no change"}


def test_without_a_run_to_compare_with_nothing_is_told(outcomes: Outcomes) -> None:
    def ends(_: Task) -> Outcome:
        raise NotRunError("it stopped answering")

    found = outcomes(ends)
    found.pop("read-only root")
    assert set(found.values()) == {("not told", "with nothing varied it cannot run: it stopped answering")}


def test_runs_that_differ_by_themselves_tell_nothing(outcomes: Outcomes) -> None:
    turns = iter(range(100))
    found = outcomes(lambda _: replace(ENDED, stdout="x" * next(turns)))
    found.pop("read-only root")
    assert {outcome for outcome, _ in found.values()} == {"not told"}
