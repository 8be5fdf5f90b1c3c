"""Two arrays element by element, in pieces: pieces of equal bytes cost nothing. Pure, and without numpy.

Units in the last place are for element-wise functions only; a matrix product on another processor is best bounded
norm-wise (Higham, Accuracy and Stability of Numerical Algorithms, section 3.5).
"""

import math
import struct
from collections.abc import Iterator
from typing import NamedTuple

from envcap.compare.arrays import Array
from envcap.compare.values import has_bound
from envcap.model.evaluation import Tolerance

_PIECE = 1 << 16  # elements
MOST_ELEMENTS = 1 << 24  # in pieces that differ; about ten seconds. Beyond it only bytes are compared
_BITS = {"d": "q", "f": "i", "e": "h", "bf16": "h"}  # the integer of the same size
_COMPLEX = {"ff": "f", "dd": "d"}


class ArrayDifferences(NamedTuple):
    """How many elements differ, how many are outside the tolerance, which is the first, and by how much at most."""

    elements: int
    differing: int = 0
    outside: int = 0
    first: str = ""
    largest: float = 0.0
    norm: float = 0.0  # the largest difference, relative to the largest frozen magnitude
    ulp: int | None = None  # the largest, where the type has one


def compare_arrays(frozen: Array, observed: Array, tolerance: Tolerance | None) -> ArrayDifferences:
    """Compare arrays; another type, shape or layout is a difference that no tolerance covers."""
    count = math.prod(frozen.shape)
    for what in ("dtype", "shape", "layout"):
        before, after = getattr(frozen, what), getattr(observed, what)
        if before != after:
            return ArrayDifferences(count, 1, 1, f"its {what} {before} became {after}", math.inf)
    if frozen.data == observed.data:
        return ArrayDifferences(count)
    if not frozen.letter:
        return ArrayDifferences(count, 1, 1, f"its bytes differ; {frozen.dtype} is compared by bytes only", math.inf)
    plain = _plain(frozen), _plain(observed)
    pieces = [(start, before, after) for start, before, after in _pieces(*plain) if before != after]
    if sum(len(before) for _, before, _ in pieces) > MOST_ELEMENTS * _width(plain[0]):
        words = f"its bytes differ; above {MOST_ELEMENTS:,} elements only bytes are compared"
        return ArrayDifferences(count, 1, 1, words, math.inf)
    return _compare_pieces(plain[0], pieces, tolerance, count=count)


def _compare_pieces(
    array: Array, pieces: list[tuple[int, memoryview, memoryview]], tolerance: Tolerance | None, *, count: int
) -> ArrayDifferences:
    is_stated, tolerance = has_bound(tolerance), tolerance or Tolerance()
    size = _largest_magnitude(array)
    fixed, share = max(tolerance.absolute or 0.0, (tolerance.norm or 0.0) * size), tolerance.relative or 0.0
    nan_equal = tolerance.nan == "equal"
    is_float = array.letter in _BITS
    differing = outside = 0
    first, largest, most_steps = "", 0.0, 0
    for start, one, other in pieces:
        triples = zip(_values(array, one), _values(array, other), _steps(array, one, other), strict=True)
        for place, (before, after, steps) in enumerate(triples, start):
            if steps == 0:
                continue
            if nan_equal and before != before and after != after:  # noqa: PLR0124
                continue
            differing += 1
            first = first or f"element {_index(array, place)}: {before!r} became {after!r}"
            shift = abs(after - before)
            shift = math.inf if shift != shift else shift  # noqa: PLR0124
            largest = max(largest, shift)
            if not math.isfinite(shift) or array.letter == "?":
                outside += 1
                continue
            most_steps = max(most_steps, steps)
            by_steps = is_float and tolerance.ulp is not None and steps <= tolerance.ulp
            if not is_stated or (not by_steps and shift > fixed and shift > share * abs(before)):
                outside += 1
    norm = largest / size if size and math.isfinite(size) else math.inf if largest else 0.0
    return ArrayDifferences(count, differing, outside, first, largest, norm, most_steps if is_float else None)


def _plain(array: Array) -> Array:
    """Give complex numbers as pairs of real ones, and so with twice the elements."""
    if array.letter not in _COMPLEX:
        return array
    return Array(
        dtype=array.dtype,
        shape=(*array.shape, 2),
        data=array.data,
        letter=_COMPLEX[array.letter],
        order=array.order,
        layout=array.layout,
    )


def _width(array: Array) -> int:
    return struct.calcsize(f"<{_BITS.get(array.letter, array.letter)}")


def _pieces(frozen: Array, observed: Array) -> Iterator[tuple[int, memoryview, memoryview]]:
    step = _PIECE * _width(frozen)
    for number, start in enumerate(range(0, len(frozen.data), step)):
        yield number * _PIECE, frozen.data[start : start + step], observed.data[start : start + step]


def _values(array: Array, piece: memoryview) -> tuple[float, ...]:
    data, letter = bytes(piece), array.letter
    if letter == "bf16":
        wide = bytearray(2 * len(data))
        wide[2::4], wide[3::4] = data[0::2], data[1::2]
        data, letter = bytes(wide), "f"
    return struct.unpack(f"{array.order}{len(piece) // _width(array)}{letter}", data)


def _steps(array: Array, one: memoryview, other: memoryview) -> list[int]:
    """Give units in the last place for floats (the zeros of both signs are one apart), else 0 or 1 for equal or not."""
    letter = _BITS.get(array.letter, array.letter)
    how = f"{array.order}{len(one) // _width(array)}{letter}"
    pairs = zip(struct.unpack(how, one), struct.unpack(how, other), strict=True)
    if array.letter not in _BITS:
        return [int(first != second) for first, second in pairs]
    lowest = -(1 << (8 * _width(array) - 1))
    return [
        0
        if first == second
        else abs((first if first >= 0 else lowest - first - 1) - (second if second >= 0 else lowest - second - 1))
        for first, second in pairs
    ]


def _largest_magnitude(array: Array) -> float:
    if array.letter == "?":
        return 1.0
    largest = 0.0
    for _, piece, _ in _pieces(array, array):
        values = [abs(value) for value in _values(array, piece)]
        largest = max(largest, max((value for value in values if math.isfinite(value)), default=0.0))
    return largest


def _index(array: Array, place: int) -> str:
    """Give the index of the element that stands at that place, by the layout."""
    index = []
    for size in array.shape if array.layout == "F" else reversed(array.shape):
        place, rest = divmod(place, size)
        index.append(rest)
    return str(index if array.layout == "F" else index[::-1])
