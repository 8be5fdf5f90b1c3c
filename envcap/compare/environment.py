"""What the probe found inside an image, against what the lock says must be there. Pure."""

import math
import re

from envcap.model.facts import Facts
from envcap.model.lock import Lock
from envcap.model.verdict import Finding
from envcap.surroundings import ABSENT, machine_contents

_MEMORY = "cgroup memory"
# The image is not what was locked.
_FATAL = {("python", "implementation"), ("python", "version"), ("python", "abi"), ("system", "architecture")}
# Every build of one version says otherwise, and the image's interpreter is another build; the GPUs tell theirs.
_NOT_TOLD = {("python", "build"), ("hardware", "compute capability")}
# Told, and no other hardware for the verdict: what of it decides about numbers has a subject of its own.
_NO_REASON = {"processor", "cores", "affinity", "memory", "gpu settings", "cuda of the driver"}
_OF_A_CARD = {"driver", "cuda of the driver", "gpu settings"}  # told where both sides have the same cards


def compare_environment(lock: Lock, facts: Facts) -> list[Finding]:
    """List every difference. Packages and interpreter that differ are fatal: the image is not what was locked.

    The operating system is compared too, but a base image may stand on another release than the host did.
    """
    return [
        *_compare_packages(lock, facts),
        *_compare_conda(lock, facts),
        *_compare_machine(lock, facts),
        *_compare_limits(lock, facts),
    ]


def _compare_packages(lock: Lock, facts: Facts) -> list[Finding]:
    from packaging.utils import canonicalize_name

    conda = {package.name for package in lock.conda}  # what they bring is compared as conda packages
    frozen = {package.name: package.version for package in lock.packages}
    observed = {
        str(canonicalize_name(item.name)): item.version for item in facts.distributions if item.conda not in conda
    }
    return [
        Finding(
            where="packages",
            subject=name,
            frozen=frozen.get(name, "missing"),
            observed=observed.get(name, "missing"),
            fatal=True,
        )
        for name in sorted({*frozen, *observed})
        if not same_version(frozen.get(name), observed.get(name))
    ]


def _compare_conda(lock: Lock, facts: Facts) -> list[Finding]:
    """Compare the records of conda-meta: version, build and the digest of the archive."""
    frozen = {one.name: f"{one.version} {one.build} sha256:{one.sha256}" for one in lock.conda}
    records = facts.conda.records if facts.conda is not None and (lock.conda or lock.conda_prefix) else []
    observed = {one.name: f"{one.version} {one.build} sha256:{one.sha256}" for one in records}
    return [
        Finding(
            where="conda",
            subject=name,
            frozen=frozen.get(name, "missing"),
            observed=observed.get(name, "missing"),
            fatal=True,
        )
        for name in sorted({*frozen, *observed})
        if frozen.get(name) != observed.get(name)
    ]


def same_version(first: str | None, second: str | None) -> bool:
    """Compare as versions do (PEP 440): `1.0` and `1.0.0` are one, and old metadata spells freely."""
    from packaging.version import InvalidVersion, Version

    if first is None or second is None or first == second:
        return first == second
    try:
        return Version(first) == Version(second)
    except InvalidVersion:
        return False


def _compare_machine(lock: Lock, facts: Facts) -> list[Finding]:
    """Compare interpreter, operating system and hardware, subject by subject.

    Another processor or GPU may give other last digits: no fault of the image, but to be said with the verdict.
    """
    frozen = machine_contents(lock.python, lock.system, lock.hardware)
    observed = machine_contents(facts.interpreter, facts.system, facts.hardware)
    return [
        Finding(
            where="machine" if subject in _NO_REASON else area,
            subject=subject,
            frozen=subjects.get(subject, "unset"),
            observed=observed[area].get(subject, "unset"),
            fatal=(area, subject) in _FATAL,
        )
        for area, subjects in frozen.items()
        for subject in {**subjects, **observed[area]}
        if subjects.get(subject) != observed[area].get(subject)
        and (area, subject) not in _NOT_TOLD
        and not (subject in _OF_A_CARD and _cards_differ(subject, frozen["hardware"], observed["hardware"]))
    ]


def _cards_differ(subject: str, frozen: dict[str, str], observed: dict[str, str]) -> bool:
    """Tell whether a subject of a card says nothing beyond the cards themselves."""
    if ABSENT in (frozen["gpus"], observed["gpus"]):
        return True
    return subject == "gpu settings" and frozen["gpus"] != observed["gpus"]


def _compare_limits(lock: Lock, facts: Facts) -> list[Finding]:
    """Tell the limits that are tighter inside: a looser one changes nothing.

    The memory of a container is always limited, by envcap itself: it is told where the frozen runs needed more.
    """
    frozen, observed = lock.system.limits, facts.system.limits
    found = [
        Finding(where="limits", subject=name, frozen=frozen.get(name, "unlimited"), observed=value)
        for name, value in observed.items()
        if name != _MEMORY and _number(value) < _number(frozen.get(name))
    ]
    peak = max((run.peak_memory or 0 for run in lock.runs), default=0)
    allowed = observed.get(_MEMORY)
    if allowed is not None and _number(allowed) < peak:
        found.append(Finding(where="limits", subject=_MEMORY, frozen=f"{peak} were needed", observed=allowed))
    return found


def _number(limit: str | None) -> float:
    """Read a limit, which may be anybody's text; what is no number limits nothing."""
    return float(limit) if limit is not None and re.fullmatch(r"[0-9]{1,20}(\.[0-9]{1,2})?", limit) else math.inf
