"""The tolerance from measured spread: known figures, what may never happen, and how the chance of alarms is shared."""

import math
import random
import statistics

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from envcap.compare.decision import Setting, share_alpha
from envcap.compare.number import judge_metric
from envcap.compare.spread import deviation, is_within, measure, quantum_of, standard_error
from envcap.model.evaluation import Metric, Tolerance
from envcap.model.verdict import Verdict

IDENTICAL, EQUIVALENT = Verdict.IDENTICAL, Verdict.EQUIVALENT
DIFFERENT, INCONCLUSIVE = Verdict.DIFFERENT, Verdict.INCONCLUSIVE


def around(count: int, spread: float) -> list[float]:
    """Give `count` values around 1 whose standard deviation is `spread`."""
    values = [float(number) for number in range(count)]
    mean, size = statistics.fmean(values), statistics.stdev(values)
    return [1 + spread * (value - mean) / size for value in values]


# Factors of the 99 % prediction interval for one further value, and of that for the means of 5 frozen and j new runs.
@pytest.mark.parametrize(
    ("frozen", "new", "factor"),
    [(2, 1, 78.0), (3, 1, 11.5), (5, 1, 5.04), (8, 1, 3.71), (10, 1, 3.41), (20, 1, 2.93), (5, 3, 2.71), (5, 5, 2.12)],
)
def test_the_factors_as_published(frozen: int, new: int, factor: float) -> None:
    observed = around(new, 0.01) if new > 1 else [1.0]
    band = measure(around(frozen, 0.01), observed, alpha=0.01, quantum=0.0)
    assert band.half / 0.01 == pytest.approx(factor, rel=5e-3)


def test_spreads_that_differ_are_not_pooled() -> None:
    frozen, new = around(6, 0.001), around(6, 0.1)
    error = standard_error(frozen, new)
    assert "Welch" in error.how
    assert error.size == pytest.approx(math.sqrt(0.001**2 / 6 + 0.1**2 / 6))
    assert 5 < error.freedom < 5.01
    assert "together" in standard_error(frozen, around(6, 0.0012)).how


@pytest.mark.parametrize(
    ("values", "stated", "samples", "expected"),
    [
        ([0.91, 0.9], None, None, 0.01),
        ([0.91, 0.9123456789], None, None, 0.0),
        ([3, 4], None, None, 1.0),
        ([0.91], None, 1000, 0.001),
        ([0.91], 0.5, 1000, 0.5),
        ([1e-9], None, None, 0.0),
    ],
)
def test_the_quantum(values: list[float], stated: float | None, samples: int | None, expected: float) -> None:
    assert quantum_of(values, stated=stated, samples=samples) == pytest.approx(expected)


def test_one_step_of_the_quantum_is_never_different() -> None:
    check = judge_metric("a", [0.901, 0.901, 0.902, 0.901, 0.901], [0.903], Tolerance(samples=300))
    assert check.verdict is EQUIVALENT
    assert "smallest step" in check.origin
    assert check.measured.detectable is not None
    assert check.measured.detectable > 0.002


def test_precision_is_never_different() -> None:
    frozen: list[Metric] = [1.234567890123, 1.234567890124, 1.234567890123]
    check = judge_metric("a", frozen, [1.23456789020], None)
    assert check.verdict is EQUIVALENT
    assert "precision of float64" in check.origin


# Too few, too wide


def test_what_verify_repeats_can_tell_more() -> None:
    frozen: list[Metric] = [0.900123, 0.912345, 0.905678]
    assert judge_metric("a", frozen, [0.904321], Tolerance(absolute=0.02)).verdict is INCONCLUSIVE
    check = judge_metric("a", frozen, [0.904321, 0.901357, 0.909753], Tolerance(absolute=0.03))
    assert check.verdict is EQUIVALENT
    assert "3 frozen and 3 new runs together" in check.origin


def test_a_band_wider_than_the_margin_never_passes() -> None:
    frozen: list[Metric] = [0.5, 0.61234567, 0.7]
    check = judge_metric("a", frozen, [0.6], Tolerance(absolute=0.05))
    assert check.verdict is INCONCLUSIVE
    assert "stated margin (±0.05)" in check.detail


def test_a_shift_within_the_margin_but_not_within_the_runs_is_different() -> None:
    frozen: list[Metric] = [*around(10, 0.001)]
    assert judge_metric("a", frozen, [1.05], Tolerance(absolute=0.1)).verdict is DIFFERENT
    assert judge_metric("a", frozen, [1.05], Tolerance(absolute=0.1, mode="stated")).verdict is EQUIVALENT


def test_one_run_of_a_retraining_tells_nothing() -> None:
    retraining = Setting(kind="retraining")
    assert judge_metric("a", [0.5], [0.6], None, retraining).verdict is INCONCLUSIVE
    assert judge_metric("a", [0.5, 0.5], [0.6], None, retraining).verdict is DIFFERENT
    assert judge_metric("a", [0.5], [0.5], None, retraining).verdict is IDENTICAL


