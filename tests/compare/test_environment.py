"""What is inside an image against what the lock says must be there."""

from typing import Any

import msgspec
import pytest

from envcap.compare.environment import compare_environment
from envcap.model.facts import Distribution, Facts, GpuSlice
from envcap.model.lock import Lock
from envcap.model.verdict import Finding

replace = msgspec.structs.replace


def facts(lock: Lock, **versions: str | None) -> Facts:
    """Give what a faithful image holds, with other versions where they are named; None takes a package out."""
    inside: dict[str, str | None] = {**{package.name: package.version for package in lock.packages}, **versions}
    return Facts(
        format=1,
        interpreter=lock.python,
        executable="/opt/env/bin/python",
        prefix="/opt/env",
        base_prefix="/usr/local",
        paths=[],
        distributions=[
            Distribution(name=name, version=version, path=f"/opt/env/{name}", layout="dist-info")
            for name, version in inside.items()
            if version is not None
        ],
        system=lock.system,
        hardware=lock.hardware,
    )


def short(findings: list[Finding]) -> list[tuple[str, str, str, str, bool]]:
    return [(item.where, item.subject, item.frozen, item.observed, item.fatal) for item in findings]


def test_a_faithful_image(sample_lock: Lock) -> None:
    assert compare_environment(sample_lock, facts(sample_lock)) == []


@pytest.mark.parametrize(
    ("name", "version", "expected"),
    [
        ("alpha", "1.1", [("packages", "alpha", "1.0", "1.1", True)]),
        ("alpha", None, [("packages", "alpha", "1.0", "missing", True)]),
        ("extra", "3.0", [("packages", "extra", "missing", "3.0", True)]),
        ("alpha", "1.0.post1", [("packages", "alpha", "1.0", "1.0.post1", True)]),
        ("alpha", "1.0+local", [("packages", "alpha", "1.0", "1.0+local", True)]),
        ("alpha", "unreadable", [("packages", "alpha", "1.0", "unreadable", True)]),
        ("alpha", "1.0.0", []),
        ("alpha", "01.0", []),
    ],
)
def test_packages(
    name: str, version: str | None, expected: list[tuple[str, str, str, str, bool]], sample_lock: Lock
) -> None:
    assert short(compare_environment(sample_lock, facts(sample_lock, **{name: version}))) == expected


def test_names_are_compared_as_the_standard_says(sample_lock: Lock) -> None:
    spelled = {"alpha": None, "beta-tools": None, "ALPHA": "1.0", "Beta.Tools": "2.1.post1+local"}
    assert compare_environment(sample_lock, facts(sample_lock, **spelled)) == []


@pytest.mark.parametrize(
    ("part", "changes", "expected"),
    [
        ("interpreter", {"version": "3.11.8"}, ("python", "version", "3.11.7", "3.11.8", True)),
        ("interpreter", {"implementation": "pypy"}, ("python", "implementation", "cpython", "pypy", True)),
        ("interpreter", {"abi": "x"}, ("python", "abi", "cpython-311-x86_64-linux-gnu", "x", True)),
        ("system", {"architecture": "aarch64"}, ("system", "architecture", "x86_64", "aarch64", True)),
        ("system", {"version": "13"}, ("system", "release", "debian 12", "debian 13", False)),
        ("system", {"libc_version": "2.41"}, ("system", "libc", "glibc 2.36", "glibc 2.41", False)),
    ],
)
def test_interpreter_and_system(
    part: str, changes: dict[str, Any], expected: tuple[str, str, str, str, bool], sample_lock: Lock
) -> None:
    inside = facts(sample_lock)
    inside = replace(inside, **{part: replace(getattr(inside, part), **changes)})
    assert short(compare_environment(sample_lock, inside)) == [expected]


def test_what_another_machine_or_engine_gives_is_told_and_decides_nothing(sample_lock: Lock) -> None:
    inside = facts(sample_lock)
    other = replace(
        inside,
        interpreter=replace(
            inside.interpreter, build="another build", kind="system", flags={**inside.interpreter.flags, "verbose": 1}
        ),
        system=replace(inside.system, kernel="5.4", umask="077", timezone="UTC", environment={}),
        hardware=replace(inside.hardware, cpu="another", cores=1, memory=1),
    )
    found = compare_environment(sample_lock, other)
    assert {(item.where, item.subject) for item in found} == {
        ("python", "flag verbose"),
        ("system", "kernel"),
        ("system", "umask"),
        ("system", "timezone"),
        ("machine", "processor"),
        ("machine", "cores"),
        ("machine", "memory"),
    }
    assert not any(item.fatal for item in found)


@pytest.mark.parametrize(
    ("frozen", "inside", "told"),
    [
        ({"nofile": "1024"}, {"nofile": "512"}, ["nofile"]),
        ({"nofile": "1024"}, {"nofile": "4096"}, []),
        ({"nofile": "1024"}, {}, []),
        ({}, {"stack": "8388608"}, ["stack"]),
        ({"cgroup processors": "2.00"}, {"cgroup processors": "1.50"}, ["cgroup processors"]),
        ({}, {"cgroup memory": "900000000000"}, []),
        ({}, {"cgroup memory": "1"}, ["cgroup memory"]),
        ({"nofile": "anybody's text"}, {"nofile": "\u0661"}, []),
    ],
)
def test_limits_are_told_where_they_are_tighter(
    frozen: dict[str, str], inside: dict[str, str], told: list[str], sample_lock: Lock
) -> None:
    run = replace(sample_lock.runs[0], peak_memory=1000)
    lock = replace(sample_lock, system=replace(sample_lock.system, limits=frozen), runs=[run])
    seen = facts(lock)
    found = compare_environment(lock, replace(seen, system=replace(seen.system, limits=inside)))
    assert [(item.where, item.subject) for item in found] == [("limits", name) for name in told]


def test_another_gpu_is_told_and_is_no_fault_of_the_image(sample_lock: Lock) -> None:
    replace, inside = msgspec.structs.replace, facts(sample_lock)
    card = replace(
        inside.hardware.gpus[0],
        name="Other",
        mig=True,
        slices=[GpuSlice(profile="1g.10gb", memory=1, multiprocessors=16)],
    )
    other = replace(inside, hardware=replace(inside.hardware, gpus=[card], driver="1.0", instruction_sets=["avx2"]))
    findings = compare_environment(sample_lock, other)
    assert {item.subject: item.observed for item in findings} == {
        "gpus": "Other (9.0, MIG 1g.10gb)",
        "driver": "1.0",
        "instruction sets": "avx2",
    }
    assert not any(item.fatal for item in findings)
    hidden = replace(inside, hardware=replace(inside.hardware, gpus=[replace(card, visible=False)]))
    assert compare_environment(sample_lock, hidden)[0].observed == "none"
