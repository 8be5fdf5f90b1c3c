"""One value against another: equal to the bit, within a stated tolerance, or different. Pure."""

import math
import sys
from typing import NamedTuple, TypeGuard

from envcap.model.evaluation import Metric, Tolerance
from envcap.model.verdict import Check, Verdict


class _Decision(NamedTuple):
    verdict: Verdict
    detail: str = ""
    catches: str = ""


def same(first: Metric, second: Metric) -> bool:
    """Tell whether two values are the same: type and value; zeros of both signs differ, NaN equals nothing."""
    if type(first) is not type(second):
        return False
    if isinstance(first, float) and isinstance(second, float):
        return first == second and math.copysign(1.0, first) == math.copysign(1.0, second)
    return first == second


def is_number(value: Metric) -> TypeGuard[int | float]:
    """Tell whether a value takes part in arithmetic: an int or a float, but not a bool."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def bound(tolerance: Tolerance, reference: float) -> float:
    """Give the largest distance from `reference` that is still within tolerance."""
    size = min(abs(reference), sys.float_info.max)  # an integer may be larger than every float
    return max(tolerance.absolute or 0.0, (tolerance.relative or 0.0) * size)


def judge_metric(name: str, frozen: list[Metric], observed: Metric | None, tolerance: Tolerance | None) -> Check:
    """Judge one metric against the values of the frozen runs. None stands for a missing value, [] for a new one.

    Without a stated tolerance the value must be equal; where the frozen runs differ among themselves that cannot be
    asked, and the answer is INCONCLUSIVE.
    """
    decision = _decide(frozen, observed, tolerance)
    return Check(
        name=name,
        kind="metric",
        frozen=show_all(frozen),
        observed="missing" if observed is None else show(observed),
        tolerance=show_tolerance(tolerance),
        verdict=decision.verdict,
        detail=decision.detail,
        catches=decision.catches,
        judged=tolerance is None or not tolerance.ignore,
    )


def _decide(frozen: list[Metric], observed: Metric | None, tolerance: Tolerance | None) -> _Decision:
    if observed is None or not frozen:
        detail = "it was frozen and did not come back" if frozen else "it was not there when the evaluation was frozen"
        return _Decision(Verdict.DIFFERENT, detail)
    steady = all(same(frozen[0], value) for value in frozen[1:])
    if steady and same(frozen[0], observed):
        return _Decision(Verdict.IDENTICAL, catches="any change")
    kinds = {type(value) for value in frozen}
    if type(observed) not in kinds:
        return _Decision(Verdict.DIFFERENT, f"it was {_kind(frozen[0])} and is now {_kind(observed)}")
    numbers = [value for value in frozen if is_number(value)]
    if len(kinds) > 1 or not numbers or not is_number(observed):
        return _decide_without_distance(observed, steady=steady)
    if not all(math.isfinite(value) for value in (*numbers, observed)):
        return _Decision(Verdict.DIFFERENT, "NaN and infinities are never within a tolerance")
    return _decide_by_distance(numbers, observed, tolerance)


def _decide_without_distance(observed: Metric, *, steady: bool) -> _Decision:
    if not steady:
        return _Decision(Verdict.INCONCLUSIVE, "the frozen runs themselves differ")
    return _Decision(Verdict.DIFFERENT, "the text is another one" if isinstance(observed, str) else "it was flipped")


def _decide_by_distance(numbers: list[int | float], observed: float, tolerance: Tolerance | None) -> _Decision:
    low, high = min(numbers), max(numbers)
    # Divided before they are added: the sum of the largest numbers is none.
    reference = low if low == high else math.fsum(value / len(numbers) for value in numbers)
    distance = abs(observed - reference)
    shift = f"{observed - reference:+.3g}" + (
        f" ({100 * ((observed - reference) / abs(reference)):+.3g}%)" if reference else ""
    )
    if tolerance is None:
        if low != high:
            return _Decision(
                Verdict.INCONCLUSIVE,
                f"the frozen runs themselves differ, from {low!r} to {high!r}: state a tolerance",
            )
        return _Decision(Verdict.DIFFERENT, f"it shifted by {shift}", "any change")
    margin = bound(tolerance, reference)
    catches = f"{margin:.3g}"
    if distance > margin:
        return _Decision(Verdict.DIFFERENT, f"it shifted by {shift}", catches)
    if high - low > 2 * margin:
        return _Decision(
            Verdict.INCONCLUSIVE,
            f"the frozen runs spread over {high - low:.3g}, wider than the tolerance",
            catches,
        )
    return _Decision(Verdict.EQUIVALENT, f"it shifted by {shift}" if distance else "", catches)


def show(value: Metric) -> str:
    """Give a value as JSON writes it; text is quoted and cut at 40 characters."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return repr(value if len(value) <= 40 else f"{value[:37]}…")
    return repr(value)


def show_all(values: list[Metric]) -> str:
    """Give the one value that all runs had, or the range that they had."""
    if not values:
        return "missing"
    if all(same(values[0], value) for value in values[1:]):
        return show(values[0])
    numbers = [value for value in values if is_number(value)]
    if len(numbers) == len(values):
        return f"{show(min(numbers))} … {show(max(numbers))}"
    return f"{show(values[0])} and others"


def show_tolerance(tolerance: Tolerance | None) -> str:
    """Give a tolerance in few characters: `equal`, `±0.001`, `±1e-05 relative`, `not judged`."""
    if tolerance is None:
        return "equal"
    if tolerance.ignore:
        return "not judged"
    parts = []
    if tolerance.absolute is not None:
        parts.append(f"±{tolerance.absolute:g}")
    if tolerance.relative is not None:
        parts.append(f"±{tolerance.relative:g} relative")
    return " or ".join(parts) or "equal"


def _kind(value: Metric) -> str:
    return {bool: "a truth value", int: "an integer", float: "a decimal number", str: "text"}[type(value)]
