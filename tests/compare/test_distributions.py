"""The closed forms against published tables, and against what must hold everywhere."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envcap.compare.distributions import (
    beta_cdf,
    binomial_two_sided,
    f_tail,
    next_differs_at_most,
    shift_caught,
    t_quantile,
    t_tail,
)


# NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2: upper critical values of Student's t.
@pytest.mark.parametrize(
    ("freedom", "upper_tail", "critical"),
    [
        (1, 0.10, 3.078),
        (1, 0.025, 12.706),
        (1, 0.005, 63.657),
        (2, 0.05, 2.920),
        (2, 0.005, 9.925),
        (2, 0.001, 22.327),
        (4, 0.025, 2.776),
        (4, 0.005, 4.604),
        (9, 0.005, 3.250),
        (10, 0.10, 1.372),
        (19, 0.005, 2.861),
        (30, 0.001, 3.385),
        (60, 0.025, 2.000),
        (100, 0.005, 2.626),
    ],
)
def test_t_as_published(freedom: float, upper_tail: float, critical: float) -> None:
    assert t_quantile(2 * upper_tail, freedom) == pytest.approx(critical, abs=6e-4)


# The same handbook, 1.3.6.7.3: upper critical values of F at 5 % and 1 %.
@pytest.mark.parametrize(
    ("first", "second", "critical", "tail"),
    [
        (1, 1, 161.448, 0.05),
        (2, 4, 6.944, 0.05),
        (4, 2, 19.247, 0.05),
        (5, 10, 3.326, 0.05),
        (10, 5, 4.735, 0.05),
        (4, 4, 15.977, 0.01),
        (10, 10, 4.849, 0.01),
        (2, 20, 5.849, 0.01),
    ],
)
def test_f_as_published(first: float, second: float, critical: float, tail: float) -> None:
    assert f_tail(critical, first, second) == pytest.approx(tail, rel=2e-3)


@given(successes=st.integers(0, 60), more=st.integers(0, 60))
def test_the_binomial_is_its_sum(successes: int, more: int) -> None:
    trials = successes + more
    few = min(successes, more)
    tail = sum(math.comb(trials, number) for number in range(few + 1)) / 2**trials
    assert binomial_two_sided(successes, trials) == pytest.approx(min(1.0, 2 * tail), rel=1e-9)


def test_with_two_degrees_of_freedom_t_has_a_closed_form() -> None:
    for value in (0.1, 1.0, 4.3, 9.9, 100.0):
        assert t_tail(value, 2) == pytest.approx(1 - value / math.sqrt(2 + value * value), rel=1e-9, abs=1e-15)
        assert t_tail(value, 1) == pytest.approx(1 - 2 * math.atan(value) / math.pi, rel=1e-9)


@given(value=st.floats(0.0, 1.0), first=st.floats(0.5, 200), second=st.floats(0.5, 200))
def test_beta_is_a_distribution(value: float, first: float, second: float) -> None:
    found = beta_cdf(value, first, second)
    assert 0 <= found <= 1
    assert found == pytest.approx(1 - beta_cdf(1 - value, second, first), abs=1e-7)
    assert found <= beta_cdf(min(1.0, value + 0.01), first, second) + 1e-12


@given(alpha=st.floats(1e-6, 0.5), freedom=st.integers(1, 200))
def test_the_quantile_undoes_the_tail(alpha: float, freedom: int) -> None:
    assert t_tail(t_quantile(alpha, freedom), freedom) == pytest.approx(alpha, rel=1e-6)


# The smallest shift is found with the power that was asked for. Powers of a single new run against k frozen ones at
# 1 %, from 400,000 simulated draws: (k, shift in standard deviations, power).
@pytest.mark.parametrize(
    ("runs", "shift", "power"), [(3, 8, 0.39), (5, 5, 0.57), (5, 8, 0.94), (8, 5, 0.84), (10, 5, 0.90)]
)
def test_the_shift_caught_agrees_with_simulation(runs: int, shift: float, power: float) -> None:
    found = shift_caught(runs - 1, 0.01, power) * math.sqrt(1 + 1 / runs)
    assert found == pytest.approx(shift, rel=0.03)


def test_equal_runs_prove_little() -> None:
    assert [round(next_differs_at_most(runs), 2) for runs in (1, 2, 3, 5, 10, 30)] == [1.0, 0.95, 0.78, 0.53, 0.28, 0.1]
