"""One value against another. The tables are the rules; the properties say what no rule may break."""

import math
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envcap.compare import number
from envcap.compare.values import bound, same, show, show_all, show_tolerance
from envcap.model.evaluation import Metric, Tolerance
from envcap.model.verdict import Check, Verdict

IDENTICAL, EQUIVALENT = Verdict.IDENTICAL, Verdict.EQUIVALENT
DIFFERENT, INCONCLUSIVE = Verdict.DIFFERENT, Verdict.INCONCLUSIVE
NAN, INF = math.nan, math.inf
FLOOR = Tolerance(mode="floor", floor=0.99)


def judge_metric(name: str, frozen: list[Metric], observed: Metric | None, tolerance: Tolerance | None) -> Check:
    return number.judge_metric(name, frozen, [observed], tolerance)


def verdict(frozen: list[Metric], observed: Metric | None, tolerance: Tolerance | None = None) -> Verdict:
    return judge_metric("m", frozen, observed, tolerance).verdict


def absolute(value: float) -> Tolerance:
    return Tolerance(absolute=value)


def stated(value: float) -> Tolerance:
    return Tolerance(absolute=value, mode="stated")


def relative(value: float) -> Tolerance:
    return Tolerance(relative=value)


@pytest.mark.parametrize(
    ("frozen", "observed", "expected"),
    [
        # equal
        ([0.5], 0.5, IDENTICAL),
        ([0.5, 0.5, 0.5], 0.5, IDENTICAL),
        ([3], 3, IDENTICAL),
        ([True], True, IDENTICAL),
        (["x"], "x", IDENTICAL),
        ([""], "", IDENTICAL),
        ([0.0], 0.0, IDENTICAL),
        ([-0.0], -0.0, IDENTICAL),
        ([INF], INF, IDENTICAL),
        ([5e-324], 5e-324, IDENTICAL),
        # another value
        ([0.5], 0.5000000000000001, DIFFERENT),
        ([3], 4, DIFFERENT),
        ([True], False, DIFFERENT),
        (["x"], "y", DIFFERENT),
        (["x"], "X", DIFFERENT),
        ([0.0], -0.0, DIFFERENT),
        ([2**53], 2**53 + 1, DIFFERENT),
        ([INF], -INF, DIFFERENT),
        ([0.0], 5e-324, DIFFERENT),
        # another type
        ([1], 1.0, DIFFERENT),
        ([1.0], 1, DIFFERENT),
        ([1], True, DIFFERENT),
        ([True], 1, DIFFERENT),
        ([0], False, DIFFERENT),
        (["1"], 1, DIFFERENT),
        ([1.0], "1.0", DIFFERENT),
        # no number
        ([NAN], NAN, DIFFERENT),
        ([0.5], NAN, DIFFERENT),
        ([NAN], 0.5, DIFFERENT),
        ([0.5], INF, DIFFERENT),
        ([INF], 0.5, DIFFERENT),
        ([0.5, NAN], 0.5, DIFFERENT),
        # missing and new
        ([0.5], None, DIFFERENT),
        ([], 0.5, DIFFERENT),
        ([], None, DIFFERENT),
        # the frozen runs differ among themselves
        ([0.5, 0.6], 0.5, INCONCLUSIVE),
        ([0.5, 0.6], 0.55, INCONCLUSIVE),
        ([0.5, 0.6], 99.0, DIFFERENT),  # beyond what even two such runs allow
        (["x", "y"], "x", INCONCLUSIVE),
        ([True, False], True, INCONCLUSIVE),
        ([1, 1.5], 1.5, INCONCLUSIVE),
        ([1, "x"], 1, INCONCLUSIVE),
        ([0.0, -0.0], 0.0, DIFFERENT),
        ([0.5, 0.6], "x", DIFFERENT),
        ([0.5, 0.6], 1, DIFFERENT),
        ([0.5, 0.6], None, DIFFERENT),
    ],
)
def test_without_a_tolerance(frozen: list[Metric], observed: Metric | None, expected: Verdict) -> None:
    assert verdict(frozen, observed) is expected


