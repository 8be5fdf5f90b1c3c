"""What freeze learns of the machine is shown to people and compared by verify with the inside, or a reason stands here.

Each field is changed in turn: the text of `show` must change with it, and `verify` must find it. So a new fact cannot
be stored and forgotten.
"""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from envcap.compare.contents import contents_of_lock
from envcap.compare.differences import find_differences
from envcap.compare.environment import compare_environment
from envcap.model.facts import Distribution, Facts, Gpu, GpuSlice, Hardware, Interpreter, System
from envcap.model.lock import Lock, Toolkit
from envcap.report.text import describe_show

replace = msgspec.structs.replace
CARD = Gpu(
    name="Example Accelerator",
    memory=80 << 30,
    compute_capability="9.0",
    mig=True,
    ecc=True,
    uuid_digest="0123456789ab",
    multiprocessors=132,
    compute_mode="Default",
    power_limit=700,
    graphics_clock=1980,
    memory_clock=2619,
    pcie_generation=5,
    pcie_width=16,
    vbios="96.00",
    slices=[GpuSlice(profile="1g.10gb", memory=10 << 30, multiprocessors=16)],
)
PARTS: dict[str, type[Any]] = {"python": Interpreter, "system": System, "hardware": Hardware, "gpu": Gpu}
FIELDS = [(part, field.name) for part, kind in PARTS.items() for field in msgspec.structs.fields(kind)]
NAMED_BY_MODEL = "the name of the model says it"
NOT_SHOWN = {
    ("python", "tag"): "`abi` says it in fewer words",
    ("system", "codename"): "another word for the version",
    ("gpu", "maker"): NAMED_BY_MODEL,
    ("gpu", "memory"): NAMED_BY_MODEL,
    ("gpu", "multiprocessors"): NAMED_BY_MODEL,
    ("gpu", "uuid_digest"): "it tells two cards apart and says nothing of them",
}
NOT_COMPARED = {
    **NOT_SHOWN,
    ("python", "build"): "every build of one version says otherwise",
    ("python", "kind"): "in an image it is always an environment of its own",
    ("system", "environment"): "compared as the runs ended with it, by `compare_settings`",
    ("hardware", "gpu_libraries"): "compared as the runs loaded them, by `compare_settings`",
}

TABLES = {field.name for field in msgspec.structs.fields(Lock)}
ELSEWHERE = {
    "name": "the name of the file, which is not a fact",
    "created_at": "shown in the heading",
    "created_by": "shown in the heading",
    "declaration": "shown as the evaluation, and run again",
    "conda": "the tests of conda",
    "conda_prefix": "the tests of conda",
    "conflicts": "the tests of show",
    "derivation": "the tests of upgrade",
}
# What each table of the lock is called in a comparison of two locks.
AREAS = {
    "executables": "libraries",
    "floor": "floor",
    "libraries": "libraries",
    "numerics": "numerics",
    "os_packages": "os-packages",
    "packages": "packages",
    "settings": "settings at the end",
    "toolkit": "base",
    "watched": "watched",
    "data": "data",
    "code": "code",
    "base": "base",
}
NOT_IN_DIFF = {
    "gaps": "what is unknown has no value",
    "runs": "verify compares outputs",
    "seeds": "a part of the code, which is compared",
}


@pytest.fixture
def full(sample_lock: Lock, toolkit: Toolkit) -> Lock:
    """Give a lock in which every fact of the machine is known."""
    return replace(sample_lock, toolkit=toolkit, hardware=replace(sample_lock.hardware, gpus=[CARD]))


def other(name: str, value: Any) -> Any:
    """Give another value of the same kind."""
    if name == "slices":
        return [replace(CARD.slices[0], profile="7g.80gb")]
    if name in {"flags", "limits", "environment", "locale_categories"}:
        return {**value, "verbose": 1 if name == "flags" else "1"}
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value * 3 + 1
    return "other" if isinstance(value, str) else []


def changed(lock: Lock, part: str, name: str) -> Lock:
    """Give the lock with one fact changed."""
    if part == "gpu":
        card = replace(CARD, **{name: other(name, getattr(CARD, name))})
        return replace(lock, hardware=replace(lock.hardware, gpus=[card]))
    table = getattr(lock, part)
    return replace(lock, **{part: replace(table, **{name: other(name, getattr(table, name))})})


def inside(lock: Lock) -> Facts:
    """Give what the probe sees in a faithful image of the lock, on the same machine."""
    installed = [
        Distribution(name=one.name, version=one.version, path=f"/opt/env/{one.name}", layout="dist-info")
        for one in lock.packages
    ]
    return Facts(
        format=1,
        interpreter=lock.python,
        executable="/opt/env/bin/python",
        prefix="/opt/env",
        base_prefix="/usr/local",
        paths=[],
        distributions=installed,
        system=lock.system,
        hardware=lock.hardware,
    )


def shown(lock: Lock) -> str:
    return describe_show(lock, Path("pylock.train.toml"), "0" * 64, as_tree=False)


@pytest.mark.parametrize(("part", "name"), [field for field in FIELDS if field not in NOT_SHOWN])
def test_show_tells_it(part: str, name: str, full: Lock) -> None:
    assert shown(changed(full, part, name)) != shown(full)


@pytest.mark.parametrize(("part", "name"), [field for field in FIELDS if field not in NOT_COMPARED])
def test_verify_finds_it(part: str, name: str, full: Lock) -> None:
    assert compare_environment(full, inside(full)) == []
    assert compare_environment(full, inside(changed(full, part, name))) != []


def test_what_is_left_out_is_still_there() -> None:
    assert {*NOT_SHOWN, *NOT_COMPARED} <= set(FIELDS)


@pytest.mark.parametrize("name", sorted(TABLES - PARTS.keys() - ELSEWHERE.keys()))
def test_show_tells_of_each_table(name: str, full: Lock, other_lock: Lock) -> None:
    """What is in one lock and not in another makes another text."""
    assert shown(replace(full, **{name: getattr(other_lock, name)})) != shown(full)


@pytest.mark.parametrize("name", sorted(TABLES - PARTS.keys() - ELSEWHERE.keys() - NOT_IN_DIFF.keys()))
def test_diff_finds_it_in_each_table(name: str, full: Lock, other_lock: Lock) -> None:
    other_contents = contents_of_lock(replace(full, **{name: getattr(other_lock, name)}))
    assert AREAS[name] in {one.area for one in find_differences(contents_of_lock(full), other_contents)}


@pytest.fixture
def other_lock(full: Lock) -> Lock:
    """Give a lock that knows nothing that a lock may leave out, and another base, code and run."""
    empty: dict[str, Any] = {name: [] for name in ("data", "executables", "gaps", "libraries", "packages", "seeds")}
    return replace(
        full,
        **empty,
        base=replace(full.base, reference="other:1"),
        code=replace(full.code, archive="f" * 64, files=full.code.files + 1),
        floor=type(full.floor)(),
        numerics=type(full.numerics)(),
        os_packages=None,
        runs=[replace(full.runs[0], seconds=full.runs[0].seconds + 100)],
        settings={},
        toolkit=None,
        watched=type(full.watched)(),
    )
