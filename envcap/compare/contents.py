"""A lock, or what the probe saw, as flat facts that can be laid side by side. Pure."""

from collections.abc import Mapping

from envcap.model.facts import Facts, Hardware, Interpreter, System
from envcap.model.lock import Lock, Toolkit
from envcap.model.struct import Data

_SHOWN = 12  # characters of a digest that tell two files apart


class Contents(Data, frozen=True, kw_only=True):
    """Facts by area and subject. An area that is not there is unknown, which is not the same as empty."""

    areas: dict[str, dict[str, str]]


def contents_of_lock(lock: Lock) -> Contents:
    """Give all that a lock knows."""
    return Contents(
        areas={
            "code": {"archive": _short(lock.code.archive), "commit": _short(lock.code.commit or "no repository")},
            "data": {item.path: _short(item.sha256) for item in lock.data},
            "evaluation": {
                "command": " ".join(lock.declaration.command),
                "metrics": lock.declaration.metrics,
                "artifacts": ", ".join(sorted(lock.declaration.artifacts)),
            },
            "packages": {package.name: package.version for package in lock.packages},
            "files": {package.name: _short(package.wheel.sha256) for package in lock.packages},
            "conda": {one.name: f"{one.version} {one.build}" for one in lock.conda},
            "base": {
                "image": lock.base.reference,
                "digest": _short((lock.base.digest or "").partition(":")[2]),
                **_toolkit(lock.toolkit),
            },
            **_machine(lock.python, lock.system, lock.hardware, lock.system.environment),
        }
    )


def contents_of_facts(facts: Facts, *, settings: Mapping[str, str] | None) -> Contents:
    """Give what the probe saw. `settings` are the variables around it, or None where nobody looked at them."""
    from packaging.utils import canonicalize_name

    areas = {
        "packages": {str(canonicalize_name(item.name)): item.version for item in facts.distributions if not item.conda},
        "conda": {one.name: f"{one.version} {one.build}" for one in (facts.conda.records if facts.conda else [])},
        **_machine(facts.interpreter, facts.system, facts.hardware, settings or {}),
    }
    if settings is None:
        del areas["settings"]
    return Contents(areas=areas)


def _machine(
    python: Interpreter, system: System, hardware: Hardware, settings: Mapping[str, str]
) -> dict[str, dict[str, str]]:
    return {
        "settings": dict(settings),
        "python": {
            "implementation": python.implementation,
            "version": python.version,
            "build": python.build,
            "abi": python.abi,
            **{f"flag {name}": str(value) for name, value in python.flags.items()},
        },
        "system": {
            "architecture": system.architecture,
            "release": f"{system.distribution} {system.version}".strip(),
            "libc": f"{system.libc} {system.libc_version}".strip(),
            "kernel": system.kernel,
            "locale": system.locale,
            "encoding": system.encoding,
            "timezone": system.timezone,
            "umask": system.umask,
        },
        "hardware": {
            "processor": hardware.cpu,
            "instruction sets": " ".join(sorted(hardware.instruction_sets)),
            "cores": str(hardware.cores),
            "gpus": ", ".join(f"{gpu.name}{' MIG' if gpu.mig else ''}" for gpu in hardware.gpus) or "none",
            "compute capability": ", ".join(sorted({gpu.compute_capability for gpu in hardware.gpus})) or "none",
            "driver": hardware.driver or "none",
        },
    }


def _toolkit(toolkit: Toolkit | None) -> dict[str, str]:
    if toolkit is None:
        return {}
    return {
        "CUDA image": toolkit.image.reference,
        "CUDA image digest": _short((toolkit.image.digest or "").partition(":")[2]),
    }


def _short(digest: str) -> str:
    return digest[:_SHOWN]