@pytest.mark.parametrize(
    ("frozen", "observed", "tolerance", "expected"),
    [
        ([0.5], 0.5, absolute(0.1), IDENTICAL),
        ([0.5], 0.55, absolute(0.1), EQUIVALENT),
        ([0.5], 0.75, absolute(0.25), EQUIVALENT),  # the bound itself is within
        ([0.5], 0.25, absolute(0.25), EQUIVALENT),
        ([0.5], 0.7500001, absolute(0.25), DIFFERENT),
        ([100.0], 101.0, relative(0.01), EQUIVALENT),
        ([100.0], 101.1, relative(0.01), DIFFERENT),
        ([-100.0], -101.0, relative(0.01), EQUIVALENT),
        ([0.0], 1e-300, relative(0.5), DIFFERENT),
        ([0.0], -0.0, absolute(0.0), EQUIVALENT),
        ([0.5], 0.5, absolute(0.0), IDENTICAL),
        ([0.5], 0.6, absolute(0.0), DIFFERENT),
        ([10], 11, absolute(1), EQUIVALENT),
        ([10], 12, absolute(1), DIFFERENT),
        ([2**53], 2**53 + 1, absolute(0.0), DIFFERENT),
        ([2**62], 2**62 + 5, absolute(5), EQUIVALENT),
        ([1.0], 1.5, Tolerance(absolute=1.0, relative=0.001), EQUIVALENT),  # either is enough
        ([1.0], 1.5, Tolerance(absolute=0.001, relative=1.0), EQUIVALENT),
        ([1.0], 1.5, Tolerance(), DIFFERENT),
        # the frozen runs differ among themselves
        ([0.4, 0.6], 0.5, stated(0.2), EQUIVALENT),
        ([0.5, 0.5, 0.6], 0.5, stated(0.2), EQUIVALENT),  # never identical: no single value was frozen
        ([0.4, 0.6], 0.5, stated(0.05), INCONCLUSIVE),
        ([0.4, 0.6], 0.8, stated(0.05), DIFFERENT),
        ([0.4, 0.6], 0.5, stated(0.1), EQUIVALENT),  # as wide as the tolerance on both sides, and no wider
        ([1.7e308, 1.6e308], 1.65e308, Tolerance(relative=0.1, mode="stated"), EQUIVALENT),
        ([0.4, 0.6], 0.5, absolute(0.2), INCONCLUSIVE),  # two runs vary by far more than that
        ([0.4, 0.6], 0.5, absolute(20.0), EQUIVALENT),
        ([0.4, 0.6], 99.0, absolute(200.0), DIFFERENT),
        ([1.7e308, 1.6e308], 1.65e308, relative(0.1), INCONCLUSIVE),
        ([1e308, -1e308], 0.0, relative(0.1), INCONCLUSIVE),
        ([5e-324, 0.0], 0.0, absolute(1.0), EQUIVALENT),
        # units in the last place
        ([1.0], 1.0000000000000002, Tolerance(ulp=1), EQUIVALENT),
        ([1.0], 1.0000000000000004, Tolerance(ulp=1), DIFFERENT),
        ([0.0], 5e-324, Tolerance(ulp=1), EQUIVALENT),
        ([10], 11, Tolerance(ulp=1), DIFFERENT),
        # a NaN on both sides, where it was declared
        ([NAN], NAN, Tolerance(nan="equal"), IDENTICAL),
        ([NAN, NAN], 0.5, Tolerance(nan="equal", absolute=9.0), DIFFERENT),
        ([0.5], NAN, Tolerance(nan="equal", absolute=9.0), DIFFERENT),
        # a floor
        ([0.9], 0.892, FLOOR, EQUIVALENT),
        ([0.9], 5.0, FLOOR, EQUIVALENT),
        ([0.9], 0.89, FLOOR, DIFFERENT),
        ([-0.9], -0.91, FLOOR, DIFFERENT),
        ([-0.9], -0.905, FLOOR, EQUIVALENT),
        ([2.0], 2.01, Tolerance(mode="floor", floor=0.99, better="lower"), EQUIVALENT),
        ([2.0], 2.03, Tolerance(mode="floor", floor=0.99, better="lower"), DIFFERENT),
        ([0.9, 0.8], 0.843, FLOOR, INCONCLUSIVE),
        # equivalence needs two runs on each side
        ([0.5, 0.6], 0.55, Tolerance(mode="equivalence", absolute=9.0), INCONCLUSIVE),
        # a tolerance says nothing about these
        ([0.5], NAN, absolute(1e308), DIFFERENT),
        ([NAN], NAN, absolute(1e308), DIFFERENT),
        ([0.5], INF, absolute(1e308), DIFFERENT),
        ([INF], 0.5, relative(1.0), DIFFERENT),
        ([-INF], INF, relative(1.0), DIFFERENT),
        ([0.5], None, absolute(1e308), DIFFERENT),
        ([], 0.5, absolute(1e308), DIFFERENT),
        ([1], 1.0, absolute(1.0), DIFFERENT),
        ([1.0], 1, absolute(1.0), DIFFERENT),
        ([True], False, absolute(1.0), DIFFERENT),
        (["1"], "2", absolute(9.0), DIFFERENT),
        ([1e308], -1e308, absolute(1e308), DIFFERENT),
    ],
)
def test_with_a_tolerance(
    frozen: list[Metric], observed: Metric | None, tolerance: Tolerance, expected: Verdict
) -> None:
    assert verdict(frozen, observed, tolerance) is expected


