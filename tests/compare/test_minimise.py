"""The search for the smallest bad set: right, 1-minimal and bounded for whatever set is to blame."""

from hypothesis import given, settings
from hypothesis import strategies as st

from envcap.compare.minimise import minimise

COUNTS = st.integers(1, 60)


@st.composite
def planted(draw: st.DrawFn) -> tuple[int, list[frozenset[int]]]:
    """Give how many changes there are, and sets each of which is bad once it is whole."""
    count = draw(COUNTS)
    one = st.frozensets(st.integers(0, count - 1), min_size=1, max_size=4)
    return count, draw(st.lists(one, min_size=1, max_size=3))


@settings(derandomize=True, max_examples=300, deadline=None)
@given(planted())
def test_what_is_found_is_bad_and_nothing_of_it_can_be_left_out(case: tuple[int, list[frozenset[int]]]) -> None:
    count, culprits = case
    asked: list[frozenset[int]] = []

    def is_bad(chosen: frozenset[int]) -> bool:
        return any(culprit <= chosen for culprit in culprits)

    def ask(chosen: frozenset[int]) -> bool:
        asked.append(chosen)
        return is_bad(chosen)

    found = minimise(count, ask)
    assert found.finished
    assert is_bad(frozenset(found.items))
    assert not any(is_bad(frozenset(found.items) - {item}) for item in found.items)
    assert len(asked) == len(set(asked)) <= count**2 + 3 * count
    if len(culprits) == 1:
        assert frozenset(found.items) == culprits[0]


@settings(derandomize=True, max_examples=60, deadline=None)
@given(st.integers(2, 300).flatmap(lambda count: st.tuples(st.just(count), st.integers(0, count - 1))))
def test_one_culprit_takes_two_questions_for_each_halving(case: tuple[int, int]) -> None:
    count, culprit = case
    asked = 0

    def ask(chosen: frozenset[int]) -> bool:
        nonlocal asked
        asked += 1
        return culprit in chosen

    assert minimise(count, ask).items == [culprit]
    assert asked <= 2 * (count - 1).bit_length()


def test_with_no_more_questions_what_is_left_is_given() -> None:
    answers = iter([True])

    def ask(_: frozenset[int]) -> bool | None:
        return next(answers, None)

    found = minimise(8, ask)
    assert (found.items, found.finished) == ([0, 1, 2, 3], False)
