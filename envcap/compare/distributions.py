"""Distributions in closed form: beta, t, F, binomial and noncentral t, with their sources. Pure.

The standard library has the normal distribution only, and these few lines spare every user a dependency of 100 MB.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from statistics import NormalDist

_NORMAL = NormalDist()
_TINY = 1e-300
_PRECISE = 1e-15


def beta_cdf(value: float, first: float, second: float) -> float:
    """Give the regularised incomplete beta function, I_x(a, b), for x from 0 to 1.

    Source: the continued fraction of NIST DLMF 8.17.22, evaluated by Lentz's method, on the side where it converges
    fast (x < (a + 1) / (a + b + 2)); the other side is 1 - I_{1-x}(b, a), DLMF 8.17.4.
    """
    if value <= 0:
        return 0.0
    if value >= 1:
        return 1.0
    if value > (first + 1) / (first + second + 2):
        return 1.0 - beta_cdf(1 - value, second, first)
    front = math.exp(
        math.lgamma(first + second)
        - math.lgamma(first)
        - math.lgamma(second)
        + first * math.log(value)
        + second * math.log1p(-value)
    )
    return min(1.0, front * _continued_fraction(value, first, second) / first)


def _continued_fraction(value: float, first: float, second: float) -> float:
    ratio, upper, lower = 1.0, 1.0, 0.0
    for step in range(2000):
        half = step // 2
        if step == 0:
            numerator = 1.0
        elif step % 2 == 0:
            numerator = half * (second - half) * value / ((first + step - 1) * (first + step))
        else:
            numerator = -(first + half) * (first + second + half) * value / ((first + step - 1) * (first + step))
        lower = 1 / _not_zero(1 + numerator * lower)
        upper = _not_zero(1 + numerator / upper)
        ratio *= upper * lower
        if abs(upper * lower - 1) < _PRECISE:
            break
    return ratio - 1


def _not_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def t_tail(value: float, freedom: float) -> float:
    """Give the probability that Student's t is at least `value` away from 0, on both sides together.

    Source: Abramowitz and Stegun 26.7.1 with 26.5.27, P(|T| >= t) = I_{v / (v + t^2)}(v / 2, 1 / 2).
    """
    if math.isinf(value):
        return 0.0
    return beta_cdf(freedom / (freedom + value * value), freedom / 2, 0.5)


@lru_cache(maxsize=4096)
def t_quantile(alpha: float, freedom: float) -> float:
    """Give the t that is exceeded, on both sides together, with probability `alpha`: found by bisection."""
    return _decreasing(lambda value: t_tail(value, freedom), alpha)


def f_tail(value: float, first: float, second: float) -> float:
    """Give the probability that F with these degrees of freedom exceeds `value`. Source: A. and S. 26.6.2."""
    return beta_cdf(second / (second + first * value), second / 2, first / 2)


def binomial_two_sided(successes: int, trials: int) -> float:
    """Give the exact two-sided p-value of `successes` of `trials` at probability 1/2, which is McNemar's exact test.

    Source: A. and S. 26.5.24 for the sum; twice the smaller tail, at most 1.
    """
    few = min(successes, trials - successes)
    if 2 * few >= trials:
        return 1.0
    return min(1.0, 2 * beta_cdf(0.5, trials - few, few + 1))


def next_differs_at_most(equal_runs: int, confidence: float = 0.95) -> float:
    """Give the upper bound on the probability that the next run differs, after that many runs were all equal.

    The first of them sets the value and the others could have differed: (1 - p)^(k - 1) = 1 - confidence, the exact
    (Clopper-Pearson) bound with no difference seen. With one run nothing is known, and it is 1.
    """
    return 1.0 if equal_runs < 2 else 1 - (1 - confidence) ** (1 / (equal_runs - 1))


def shift_caught(freedom: float, alpha: float, power: float = 0.8) -> float:
    """Give the smallest shift, in standard errors, that a two-sided t test at `alpha` finds with that power.

    The error is itself estimated with `freedom` degrees of freedom, so t is noncentral:
    P(|T| > c) = 1 - E[Phi(c R - d) - Phi(-c R - d)] with R = sqrt(chi^2_v / v).
    Source: Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2, chapter 31.
    """
    return _shift_caught(round(freedom, 6), alpha, power)


@lru_cache(maxsize=1024)
def _shift_caught(freedom: float, alpha: float, power: float) -> float:
    critical = t_quantile(alpha, freedom)
    weights = _chi_weights(freedom)

    def missed(shift: float) -> float:
        return math.fsum(
            weight * (_NORMAL.cdf(critical * ratio - shift) - _NORMAL.cdf(-critical * ratio - shift))
            for ratio, weight in weights
        )

    return _decreasing(missed, 1 - power)


def _chi_weights(freedom: float) -> list[tuple[float, float]]:
    """Give points of R = sqrt(chi^2_v / v) with their probabilities, by Simpson's rule on 400 intervals."""
    spread = 9 / math.sqrt(2 * freedom)
    low, high = max(1e-9, 1 - spread), 1 + spread
    intervals = 400
    width = (high - low) / intervals
    constant = math.log(2) + freedom / 2 * math.log(freedom / 2) - math.lgamma(freedom / 2)
    points = []
    for number in range(intervals + 1):
        ratio = low + number * width
        density = math.exp(constant + (freedom - 1) * math.log(ratio) - freedom * ratio * ratio / 2)
        simpson = 1 if number in {0, intervals} else 4 if number % 2 else 2
        points.append((ratio, density * simpson * width / 3))
    return points


def normal_quantile(probability: float) -> float:
    """Give the value below which a standard normal falls with that probability."""
    return _NORMAL.inv_cdf(probability)


def _decreasing(function: Callable[[float], float], goal: float) -> float:
    """Give where a decreasing function of values above 0 takes the value `goal`."""
    low, high = 0.0, 1.0
    while function(high) > goal and high < 1e12:
        low, high = high, high * 2
    for _ in range(200):
        middle = (low + high) / 2
        if middle in {low, high}:
            break
        if function(middle) > goal:
            low = middle
        else:
            high = middle
    return (low + high) / 2
