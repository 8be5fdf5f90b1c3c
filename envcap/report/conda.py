"""Conda packages of a lock as an explicit list, and as environment.yml. Model in, string out."""

import json

from envcap.errors import NotRunError
from envcap.model.lock import CondaPackage, Lock

_PLATFORMS = {"x86_64": "linux-64", "aarch64": "linux-aarch64", "ppc64le": "linux-ppc64le", "s390x": "linux-s390x"}


def require_conda(lock: Lock) -> None:
    """Raise NotRunError where there is nothing to write for conda."""
    if lock.conda_prefix is None:
        raise NotRunError(
            f"The lock `{lock.name}` is not of a conda environment, so it has no packages for conda.",
            hint="`envcap export --format requirements` writes what pip installed.",
        )


def conda_platform(lock: Lock) -> str:
    """Give the platform as conda names it, e.g. `linux-64`."""
    return _PLATFORMS.get(lock.system.architecture, f"linux-{lock.system.architecture}")


def describe_explicit(lock: Lock) -> str:
    """Give the list for `conda create --file`, each archive with its sha256, which conda checks since 24.9.

    Packages that no channel serves are named in the store beside the lock, and pip's are only counted: the format has
    no place for them. Source: CEP 23, "Text spec input files"; pixi's reader wants the name of the digest too.
    """
    require_conda(lock)
    lines = [
        f"# Written by {' '.join(lock.created_by.split())}. To make the environment, in the folder of the lock:",
        "#     conda create --name NAME --file THIS-FILE",
        f"# platform: {conda_platform(lock)}",
    ]
    if lock.packages:
        lines.append(f"# The {len(lock.packages)} packages of pip are not here: `envcap export --format requirements`.")
    lines.append("@EXPLICIT")
    lines += [f"{package.url or f'./{package.path}'}#sha256:{package.sha256}" for package in _in_order(lock.conda)]
    return "\n".join(lines) + "\n"


def describe_environment(lock: Lock) -> str:
    """Give an environment.yml for people: every package by version and build. It pins no archive.

    Source: conda's documentation, "Creating an environment file manually". Texts are written as JSON, which YAML reads.
    """
    require_conda(lock)
    channels = dict.fromkeys(package.channel for package in lock.conda if package.url is not None)
    lines = [
        f"# Written by {' '.join(lock.created_by.split())}. For reading: a solver decides what it gives.",
        f"name: {json.dumps(lock.name)}",
        "channels:",
        *(f"  - {json.dumps(channel)}" for channel in channels),
        "  - nodefaults",
        "dependencies:",
    ]
    for package in lock.conda:
        note = "  # from no channel: its archive is beside the lock" if package.url is None else ""
        lines.append(f"  - {json.dumps(f'{package.name}={package.version}={package.build}')}{note}")
    if lock.packages:
        lines += [*([] if any(package.name == "pip" for package in lock.conda) else ["  - pip"]), "  - pip:"]
    for wheel in lock.packages:
        note = "  # its wheel is beside the lock" if wheel.wheel.url is None else ""
        lines.append(f"      - {json.dumps(f'{wheel.name}=={wheel.version}')}{note}")
    return "\n".join(lines) + "\n"


def _in_order(packages: list[CondaPackage]) -> list[CondaPackage]:
    """Give what others depend on first, as `conda list --explicit` does; circles are broken at the name met first."""
    by_name = {package.name: package for package in packages}
    done: dict[str, CondaPackage] = {}
    for start in sorted(by_name):
        waiting, open_names = [start], set[str]()
        while waiting:
            name = waiting[-1]
            open_names.add(name)
            needs = sorted({spec.split(" ")[0] for spec in by_name[name].depends})
            rest = [need for need in needs if need in by_name and need not in done and need not in open_names]
            if rest:
                waiting.append(rest[0])
            else:
                done[waiting.pop()] = by_name[name]
    return list(done.values())
