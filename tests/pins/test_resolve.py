"""Resolving for another Python than this one, with pip-tools itself and an index on loopback."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from envcap.errors import NotRunError
from envcap.model.progress import Progress, say_nothing
from envcap.pins.configuration import Configuration, place
from envcap.pins.resolve import Question, parse_pins, parse_wish, resolve
from envcap.pins.target import target_of

if TYPE_CHECKING:
    from envcap.model.lock import Lock
    from tests.pins.conftest import Index, MakeWheel


def metadata(name: str, version: str, *lines: str) -> dict[str, str]:
    head = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    return {f"{name}-{version}.dist-info/METADATA": "\n".join([*head, *lines]) + "\n"}


@pytest.mark.parametrize("case", [("3.8.18", "1.5", {"old"}), ("3.13.0", "2.0", {"new"})])
def test_tags_markers_and_limits_are_those_of_the_python_in_the_lock(
    sample_lock: Lock, index: Index, make_wheel: MakeWheel, case: tuple[str, str, set[str]]
) -> None:
    python, alpha, others = case
    requires = ["Requires-Dist: old; python_version < '3.9'", "Requires-Dist: new; python_full_version >= '3.13'"]
    for version, tag in (("1.5", "cp38-cp38-manylinux_2_17_x86_64"), ("2.0", "cp313-cp313-manylinux_2_17_x86_64")):
        index.add(make_wheel("alpha", version, tags=(tag,), files=metadata("alpha", version, *requires)))
    index.add(make_wheel("alpha", "3.0", files=metadata("alpha", "3.0", "Requires-Python: >=3.14")))
    index.add(make_wheel("old", "1.0"))
    index.add(make_wheel("new", "1.0"))
    short = "cp" + "".join(python.split(".")[:2])
    interpreter = replace(sample_lock.python, version=python, tag=f"{short}-{short}-manylinux_2_36_x86_64")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    environ |= {"PIP_CONFIG_FILE": os.devnull}
    places = Configuration(indexes=[place(index.simple)])
    said: list[Progress] = []
    question = Question(wishes=["alpha"], kept={}, free=["alpha"], present={"alpha": "1.0"})
    target = target_of(replace(sample_lock, python=interpreter))
    found = resolve(question, target=target, configuration=places, environ=environ, tell=said.append)
    assert found is not None
    assert found.versions == {"alpha": alpha, **dict.fromkeys(others, "1.0")}
    assert found.requires == {"alpha": tuple(others), **dict.fromkeys(others, ())}
    assert any("Collecting" in one.text for one in said)
    unknown = Question(wishes=["surely-not-there"], kept={}, free=["surely-not-there"])
    with pytest.raises(NotRunError, match="surely-not-there"):
        resolve(unknown, target=target, configuration=places, environ=environ, tell=say_nothing)
    same = replace(question, present={"alpha": alpha})
    assert resolve(same, target=target, configuration=places, environ=environ, tell=say_nothing) is None


def test_what_pip_compile_writes_is_read() -> None:
    found = parse_pins(
        "# a comment\n"
        "Beta_Tools==2.1+local ; python_version >= '3'  # via -r requirements.in, alpha\n"
        "alpha==1.0                # via -c limits.txt, -r requirements.in\n"
        "gamma @ https://files.example.org/gamma.whl\n"
        "delta==3  # via Beta-Tools, vanished\n"
    )
    assert found.versions == {"beta-tools": "2.1+local", "alpha": "1.0", "delta": "3"}
    assert found.requires == {"alpha": ("beta-tools",), "beta-tools": ("delta",), "delta": ()}


@given(st.text())
def test_any_text_is_read_without_trouble(text: str) -> None:
    found = parse_pins(text)
    assert found.versions.keys() == found.requires.keys()


@pytest.mark.parametrize(
    "text", ["", "!!", "a b", "a @ https://example.org/a.whl", "a; python_version>'3'", "a[x]", "-e ."]
)
def test_what_is_no_package_with_a_version_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"package|only"):
        parse_wish(text)