def test_equal_runs_are_compared_exactly_and_the_limits_of_that_are_told() -> None:
    check = judge_metric("a", [0.5] * 5, [0.5], None)
    assert check.verdict is IDENTICAL
    assert "does not prove" in check.origin
    assert "up to 53 % could differ" in check.origin
    assert judge_metric("a", [0.5] * 5, [0.5, 0.5000001], None).verdict is DIFFERENT
    assert judge_metric("a", [0.5] * 5, [0.5, None], None).verdict is DIFFERENT


def test_a_check_carries_what_a_report_draws() -> None:
    frozen: list[Metric] = [0.91, 0.93, 0.92, 0.915, 0.925]
    measured = judge_metric("a", frozen, [0.921, 0.919], None, Setting(correction="Bonferroni over 2 outputs")).measured
    assert measured.frozen == frozen
    assert measured.observed == [0.921, 0.919]
    assert measured.reference == pytest.approx(0.92)
    assert (measured.statistic, measured.freedom) == ("t", 5)
    assert measured.low is not None
    assert measured.high is not None
    assert measured.low < 0.92 < measured.high
    assert measured.p_value is not None
    assert measured.p_value > 0.5
    assert measured.margin == pytest.approx(0.092)
    assert measured.correction == "Bonferroni over 2 outputs"


# Equivalence


def test_equivalence_is_proven_refuted_or_open() -> None:
    def judge(frozen: list[float], new: list[float]) -> Verdict:
        margin = Tolerance(mode="equivalence", absolute=0.02)
        return judge_metric("a", [*frozen], [*new], margin).verdict

    shifted = [value + 0.1 for value in around(6, 0.005)]
    assert judge(around(6, 0.005), around(6, 0.0051)) is EQUIVALENT
    assert judge(around(6, 0.005), shifted) is DIFFERENT
    assert judge(around(6, 0.05), around(6, 0.051)) is INCONCLUSIVE


# The chance of a false alarm is shared


def test_the_primary_gates_and_the_others_share() -> None:
    settings = share_alpha(["a", "b", "c"], primary="a", kind="retraining")
    assert (settings["a"].alpha, settings["a"].primary, settings["a"].gates) == (0.01, True, True)
    assert (settings["b"].alpha, settings["b"].gates) == (0.005, False)
    assert settings["b"].correction == "Bonferroni over 2 outputs"
    alone = share_alpha(["a", "b", "c", "d"], primary=None, kind="fixed")
    assert {setting.alpha for setting in alone.values()} == {0.0025}
    assert all(setting.gates for setting in alone.values())
    assert share_alpha(["b"], primary=None, kind="fixed")["b"].correction == ""


# Properties

noise = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=6).filter(lambda values: len(set(values)) > 1)


@given(frozen=noise, new=st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=4), power=st.integers(-20, 20))
def test_the_unit_does_not_matter(frozen: list[float], new: list[float], power: int) -> None:
    before = measure(frozen, new, alpha=0.01, quantum=0.0)
    scale = 2.0**power
    after = measure([x * scale for x in frozen], [x * scale for x in new], alpha=0.01, quantum=0.0)
    if deviation(frozen) > 1e-100:
        assert after.half / scale == pytest.approx(before.half, rel=1e-9, abs=1e-200)


@given(frozen=noise, new=st.floats(-1e3, 1e3), margin=st.floats(0, 1e4))
def test_a_pass_is_never_wider_than_the_margin(frozen: list[float], new: float, margin: float) -> None:
    check = judge_metric("a", [*frozen], [new], Tolerance(absolute=margin))
    if check.verdict is EQUIVALENT:
        assert check.measured.high is not None
        assert check.measured.reference is not None
        assert check.measured.high - check.measured.reference <= margin * (1 + 1e-6) + 1e-9


finite = st.floats(allow_nan=False, allow_infinity=False)


@given(frozen=st.lists(finite, min_size=2, max_size=4), new=st.lists(finite, min_size=1, max_size=3))
@example(frozen=[1.7e308, -1.7e308], new=[1.7e308, -1.7e308])
@example(frozen=[1.7e308, 1.6e308], new=[-1.7e308, -1.6e308])
@example(frozen=[0.0, 4e-169], new=[0.0, 1.0])
@example(frozen=[0.0, 5e-324], new=[0.0, 1e308])
def test_no_number_is_too_large_or_too_small(frozen: list[float], new: list[float]) -> None:
    if len(set(frozen)) > 1:
        for mode in (Tolerance(), Tolerance(mode="equivalence", absolute=1.0), Tolerance(mode="floor", floor=0.9)):
            assert judge_metric("a", [*frozen], [*new], mode).verdict is not IDENTICAL
        band = measure(frozen, new, alpha=0.01, quantum=0.0)
        assert band.half >= 0
        assert is_within(band) in {True, False}


def test_the_rate_of_false_alarms_is_what_was_asked_for() -> None:
    chance = random.Random(7)
    draws = 4000
    alarms = 0
    for _ in range(draws):
        frozen: list[Metric] = [chance.gauss(0.9, 0.01) for _ in range(5)]
        alarms += judge_metric("a", frozen, [chance.gauss(0.9, 0.01)], Tolerance(absolute=9.0)).verdict is DIFFERENT
    assert 0.005 < alarms / draws < 0.016  # 1 %, and four standard errors
