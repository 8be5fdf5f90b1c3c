"""Which mixtures of two locks can be installed is told by their requirements alone."""

from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.requirements import Requirement

from envcap.compare.together import Side, find_needs, group_changes, possible
from envcap.model.lock import Move

MARKERS = {"python_version": "3.11", "python_full_version": "3.11.7", "sys_platform": "linux"}
NAMES = ("alpha", "beta", "gamma", "delta")


def sides(good: dict[str, list[str]], bad: dict[str, list[str]]) -> tuple[list[Move], Side, Side]:
    """Give two locks in which every package moves from 1 to 2."""
    moves = [Move(package=name, before="1", after="2") for name in NAMES]
    return moves, Side(dict.fromkeys(NAMES, "1"), good), Side(dict.fromkeys(NAMES, "2"), bad)


def test_a_new_version_that_needs_a_new_one_binds_in_one_direction() -> None:
    needs = find_needs(*sides({}, {"alpha": ["Beta>=2", "gamma"]}), markers=MARKERS)
    assert needs.of["alpha"] == {"beta": "alpha 2 requires Beta>=2"}
    assert possible(frozenset({"alpha"}), needs) == frozenset()
    assert possible(frozenset({"alpha", "beta", "gamma"}), needs) == {"alpha", "beta", "gamma"}
    assert group_changes(NAMES, needs) == [(name,) for name in NAMES]


def test_an_old_version_that_needs_an_old_one_binds_the_other_and_both_make_a_group() -> None:
    needs = find_needs(*sides({"alpha": ["delta<2"]}, {"alpha": ["delta>=2"]}), markers=MARKERS)
    assert needs.of["delta"] == {"alpha": "alpha 1 requires delta<2"}
    assert group_changes(NAMES, needs) == [("alpha", "delta"), ("beta",), ("gamma",)]


def test_what_does_not_apply_or_no_lock_meets_binds_nothing() -> None:
    requires = ["beta>=3", "gamma>=2; sys_platform == 'win32'", "delta>=2; extra == 'more'", "!!"]
    needs = find_needs(*sides({}, {"alpha": requires}), markers=MARKERS)
    assert needs.of == {name: {} for name in NAMES}


def test_what_comes_and_goes_is_bound_by_who_requires_it() -> None:
    moves = [
        Move(package="new", after="1"),
        Move(package="old", before="1"),
        Move(package="user", before="1", after="2"),
    ]
    good = Side({"old": "1", "user": "1"}, {"user": ["old"]})
    bad = Side({"new": "1", "user": "2"}, {"user": ["new"]})
    needs = find_needs(moves, good, bad, markers=MARKERS)
    assert list(needs.of["user"]) == ["new"]
    assert list(needs.of["old"]) == ["user"]


REQUIREMENTS = st.dictionaries(
    st.sampled_from(NAMES),
    st.lists(st.builds("{}{}".format, st.sampled_from(NAMES), st.sampled_from(["", ">=2", "<2"])), max_size=3),
)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(REQUIREMENTS, REQUIREMENTS, st.frozensets(st.sampled_from(NAMES)))
def test_a_possible_mixture_meets_what_its_own_locks_meet(
    before: dict[str, list[str]], after: dict[str, list[str]], chosen: frozenset[str]
) -> None:
    moves, good, bad = sides(before, after)
    needs = find_needs(moves, good, bad, markers=MARKERS)

    def broken(changed: frozenset[str]) -> set[tuple[str, bool, str]]:
        versions = {name: "2" if name in changed else "1" for name in NAMES}
        return {
            (name, name in changed, text)
            for name in NAMES
            for text in (after if name in changed else before).get(name, [])
            if versions[Requirement(text).name] not in Requirement(text).specifier
        }

    known = broken(frozenset()) | broken(frozenset(NAMES))
    assert broken(possible(chosen, needs)) <= known
    if broken(chosen) <= known:
        assert possible(chosen, needs) == chosen
