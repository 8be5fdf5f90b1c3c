"""The tags that are computed for a lock's Python, against those that this very Python gives for itself."""

import sys
from pathlib import Path

import pytest
from msgspec.structs import replace
from packaging.markers import default_environment
from packaging.tags import parse_tag, sys_tags

from envcap.model.lock import Lock
from envcap.pins.pages import Offer
from envcap.pins.release import choose
from envcap.pins.target import tags_of, target_of
from envcap.probe.handover import probe_host


def test_this_python_is_told_as_it_tells_itself(sample_lock: Lock) -> None:
    facts = probe_host(Path(sys.executable))
    target = target_of(replace(sample_lock, python=facts.interpreter, system=facts.system))
    assert set(tags_of(target)) == set(sys_tags())
    real = default_environment()
    told = {name: value for name, value in target.markers.items() if name != "platform_version"}
    assert {name: real[name] for name in told} == told  # type: ignore[literal-required]


def test_musl_and_pypy_are_told_too(sample_lock: Lock) -> None:
    musl = replace(sample_lock.system, libc="musl", libc_version="1.2.4")
    assert target_of(replace(sample_lock, system=musl)).platforms == [
        "linux_x86_64",
        "musllinux_1_2_x86_64",
        "musllinux_1_1_x86_64",
        "musllinux_1_0_x86_64",
    ]
    pypy = replace(
        sample_lock.python, implementation="pypy", version="3.10.14", tag="pp310-pypy310_pp73-manylinux_2_17_x86_64"
    )
    tags = tags_of(target_of(replace(sample_lock, python=pypy)))
    assert tags[0] in parse_tag("pp310-pypy310_pp73-linux_x86_64")
    assert parse_tag("py3-none-any") <= set(tags)


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["a-1-py3-none-any.whl", "a-1-cp311-cp311-manylinux_2_17_x86_64.whl"], 1),
        (["a-1-cp311-cp311-manylinux1_x86_64.whl", "a-1-cp311-cp311-manylinux_2_28_x86_64.whl"], 1),
        (["a-1-cp311-cp311-manylinux_2_39_x86_64.whl", "a-1-cp39-abi3-manylinux2014_x86_64.whl"], 1),
        (["a-1-1-py3-none-any.whl", "a-1-2-py3-none-any.whl", "a-1-py3-none-any.whl"], 1),
        (["a-1-py3-none-any.whl", "a-1-py3-none-any.whl"], 0),
        (["a-1-cp310-cp310-manylinux_2_17_x86_64.whl", "a-1-cp311-cp311-win_amd64.whl", "a.whl"], None),
    ],
)
def test_the_wheel_is_chosen_that_pip_would_take(sample_lock: Lock, names: list[str], chosen: int | None) -> None:
    offers = [Offer(filename=name, url=f"https://files.example.org/{number}") for number, name in enumerate(names)]
    found = choose(offers, tags_of(target_of(sample_lock)))
    assert found == (None if chosen is None else offers[chosen])


def test_a_yanked_file_is_taken_only_where_nothing_else_fits(sample_lock: Lock) -> None:
    tags = tags_of(target_of(sample_lock))
    yanked = Offer(filename="a-1-cp311-cp311-manylinux_2_17_x86_64.whl", url="https://files.example.org/y", yanked="")
    plain = Offer(filename="a-1-py3-none-any.whl", url="https://files.example.org/p")
    assert choose([yanked, plain], tags) == plain
    assert choose([yanked], tags) == yanked
