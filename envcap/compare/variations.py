"""What `verify --stress` varies, and what it cannot with an engine. Pure.

Which things are worth varying follows reprotest, the tester of the Reproducible Builds project.
"""

from msgspec.structs import replace

from envcap.model.image import Task
from envcap.model.lock import Lock
from envcap.model.stress import Stressed
from envcap.model.struct import Data
from envcap.model.verdict import Verdict

ORDER = "ENVCAP_STRESS_ORDER"  # `directory_order.py` reads it
_ALWAYS = "every run has its own"
# Runs the evaluation with another file creation mask, `-` for the one that is there; no shell is needed.
_START = "import os, sys; sys.argv[1] == '-' or os.umask(int(sys.argv[1], 8)); os.execvp(sys.argv[2], sys.argv[2:])"
_HASH_SEED = "PYTHONHASHSEED"


class Variation(Data, frozen=True, kw_only=True):
    """One thing made different."""

    name: str
    setting: str
    environment: dict[str, str] = {}
    cpus: int | None = None
    umask: str = ""  # octal


def variations_for(lock: Lock, *, engine: str, processors: int) -> tuple[list[Variation], list[Stressed]]:
    """Give what can be varied, and what cannot with this engine and on a machine of so many processors, and why."""
    recorded = lock.system.environment
    zone = "<+14>-14" if lock.system.timezone != "Pacific/Kiritimati" else "<-12>+12"
    umask = "022" if lock.system.umask.endswith("77") else "077"
    latin = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    found = [
        Variation(name="hash seed", setting=f"{_HASH_SEED}=1 instead of 0", environment={_HASH_SEED: "1"}),
        Variation(name="processors", setting="one", cpus=1),
        Variation(name="home", setting="HOME cannot be made", environment={"HOME": "/dev/null/home"}),
        Variation(name="locale", setting="LC_ALL=C, without UTF-8", environment=latin),
        Variation(name="time zone", setting=f"TZ={zone}", environment={"TZ": zone}),
        Variation(name="umask", setting=umask, umask=umask),
        Variation(name="directory order", setting="backwards, for Python programs", environment={ORDER: "backwards"}),
    ]
    missing = _unvaried(engine)
    fixed = {"hash seed": _HASH_SEED, "locale": "LC_ALL", "time zone": "TZ"}
    for name, variable in fixed.items():
        if variable in recorded:
            missing.append(_not_exercised(name, f"the lock fixes {variable}"))
    if processors < 2:
        missing.append(_not_exercised("processors", "this machine has one only"))
    left_out = {one.name for one in missing}
    return [one for one in found if one.name not in left_out], missing


def stressed_task(task: Task, chosen: list[Variation], *, fixes_hash_seed: bool, hook: bytes) -> Task:
    """Give the evaluation with these things varied; without any, the one that they are compared with."""
    environment = {**task.environment, **({} if fixes_hash_seed else {_HASH_SEED: "0"})}
    for one in chosen:
        environment.update(one.environment)
    umask = next((one.umask for one in chosen if one.umask), "-")
    cpus = next((one.cpus for one in chosen if one.cpus), task.cpus)
    command = ["python", "-I", "-c", _START, umask, *task.command]
    return replace(task, command=command, environment=environment, cpus=cpus, hook=hook)


def fixes_hash_seed(lock: Lock) -> bool:
    """Tell whether the evaluation was frozen with a hash seed of its own."""
    return _HASH_SEED in lock.system.environment


def conclude_stress(verdict: Verdict, reasons: list[str], stressed: list[Stressed]) -> tuple[Verdict, list[str]]:
    """Give the verdict with what stress found: what came back only as long as nothing was varied is DIFFERENT."""
    told = [f"stress: {one.name}: {one.detail}" for one in stressed if one.outcome in {"changes the result", "fails"}]
    if not told:
        return verdict, reasons
    if verdict in {Verdict.IDENTICAL, Verdict.EQUIVALENT}:
        return Verdict.DIFFERENT, [*told, f"with nothing varied it is {verdict.value}"]
    return verdict, [*reasons, *told]


def _unvaried(engine: str) -> list[Stressed]:
    """Give what this engine does not vary, and what differs in each of its runs anyway."""
    if engine == "venv":
        reason = "the engine `venv` runs as this user on this machine"
        return [
            *(_not_exercised(name, reason) for name in ("user", "host name", "read-only root")),
            _always("working directory", "a new folder"),
        ]
    return [
        _not_exercised("working directory", "it is a part of the image"),
        _always("user", "one without privileges"),
        _always("host name", _ALWAYS),
        _always("read-only root", "the image cannot be written to"),
    ]


def _not_exercised(name: str, reason: str) -> Stressed:
    return Stressed(name=name, setting="", outcome="not exercised", detail=reason)


def _always(name: str, setting: str) -> Stressed:
    detail = "in every run of this engine, so the verdict covers it"
    return Stressed(name=name, setting=setting, outcome="no change", detail=detail)
