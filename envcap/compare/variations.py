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
_USER, _HOSTS, _FOLDER = 54321, ("envcap", "elsewhere"), "/elsewhere/work"
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
    user: int | None = None
    host: str = ""
    folder: str = ""


class Plan(Data, frozen=True, kw_only=True):
    """What can be varied, what cannot and why, and what is another in each run of the engine anyway."""

    varied: list[Variation]
    missing: list[Stressed]
    always: list[Variation]


def variations_for(lock: Lock, *, engine: str, processors: int) -> Plan:
    """Give what stress does with this engine and on a machine of so many processors."""
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
    if engine != "venv":
        found += _in_containers()
    fixed = {"hash seed": _HASH_SEED, "locale": "LC_ALL", "time zone": "TZ"}
    missing = [
        not_exercised(name, f"the lock fixes {variable}") for name, variable in fixed.items() if variable in recorded
    ]
    if processors < 2:
        missing.append(not_exercised("processors", "this machine has one only"))
    left_out = {one.name for one in missing}
    return Plan(
        varied=[one for one in found if one.name not in left_out],
        missing=[*missing, *_unvaried(engine)],
        always=[Variation(name="working directory", setting="a new folder")] if engine == "venv" else [],
    )


def _in_containers() -> list[Variation]:
    return [
        Variation(name="user", setting=f"number {_USER}, whom the image does not know", user=_USER),
        Variation(name="host name", setting=f"{_HOSTS[1]} instead of {_HOSTS[0]}", host=_HOSTS[1]),
        Variation(name="working directory", setting=f"{_FOLDER}", folder=_FOLDER),
    ]


def stressed_task(task: Task, chosen: list[Variation], *, processors: int, fixes_hash_seed: bool, hook: bytes) -> Task:
    """Give the evaluation with these things varied; without any, the one that they are compared with.

    On fewer than its `processors` it may take as much longer.
    """
    environment = {**task.environment, **({} if fixes_hash_seed else {_HASH_SEED: "0"})}
    for one in chosen:
        environment.update(one.environment)
    umask = next((one.umask for one in chosen if one.umask), "-")
    cpus = next((one.cpus for one in chosen if one.cpus), task.cpus)
    return replace(
        task,
        command=["python", "-I", "-c", _START, umask, *task.command],
        environment=environment,
        hook=hook,
        cpus=cpus,
        timeout=task.timeout * max(1.0, processors / (cpus or processors)),
        user=next((one.user for one in chosen if one.user is not None), None),
        host=next((one.host for one in chosen if one.host), _HOSTS[0]),
        folder=next((one.folder for one in chosen if one.folder), ""),
    )


def fixes_hash_seed(lock: Lock) -> bool:
    """Tell whether the evaluation was frozen with a hash seed of its own."""
    return _HASH_SEED in lock.system.environment


def conclude_stress(verdict: Verdict, reasons: list[str], stressed: list[Stressed]) -> tuple[Verdict, list[str]]:
    """Give the verdict with what stress found: what came back only as long as nothing was varied is DIFFERENT."""
    told = [f"stress: {one.name}: {one.detail}" for one in stressed if one.matters]
    if not told:
        return verdict, reasons
    if verdict in {Verdict.IDENTICAL, Verdict.EQUIVALENT}:
        return Verdict.DIFFERENT, [*told, f"with nothing varied it is {verdict.value}"]
    return verdict, [*reasons, *told]


def _unvaried(engine: str) -> list[Stressed]:
    """Give what this engine does not vary."""
    if engine == "venv":
        reason = "the engine `venv` runs as this user on this machine"
        return [not_exercised(name, reason) for name in ("user", "host name", "read-only root")]
    return [not_exercised("read-only root", "the image cannot be written to in any run, so there is nothing to vary")]


def not_exercised(name: str, reason: str) -> Stressed:
    """Say that something was not varied, and why."""
    return Stressed(name=name, setting="", outcome="not exercised", detail=reason)
