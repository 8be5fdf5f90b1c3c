"""The Python that a lock is for, as pip's options for another platform and as what markers see. Pure."""

import re
from collections.abc import Iterator

from packaging.tags import Tag, compatible_tags, cpython_tags, generic_tags

from envcap.model.lock import Lock
from envcap.model.struct import Data

_SHORT = {"cpython": "cp", "pypy": "pp"}
_LEGACY = {(2, 17): "manylinux2014", (2, 12): "manylinux2010", (2, 5): "manylinux1"}  # PEP 600
_OLDEST_GLIBC = 5  # of 2.x: what manylinux1 stands for


class Target(Data, frozen=True, kw_only=True):
    """What to resolve for. `version` is `3.11.7`, `short` as in tags, `platforms` the plain one, then new to old."""

    version: str
    implementation: str
    short: str
    abi: str
    platforms: list[str]
    markers: dict[str, str]

    @property
    def release(self) -> tuple[int, ...]:
        """The version's numbers without `rc1` and the like."""
        return tuple(int(number) for number in re.findall(r"\d+", self.version)[:3])


def target_of(lock: Lock) -> Target:
    """Give the target of a lock."""
    abi = lock.python.tag.split("-")[1] if lock.python.tag.count("-") == 2 else "none"
    series = ".".join(lock.python.version.split(".")[:2])
    pypy = lock.python.implementation == "pypy"
    return Target(
        version=lock.python.version,
        implementation=lock.python.implementation,
        short=_SHORT.get(lock.python.implementation, lock.python.implementation),
        abi=abi,
        platforms=list(_platforms(lock)),
        # Dependency specifiers (PEP 508), "Environment Markers".
        markers={
            "implementation_name": lock.python.implementation,
            "implementation_version": lock.python.version,
            "os_name": "posix",
            "platform_machine": lock.system.architecture,
            "platform_python_implementation": "PyPy" if pypy else "CPython",
            "platform_release": lock.system.kernel,
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": lock.python.version,
            "python_version": series,
            "sys_platform": "linux",
        },
    )


def tags_of(target: Target) -> list[Tag]:
    """Give the tags of the wheels that the target runs, best first."""
    interpreter = f"{target.short}{''.join(map(str, target.release[:2]))}"
    if target.short == "cp":
        own = cpython_tags(target.release[:2], [target.abi], target.platforms)
    else:
        own = generic_tags(interpreter, [target.abi], target.platforms)
    return list(dict.fromkeys([*own, *compatible_tags(target.release[:2], interpreter, target.platforms)]))


def _platforms(lock: Lock) -> Iterator[str]:
    architecture = lock.system.architecture
    yield f"linux_{architecture}"
    numbers = [int(number) for number in re.findall(r"\d+", lock.system.libc_version)[:2]]
    minor = numbers[1] if len(numbers) == 2 else 0
    if lock.system.libc == "musl":
        yield from (f"musllinux_1_{number}_{architecture}" for number in range(minor, -1, -1))
    else:
        for number in range(minor, _OLDEST_GLIBC - 1, -1):
            yield f"manylinux_2_{number}_{architecture}"
            if (2, number) in _LEGACY:
                yield f"{_LEGACY[2, number]}_{architecture}"
