"""What the probe found inside an image, against what the lock says must be there. Pure."""

from envcap.model.facts import Facts, Gpu, Hardware
from envcap.model.lock import Lock
from envcap.model.verdict import Finding


def compare_environment(lock: Lock, facts: Facts) -> list[Finding]:
    """List every difference. Packages and interpreter that differ are fatal: the image is not what was locked.

    The operating system is compared too, but a base image may stand on another release than the host did.
    """
    return [
        *_compare_packages(lock, facts),
        *_compare_conda(lock, facts),
        *_compare_interpreter(lock, facts),
        *_compare_system(lock, facts),
        *_compare_hardware(lock, facts),
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


def _compare_interpreter(lock: Lock, facts: Facts) -> list[Finding]:
    pairs = {
        "implementation": (lock.python.implementation, facts.interpreter.implementation),
        "version": (lock.python.version, facts.interpreter.version),
        "abi": (lock.python.abi, facts.interpreter.abi),
    }
    return _findings("python", pairs, fatal=True)


def _compare_system(lock: Lock, facts: Facts) -> list[Finding]:
    fatal = _findings("system", {"architecture": (lock.system.architecture, facts.system.architecture)}, fatal=True)
    pairs = {
        "release": (
            f"{lock.system.distribution} {lock.system.version}".strip(),
            f"{facts.system.distribution} {facts.system.version}".strip(),
        ),
        "libc": (
            f"{lock.system.libc} {lock.system.libc_version}".strip(),
            f"{facts.system.libc} {facts.system.libc_version}".strip(),
        ),
    }
    return fatal + _findings("system", pairs, fatal=False)


def _compare_hardware(lock: Lock, facts: Facts) -> list[Finding]:
    """Another processor or GPU may give other last digits: no fault of the image, but to be said with the verdict."""
    frozen, observed = lock.hardware, facts.hardware
    pairs = {
        "gpus": (_gpus(frozen), _gpus(observed)),
        "instruction sets": (" ".join(frozen.instruction_sets), " ".join(observed.instruction_sets)),
    }
    if frozen.gpus and observed.gpus:
        pairs["driver"] = (frozen.driver or "unknown", observed.driver or "unknown")
    return _findings("hardware", pairs, fatal=False)


def _gpus(hardware: Hardware) -> str:
    shown = [gpu for gpu in hardware.gpus if gpu.visible is not False]
    return ", ".join(f"{gpu.name} ({gpu.compute_capability}{_slices(gpu)})" for gpu in shown) or "none"


def _slices(gpu: Gpu) -> str:
    return f", MIG {'+'.join(part.profile for part in gpu.slices)}" if gpu.mig else ""


def _findings(where: str, pairs: dict[str, tuple[str, str]], *, fatal: bool) -> list[Finding]:
    return [
        Finding(where=where, subject=subject, frozen=frozen, observed=observed, fatal=fatal)
        for subject, (frozen, observed) in pairs.items()
        if frozen != observed
    ]