def test_an_ignored_metric_is_shown_and_not_judged() -> None:
    check = judge_metric("seconds", [1.0], 2.0, Tolerance(ignore=True))
    assert not check.judged
    assert check.tolerance == "not judged"
    assert (check.frozen, check.observed) == ("1.0", "2.0")


@pytest.mark.parametrize(
    ("frozen", "observed", "tolerance", "words"),
    [
        ([0.5], None, None, ["did not come back"]),
        ([], 0.5, None, ["was not there"]),
        ([1], 1.0, None, ["an integer", "a decimal number"]),
        ([True], "x", None, ["a truth value", "text"]),
        (["x"], "y", None, ["the text is another one"]),
        ([True], False, None, ["flipped"]),
        ([0.5], NAN, absolute(1.0), ["NaN"]),
        ([0.51, 0.55], 0.51, None, ["vary by ±2.21", "default margin of 10 %", "or state a tolerance"]),
        ([0.5, 0.6], 0.5, None, ["one step of this metric, 0.1, is more", "wider tolerance, or write more digits"]),
        ([3, 4], 3, absolute(0.5), ["one step of this metric, 1, is more than that: state a wider tolerance"]),
        ([0.4, 0.6], 0.5, stated(0.01), ["0.2", "wider than the tolerance"]),
        ([0.5], 0.6, None, ["+0.1", "+20%"]),
        ([0.0], 0.5, None, ["+0.5"]),
    ],
)
def test_the_reason_is_given(
    frozen: list[Metric], observed: Metric | None, tolerance: Tolerance | None, words: list[str]
) -> None:
    check = judge_metric("m", frozen, observed, tolerance)
    for word in words:
        assert word in check.detail
    assert check.origin  # where the tolerance came from, and what would be caught, are told of every check
    assert check.catches


def test_the_smallest_shift_that_would_be_caught_is_told() -> None:
    assert judge_metric("m", [0.5], 0.5, None).catches == "any change"
    assert judge_metric("m", [0.5], 0.55, absolute(0.1)).catches == "0.1"
    assert judge_metric("m", [200.0], 201.0, relative(0.01)).catches == "2"


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [(0.0, -0.0, False), (-0.0, -0.0, True), (NAN, NAN, False), (1, True, False), (1, 1.0, False), ("a", "a", True)],
)
def test_same(first: Metric, second: Metric, expected: bool) -> None:  # noqa: FBT001
    assert same(first, second) is expected


