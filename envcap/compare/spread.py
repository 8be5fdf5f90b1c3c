"""The tolerance of a noisy number, from the spread that was measured. Pure.

The band is the widest of three: the metric's quantum, the precision of its type, and the prediction interval

    t(1 - a/2, v) * s * sqrt(1/k + 1/j)

for the difference of the means of k frozen and j new runs (Hahn and Meeker, Statistical Intervals, section 4.7; for
j = 1 the usual interval for one further value). With j > 1 the spreads are pooled, v = k + j - 2, unless an F test says
that they differ, and then Welch's error and degrees of freedom (Biometrika 34, 1947) take their place.
"""

import math
import struct
from fractions import Fraction

from envcap.compare.distributions import f_tail, normal_quantile, shift_caught, t_quantile, t_tail
from envcap.model.struct import Data

ALPHA = 0.01  # the chance of a false alarm over all that is judged by its spread
DEFAULT_MARGIN = 0.1  # of the frozen value: the widest band that passes where no margin was stated
_SPREADS_DIFFER = 0.01  # p-value of the F test below which spreads are not pooled
_POWER = 0.8
_LARGEST_RATIO = 1e100
_MOST_DECIMALS = 6  # a number printed with no more was rounded
# The relative tolerances of torch.testing.assert_close, which were set from logged test data.
_PRECISION = {"float32": 1.3e-6, "float64": 1e-7}


class Band(Data, frozen=True, kw_only=True):
    """How far the mean of the new runs may be from the mean of the frozen ones, and why."""

    reference: float
    shift: float  # of the new mean
    half: float  # the band reaches so far on both sides
    origin: str  # which of the three is the widest, in words
    detectable: float  # the smallest shift caught in four of five cases
    t: float
    freedom: float
    p_value: float


class Error(Data, frozen=True, kw_only=True):
    """The standard error of a difference of means, how well it is known, and how it was estimated."""

    size: float
    freedom: float
    how: str


def measure(frozen: list[float], observed: list[float], *, alpha: float, quantum: float) -> Band:
    """Give the band for the mean of `observed`. At least two of `frozen` must be there, and differ."""
    reference, mean = exact_mean(frozen), exact_mean(observed)
    shift = to_float(mean - reference)
    error = standard_error(frozen, observed)
    confidence = f"{100 * (1 - alpha):.4g} %"
    precision, kind = _precision(frozen + observed, float(reference))
    widest = [
        (t_quantile(alpha, error.freedom) * error.size, f"{confidence} t interval over {error.how}"),
        (quantum, f"the smallest step of this metric, which is wider than the spread over {error.how}"),
        (precision, f"the precision of {kind}, which is wider than the spread over {error.how}"),
    ]
    half, origin = max(widest)
    t = 0.0 if math.isinf(error.size) else abs(shift) / error.size if error.size else math.inf
    detectable = shift_caught(error.freedom, alpha, _POWER) * error.size
    if half > widest[0][0]:
        detectable = max(detectable, half + normal_quantile(_POWER) * error.size)
    return Band(
        reference=float(reference),
        shift=shift,
        half=half,
        origin=origin,
        detectable=detectable,
        t=t,
        freedom=error.freedom,
        p_value=t_tail(t, error.freedom),
    )


def is_within(band: Band) -> bool:
    """Tell whether the new mean is in the band; what a sum of decimals rounds away does not count."""
    rounding = 4 * math.ulp(max(abs(band.reference), abs(band.shift)))
    return abs(band.shift) <= band.half + (rounding if math.isfinite(rounding) else 0.0)


def standard_error(frozen: list[float], observed: list[float]) -> Error:
    """Give the standard error of the difference of two means, pooled where the spreads allow it.

    At least one side must have two runs.
    """
    k, j = len(frozen), len(observed)
    if k == 1 or j == 1:
        many, words = (frozen, f"{k} frozen runs") if j == 1 else (observed, f"{j} new runs")
        return Error(size=deviation(many) * math.sqrt(1 / k + 1 / j), freedom=len(many) - 1, how=words)
    before, after = deviation(frozen), deviation(observed)
    largest = max(before, after)
    how, freedom = f"{k} frozen and {j} new runs", float(k + j - 2)
    if not 0 < largest < math.inf:
        return Error(size=largest, freedom=freedom, how=f"{how} together")
    before, after = before / largest, after / largest  # the squares of what is very large or small are no numbers
    if before > 0 and after > 0:
        tail = f_tail(min(after / before, _LARGEST_RATIO) ** 2, j - 1, k - 1)
        if 2 * min(tail, 1 - tail) < _SPREADS_DIFFER:
            first, second = before**2 / k, after**2 / j
            freedom = (first + second) ** 2 / (first**2 / (k - 1) + second**2 / (j - 1))
            size = largest * math.sqrt(first + second)
            return Error(size=size, freedom=freedom, how=f"{how}, whose spreads differ (Welch)")
    pooled = largest * math.sqrt(((k - 1) * before**2 + (j - 1) * after**2) / freedom)
    return Error(size=pooled * math.sqrt(1 / k + 1 / j), freedom=freedom, how=f"{how} together")


def exact_mean(values: list[float]) -> Fraction:
    """Give the mean without rounding: the sum of the largest numbers is no number."""
    return sum(map(Fraction, values), Fraction(0)) / len(values)


def deviation(values: list[float]) -> float:
    """Give the standard deviation, n - 1 in the denominator; above 0 whenever two values differ."""
    mean = exact_mean(values)
    variance = to_float(sum(((Fraction(value) - mean) ** 2 for value in values), Fraction(0)) / (len(values) - 1))
    if 0 < variance < math.inf:
        return math.sqrt(variance)
    return max(to_float(abs(Fraction(value) - mean)) for value in values)  # beyond what can be squared


def quantum_of(values: list[float], *, stated: float | None, samples: int | None) -> float:
    """Give the smallest step of a metric: stated, one of its samples, 1 for integers, or that of its rounding."""
    if stated is not None or samples is not None:
        return stated or 1 / (samples or math.inf)
    if all(isinstance(value, int) for value in values):
        return 1.0
    decimals = max(_decimals(value) for value in values)
    return float(10.0**-decimals) if decimals <= _MOST_DECIMALS else 0.0


def _decimals(value: float) -> int:
    text = repr(value)
    return _MOST_DECIMALS + 1 if "e" in text else len(text.partition(".")[2])


def _precision(values: list[float], reference: float) -> tuple[float, str]:
    kind = "float32" if all(_is_single(value) for value in values) else "float64"
    return _PRECISION[kind] * abs(reference), kind


def _is_single(value: float) -> bool:
    try:
        return bool(struct.unpack("<f", struct.pack("<f", value))[0] == value)
    except OverflowError:
        return False


def to_float(value: Fraction) -> float:
    """Give the nearest float, and infinity beyond the largest."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
