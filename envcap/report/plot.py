"""The geometry of a strip plot: where the runs of one number lie, and the band within which it passes. Pure."""

import math
from collections.abc import Sequence

from envcap.model.struct import Data
from envcap.model.verdict import Measured

WIDTH = 420.0  # of the drawing, in its own units
_EDGE = 14.0  # kept free left and right
_FROZEN_ROW, _OBSERVED_ROW = 16.0, 36.0  # the two rows of dots
_SPREAD = 18.0  # up and down together, how far dots of one value may be moved apart
_APART = 8.0  # and how far one from the next


class Dot(Data, frozen=True, kw_only=True):
    """One run: where its dot lies, whose it is (`frozen` or `observed`), and what it says when pointed at."""

    x: float
    y: float
    side: str
    label: str


class Strip(Data, frozen=True, kw_only=True):
    """A drawing of `WIDTH` by 64 units.

    `band` is the left edge and the width of the tolerance, to the edge of the drawing where it has one bound only; None
    where there is none. `bounds` are where it ends.
    """

    dots: list[Dot]
    band: tuple[float, float] | None
    bounds: list[float]
    low_label: str
    high_label: str
    summary: str  # the drawing in words, for whoever does not see it


def strip_of(name: str, measured: Measured) -> Strip | None:
    """Lay out the runs of a number, or give None where there is no finite number to draw."""
    frozen, observed = _finite(measured.frozen), _finite(measured.observed)
    if not frozen or not observed:
        return None
    bounds = [bound for bound in (measured.low, measured.high) if bound is not None and math.isfinite(bound)]
    everything = [*frozen, *observed, *bounds]
    lowest, highest = min(everything), max(everything)
    dots = [
        *_dots(frozen, "frozen", _FROZEN_ROW, lowest, highest),
        *_dots(observed, "observed", _OBSERVED_ROW, lowest, highest),
    ]
    band = None
    if bounds:
        left = 0.0 if measured.low is None else _place(measured.low, lowest, highest)
        right = WIDTH if measured.high is None else _place(measured.high, lowest, highest)
        band = (_round(left), _round(right - left))
    return Strip(
        dots=dots,
        band=band,
        bounds=sorted({_round(_place(bound, lowest, highest)) for bound in bounds}),
        low_label=f"{lowest:.6g}",
        high_label=f"{highest:.6g}" if highest != lowest else "",
        summary=_summary(name, frozen, observed, measured),
    )


def _summary(name: str, frozen: list[float], observed: list[float], measured: Measured) -> str:
    sides = [
        f"{word} {min(values):.6g}" if min(values) == max(values) else f"{word} {min(values):.6g} to {max(values):.6g}"
        for word, values in (("frozen", frozen), ("came back", observed))
    ]
    ends = [
        f"{word} {bound:.6g}" for word, bound in (("from", measured.low), ("to", measured.high)) if bound is not None
    ]
    if ends:
        sides.append(f"tolerance {' '.join(ends)}")
    return f"{name}: {', '.join(sides)}"


def _dots(values: Sequence[float], side: str, row: float, lowest: float, highest: float) -> list[Dot]:
    word = "frozen" if side == "frozen" else "came back"
    places = [_round(_place(value, lowest, highest)) for value in values]
    dots = []
    for number, (value, x) in enumerate(zip(values, places, strict=True), 1):
        alike, turn = places.count(x), places[: number - 1].count(x)
        step = min(_APART, _SPREAD / max(alike - 1, 1))  # so that equal runs can be counted
        y = row + step * (turn - (alike - 1) / 2)
        dots.append(Dot(x=x, y=_round(y), side=side, label=f"{word}, run {number}: {value!r}"))
    return dots


def _place(value: float, lowest: float, highest: float) -> float:
    if highest == lowest:
        return WIDTH / 2
    share = (value - lowest) / (highest - lowest) if math.isfinite(highest - lowest) else 0.5
    return _EDGE + share * (WIDTH - 2 * _EDGE)


def _finite(values: Sequence[object]) -> list[float]:
    """Give the numbers among the values, as floats; those that are none, or too large to draw, are left out."""
    found = []
    for value in values:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            continue
        try:
            number = float(value)
        except OverflowError:
            continue
        if math.isfinite(number):
            found.append(number)
    return found


def _round(number: float) -> float:
    return round(number, 2)