def test_what_is_shown() -> None:
    assert [show(value) for value in (True, False, 1, 0.1, -0.0, NAN, "it's")] == [
        "true",
        "false",
        "1",
        "0.1",
        "-0.0",
        "nan",
        '"it\'s"',
    ]
    assert len(show("x" * 1_000)) < 50
    assert "\x1b" not in show("\x1b[31m")
    assert show_all([]) == "missing"
    assert show_all([0.5, 0.5]) == "0.5"
    assert show_all([0.6, 0.5]) == "0.5 … 0.6"
    assert show_all(["x", "y"]) == "'x' and others"
    assert [show_tolerance(item) for item in (None, Tolerance(), absolute(0.001), relative(1e-5))] == [
        "equal",
        "equal",
        "±0.001",
        "±1e-05 relative",
    ]
    assert show_tolerance(Tolerance(absolute=1.0, relative=0.1)) == "±1 or ±0.1 relative"


# Properties

finite = st.floats(allow_nan=False, allow_infinity=False)
metrics = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(max_size=5)
bounds = st.none() | st.floats(0, 1e300)
tolerances = st.none() | st.builds(Tolerance, absolute=bounds, relative=bounds)
BETTER_FIRST = (IDENTICAL, EQUIVALENT, INCONCLUSIVE, DIFFERENT)


@given(value=metrics, count=st.integers(1, 4), tolerance=tolerances)
def test_the_same_value_is_identical_and_nan_is_nothing(value: Metric, count: int, tolerance: Tolerance | None) -> None:
    expected = IDENTICAL if value == value else DIFFERENT  # noqa: PLR0124
    assert verdict([value] * count, value, tolerance) is expected


@given(frozen=st.lists(metrics, max_size=4), observed=st.none() | metrics, tolerance=tolerances)
def test_every_case_has_an_answer(frozen: list[Metric], observed: Metric | None, tolerance: Tolerance | None) -> None:
    check = judge_metric("m", frozen, observed, tolerance)
    assert check.verdict in BETTER_FIRST
    assert check.verdict is IDENTICAL or tolerance is not None or check.detail
    assert (check.verdict is IDENTICAL) <= (observed is not None and all(same(value, observed) for value in frozen))


@given(frozen=st.lists(metrics, min_size=1, max_size=3), observed=metrics, tolerance=tolerances)
def test_the_order_of_the_frozen_runs_does_not_matter(
    frozen: list[Metric], observed: Metric, tolerance: Tolerance | None
) -> None:
    assert len({verdict(list(order), observed, tolerance) for order in permutations(frozen)}) == 1


@given(frozen=st.lists(finite, min_size=1, max_size=3), tolerance=tolerances)
def test_one_nan_is_different(frozen: list[float], tolerance: Tolerance | None) -> None:
    assert verdict([*frozen], NAN, tolerance) is DIFFERENT
    assert verdict([*frozen, NAN], frozen[0], tolerance) is DIFFERENT


@given(frozen=st.lists(finite, min_size=1, max_size=3), observed=finite, narrow=bounds, more=st.floats(0, 1e300))
def test_a_wider_tolerance_never_makes_it_worse(
    frozen: list[float], observed: float, narrow: float | None, more: float
) -> None:
    for kind in (absolute, relative):
        before = verdict([*frozen], observed, None if narrow is None else kind(narrow))
        after = verdict([*frozen], observed, kind((narrow or 0.0) + more))
        if before in {IDENTICAL, EQUIVALENT}:
            assert after is before
        assert after is not DIFFERENT or before in {DIFFERENT, INCONCLUSIVE}


@given(reference=finite, shift=st.floats(0, 1e300), tolerance=st.builds(Tolerance, absolute=bounds, relative=bounds))
def test_within_means_within_the_bound(reference: float, shift: float, tolerance: Tolerance) -> None:
    observed = reference + shift
    if math.isfinite(observed) and not same(reference, observed):
        within = abs(observed - reference) <= bound(tolerance, reference)
        assert verdict([reference], observed, tolerance) is (EQUIVALENT if within else DIFFERENT)
