"""Two environments side by side."""

from dataclasses import dataclass

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envcap.compare.contents import Contents, contents_of_lock
from envcap.compare.differences import areas_not_compared, find_differences
from envcap.compare.influence import rate
from envcap.model.lock import Lock, Toolkit


@dataclass(frozen=True)
class Rule:
    area: str
    subject: str
    first: str
    second: str
    influence: str


RULES = [
    Rule("code", "archive", "aa", "bb", "high"),
    Rule("data", "data/train.csv", "aa", "missing", "high"),
    Rule("packages", "numpy", "1.26.4", "2.0.0", "high"),
    Rule("packages", "numpy", "2.0.0", "2.0.1", "medium"),
    Rule("packages", "numpy", "missing", "2.0.1", "high"),
    Rule("packages", "rich", "13.0", "14.0", "low"),
    Rule("files", "torch", "aa", "bb", "high"),
    Rule("files", "rich", "aa", "bb", "medium"),
    Rule("settings", "OMP_NUM_THREADS", "1", "8", "high"),
    Rule("settings", "MY_OWN", "1", "8", "medium"),
    Rule("python", "version", "3.11.7", "3.11.9", "low"),
    Rule("python", "version", "3.11.7", "3.12.0", "medium"),
    Rule("hardware", "instruction sets", "avx2", "avx2 avx512f", "medium"),
    Rule("hardware", "gpus", "none", "NVIDIA H100", "high"),
    Rule("system", "umask", "022", "077", "low"),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.area}-{rule.subject}-{rule.second}")
def test_rates(rule: Rule) -> None:
    influence, why = rate(rule.area, rule.subject, rule.first, rule.second)
    assert influence == rule.influence
    assert why


def changed(lock: Lock) -> Lock:
    """Give another lock: a package's release, another's file, a variable and the time zone are not the same."""
    first, second, *others = lock.packages
    return msgspec.structs.replace(
        lock,
        packages=[
            msgspec.structs.replace(first, version="99.0"),
            msgspec.structs.replace(second, wheel=msgspec.structs.replace(second.wheel, sha256="f" * 64)),
            *others,
        ],
        system=msgspec.structs.replace(
            lock.system, timezone="UTC", environment={**lock.system.environment, "OMP_NUM_THREADS": "64"}
        ),
    )


def test_a_lock_does_not_differ_from_itself(sample_lock: Lock) -> None:
    contents = contents_of_lock(sample_lock)
    assert find_differences(contents, contents) == []
    assert areas_not_compared(contents, contents) == []


def test_finds_each_difference_once_and_ranks_it(sample_lock: Lock) -> None:
    other = changed(sample_lock)
    found = find_differences(contents_of_lock(sample_lock), contents_of_lock(other))
    first, second, *_ = sample_lock.packages
    assert {(one.area, one.subject) for one in found} == {
        ("packages", first.name),
        ("files", second.name),
        ("settings", "OMP_NUM_THREADS"),
        ("system", "timezone"),
    }
    ranks = ["high", "medium", "low"]
    assert [one.influence for one in found] == sorted((one.influence for one in found), key=ranks.index)
    assert found[0].subject == "OMP_NUM_THREADS"


def test_another_cuda_image_is_a_difference(sample_lock: Lock, toolkit: Toolkit) -> None:
    first, second = sample_lock, msgspec.structs.replace(sample_lock, toolkit=toolkit)
    found = find_differences(contents_of_lock(first), contents_of_lock(second))
    assert {(one.area, one.subject) for one in found} == {("base", "CUDA image"), ("base", "CUDA image digest")}


def test_one_version_spelled_in_two_ways_is_no_difference() -> None:
    first = Contents(areas={"packages": {"old": "1.0"}, "files": {"old": "aa"}})
    second = Contents(areas={"packages": {"old": "1.0.0"}})
    assert find_differences(first, second) == []
    assert areas_not_compared(first, second) == ["files"]


TEXTS = st.text(max_size=5)
AREAS = st.dictionaries(
    st.sampled_from(["packages", "python", "settings", "data"]), st.dictionaries(TEXTS, TEXTS, max_size=3), max_size=4
)


@given(AREAS, AREAS)
def test_both_directions_tell_the_same(one: dict[str, dict[str, str]], other: dict[str, dict[str, str]]) -> None:
    first, second = Contents(areas=one), Contents(areas=other)
    there = {(item.area, item.subject, item.first, item.second) for item in find_differences(first, second)}
    back = {(item.area, item.subject, item.second, item.first) for item in find_differences(second, first)}
    assert there == back
