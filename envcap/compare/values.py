"""Single values: whether two are the same, how far apart they are, and how they are shown. Pure."""

import math
import struct
import sys
from typing import TypeGuard

from envcap.model.evaluation import Metric, Tolerance


def same(first: Metric, second: Metric, *, nan_equal: bool = False) -> bool:
    """Tell whether two values are the same: type and value; zeros of both signs differ.

    NaN equals nothing, unless it was declared that a NaN on both sides is the same (`nan_equal`).
    """
    if type(first) is not type(second):
        return False
    if isinstance(first, float) and isinstance(second, float):
        if math.isnan(first) and math.isnan(second):
            return nan_equal
        return first == second and math.copysign(1.0, first) == math.copysign(1.0, second)
    return first == second


def is_number(value: Metric) -> TypeGuard[int | float]:
    """Tell whether a value takes part in arithmetic: an int or a float, but not a bool."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def has_bound(tolerance: Tolerance | None) -> TypeGuard[Tolerance]:
    """Tell whether a tolerance states how far a number may be."""
    return tolerance is not None and any(
        bound is not None for bound in (tolerance.absolute, tolerance.relative, tolerance.norm, tolerance.ulp)
    )


def bound(tolerance: Tolerance, reference: float, *, largest: float | None = None) -> float:
    """Give the largest distance from `reference` that is still within tolerance.

    `largest` is the largest magnitude beside it, for the norm-wise bound; for a value alone it is its own.
    """
    size = min(abs(reference), sys.float_info.max)  # an integer may be larger than every float
    norm_size = size if largest is None else largest
    steps = (tolerance.ulp or 0) * math.ulp(size) if math.isfinite(size) else 0.0
    return max(
        tolerance.absolute or 0.0, (tolerance.relative or 0.0) * size, (tolerance.norm or 0.0) * norm_size, steps
    )


def distance(before: float, after: float) -> float:
    """Give how far apart two numbers are: infinity where no number can say it, or one of them is none."""
    try:
        shift = float(abs(after - before))
    except OverflowError:  # integers of JSON have no end
        return math.inf
    return math.inf if math.isnan(shift) else shift


def steps_apart(first: float, second: float) -> int:
    """Give how many float64 lie from one number to the other: 1 for neighbours, 0 for the two zeros."""
    ordered = []
    for number in (first, second):
        (bits,) = struct.unpack("<q", struct.pack("<d", number))
        ordered.append(bits if bits >= 0 else -(bits & 0x7FFF_FFFF_FFFF_FFFF))
    return int(abs(ordered[0] - ordered[1]))


def within(tolerance: Tolerance | None, before: float, after: float, *, largest: float | None = None) -> bool:
    """Tell whether a number is within the stated bounds of another. A change of type, NaN and infinities never are."""
    shift = distance(before, after)
    if tolerance is None or type(before) is not type(after) or not math.isfinite(shift):
        return False
    if shift <= bound(tolerance, before, largest=largest):
        return True
    is_float = not isinstance(before, int)
    return tolerance.ulp is not None and is_float and steps_apart(before, after) <= tolerance.ulp


def show(value: Metric) -> str:
    """Give a value as JSON writes it; text is quoted and cut at 40 characters."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return repr(value if len(value) <= 40 else f"{value[:37]}…")
    return repr(value)


def show_change(before: str, after: str) -> str:
    """Say what a shown value became; of a NaN that stayed, why that is a difference."""
    if (before, after) == ("nan", "nan"):
        return 'nan on both sides, which nothing equals unless `nan = "equal"` declares it'
    return f"{before} became {after}"


def show_all(values: list[Metric]) -> str:
    """Give the one value that all runs had, or the range that they had."""
    if not values:
        return "missing"
    if all(same(values[0], value, nan_equal=True) for value in values[1:]):
        return show(values[0])
    numbers = [value for value in values if is_number(value)]
    if len(numbers) == len(values):
        return f"{show(min(numbers))} … {show(max(numbers))}"
    return f"{show(values[0])} and others"


def show_tolerance(tolerance: Tolerance | None) -> str:
    """Give a stated tolerance in few characters: `equal`, `±0.001`, `±1e-05 relative`, `±4 ulp`, `not judged`."""
    if tolerance is None:
        return "equal"
    if tolerance.ignore:
        return "not judged"
    stated = ((tolerance.absolute, ""), (tolerance.relative, " relative"), (tolerance.norm, " of the largest"))
    parts = [f"±{value:g}{unit}" for value, unit in stated if value is not None]
    if tolerance.ulp is not None:
        parts.append(f"±{tolerance.ulp} ulp")
    return " or ".join(parts) or "equal"


def show_kind(value: Metric) -> str:
    """Name the type of a value in words."""
    return {bool: "a truth value", int: "an integer", float: "a decimal number", str: "text"}[type(value)]


def show_shift(shift: float, reference: float) -> str:
    """Give a shift with its sign, and in percent of what it is a shift from."""
    percent = f" ({100 * (shift / abs(reference)):+.3g}%)" if reference else ""
    return f"{shift:+.3g}{percent}"
