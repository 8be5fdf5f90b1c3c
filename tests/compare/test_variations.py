"""What stress varies, what it admits that it cannot, and what that does to the verdict."""

import pytest
from msgspec.structs import replace

from envcap.compare.variations import conclude_stress, fixes_hash_seed, stressed_task, variations_for
from envcap.model.image import Task
from envcap.model.lock import Lock
from envcap.model.stress import Stressed
from envcap.model.verdict import Verdict

TASK = Task(command=["python", "evaluate.py"], timeout=1.0)


def recording(lock: Lock, **environment: str) -> Lock:
    return replace(lock, system=replace(lock.system, environment=environment))


NAMES = {
    "hash seed", "processors", "home", "locale", "time zone", "umask", "directory order", "user", "host name",
    "working directory", "read-only root",
}  # fmt: skip


@pytest.mark.parametrize(
    ("engine", "unvaried", "always"),
    [
        ("venv", {"user", "host name", "read-only root"}, {"working directory"}),
        ("docker", {"read-only root"}, set()),
        ("podman", {"read-only root"}, set()),
    ],
)
def test_each_thing_is_either_varied_or_told_not_to_be(
    engine: str, unvaried: set[str], always: set[str], sample_lock: Lock
) -> None:
    plan = variations_for(recording(sample_lock, TZ="UTC"), engine=engine, processors=1)
    told = [*(one.name for one in (*plan.varied, *plan.always)), *(one.name for one in plan.missing)]
    assert (len(told), set(told)) == (len(NAMES), NAMES)
    assert {one.outcome for one in plan.missing} == {"not exercised"}
    assert {one.name for one in plan.missing} == {"processors", "time zone", *unvaried}
    assert {one.name for one in plan.always} == always


def test_a_task_gets_what_is_varied_and_its_hash_seed_is_known(sample_lock: Lock) -> None:
    lock = recording(sample_lock)
    found = variations_for(lock, engine="docker", processors=2).varied
    fixes = fixes_hash_seed(lock)
    plain = stressed_task(TASK, [], processors=4, fixes_hash_seed=fixes, hook=b"")
    varied = stressed_task(TASK, found, processors=4, fixes_hash_seed=fixes, hook=b"")
    assert (plain.environment, plain.cpus, plain.command[4]) == ({"PYTHONHASHSEED": "0"}, None, "-")
    assert (plain.user, plain.folder, plain.timeout) == (None, "", TASK.timeout)
    assert (varied.environment["PYTHONHASHSEED"], varied.cpus) == ("1", 1)
    assert varied.command[5:] == TASK.command
    assert varied.timeout == 4 * TASK.timeout  # one processor has the work of four
    assert varied.host != plain.host
    assert varied.user is not None
    assert varied.folder
    assert fixes_hash_seed(recording(sample_lock, PYTHONHASHSEED="3"))


def test_only_what_changes_the_result_changes_the_verdict() -> None:
    def one(outcome: str) -> list[Stressed]:
        return [Stressed(name="home", setting="", outcome=outcome, detail="it failed")]  # type: ignore[arg-type]

    for outcome in ("no change", "within tolerance", "not exercised", "not told"):
        assert conclude_stress(Verdict.IDENTICAL, ["equal"], one(outcome)) == (Verdict.IDENTICAL, ["equal"])
    reasons = ["stress: home: it failed", "with nothing varied it is EQUIVALENT"]
    assert conclude_stress(Verdict.EQUIVALENT, ["near"], one("fails")) == (Verdict.DIFFERENT, reasons)
    assert conclude_stress(Verdict.INCONCLUSIVE, ["few"], one("fails"))[0] is Verdict.INCONCLUSIVE
