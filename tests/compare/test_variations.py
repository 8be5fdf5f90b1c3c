"""What stress varies, what it admits that it cannot, and what that does to the verdict."""

from msgspec.structs import replace

from envcap.compare.variations import conclude_stress, fixes_hash_seed, stressed_task, variations_for
from envcap.model.image import Task
from envcap.model.lock import Lock
from envcap.model.stress import Stressed
from envcap.model.verdict import Verdict

TASK = Task(command=["python", "evaluate.py"], timeout=1.0)


def recording(lock: Lock, **environment: str) -> Lock:
    return replace(lock, system=replace(lock.system, environment=environment))


def test_each_thing_is_either_varied_or_told_not_to_be(sample_lock: Lock) -> None:
    names = set()
    for engine in ("venv", "docker"):
        found, missing = variations_for(recording(sample_lock, TZ="UTC"), engine=engine, processors=1)
        told = [one.name for one in found] + [one.name for one in missing]
        assert len(told) == len(set(told)) == 11
        names |= set(told)
        outcomes = {one.name: one.outcome for one in missing}
        assert outcomes["processors"] == outcomes["time zone"] == "not exercised"
        assert outcomes["user"] == ("not exercised" if engine == "venv" else "no change")
    assert len(names) == 11


def test_a_task_gets_what_is_varied_and_its_hash_seed_is_known(sample_lock: Lock) -> None:
    lock = recording(sample_lock)
    found, _ = variations_for(lock, engine="venv", processors=2)
    plain = stressed_task(TASK, [], fixes_hash_seed=fixes_hash_seed(lock), hook=b"")
    varied = stressed_task(TASK, found, fixes_hash_seed=fixes_hash_seed(lock), hook=b"")
    assert (plain.environment, plain.cpus, plain.command[4]) == ({"PYTHONHASHSEED": "0"}, None, "-")
    assert (varied.environment["PYTHONHASHSEED"], varied.cpus) == ("1", 1)
    assert varied.command[5:] == TASK.command
    assert fixes_hash_seed(recording(sample_lock, PYTHONHASHSEED="3"))


def test_only_what_changes_the_result_changes_the_verdict() -> None:
    def one(outcome: str) -> list[Stressed]:
        return [Stressed(name="home", setting="", outcome=outcome, detail="it failed")]  # type: ignore[arg-type]

    for outcome in ("no change", "within tolerance", "not exercised", "not told"):
        assert conclude_stress(Verdict.IDENTICAL, ["equal"], one(outcome)) == (Verdict.IDENTICAL, ["equal"])
    reasons = ["stress: home: it failed", "with nothing varied it is EQUIVALENT"]
    assert conclude_stress(Verdict.EQUIVALENT, ["near"], one("fails")) == (Verdict.DIFFERENT, reasons)
    assert conclude_stress(Verdict.INCONCLUSIVE, ["few"], one("fails"))[0] is Verdict.INCONCLUSIVE
