"""Two arrays element by element, in pieces: pieces of equal bytes cost nothing. Pure, and without numpy.

Units in the last place are for element-wise functions only; a matrix product on another processor is best bounded
norm-wise (Higham, Accuracy and Stability of Numerical Algorithms, section 3.5).
"""

import math
import struct
from collections.abc import Iterator
from operator import ne, sub
from typing import NamedTuple

from envcap.compare.arrays import Array
from envcap.compare.values import has_bound, show_change
from envcap.model.evaluation import Tolerance

_PIECE = 1 << 16  # elements
MOST_ELEMENTS = 1 << 23  # in pieces that differ; seconds to half a minute. Beyond it only bytes are compared
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
    ulp: int | None = None  # the largest, where a bound on it was stated


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
    all_pieces = list(_pieces(*plain))
    pieces = [(start, before, after) for start, before, after in all_pieces if before != after]
    if sum(len(before) for _, before, _ in pieces) > MOST_ELEMENTS * _width(plain[0]):
        words = f"its bytes differ; above {MOST_ELEMENTS:,} elements only bytes are compared"
        return ArrayDifferences(count, 1, 1, words, math.inf)
    if tolerance is None or tolerance.nan != "equal":
        pieces = [piece for piece in all_pieces if piece[1] != piece[2] or _has_nan(plain[0], piece[1])]
    return _compare_pieces(plain[0], pieces, tolerance, count=count)


def _compare_pieces(
    array: Array, pieces: list[tuple[int, memoryview, memoryview]], tolerance: Tolerance | None, *, count: int
) -> ArrayDifferences:
    is_stated, tolerance = has_bound(tolerance), tolerance or Tolerance()
    size = _largest_magnitude(array)
    bounds = _Bounds(
        fixed=max(tolerance.absolute or 0.0, (tolerance.norm or 0.0) * size) if is_stated else -1.0,
        share=(tolerance.relative or 0.0) if is_stated else -1.0,
        ulp=tolerance.ulp if array.letter in _BITS else None,
        nan_equal=tolerance.nan == "equal",
    )
    found = [_compare_piece(array, start, one, other, bounds) for start, one, other in pieces]
    largest = max((piece.largest for piece in found), default=0.0)
    steps = [piece.ulp for piece in found if piece.ulp is not None]
    return ArrayDifferences(
        elements=count,
        differing=sum(piece.differing for piece in found),
        outside=sum(piece.outside for piece in found),
        first=next((piece.first for piece in found if piece.first), ""),
        largest=largest,
        norm=largest / size if size else math.inf if largest else 0.0,
        ulp=max(steps, default=None),
    )


class _Bounds(NamedTuple):
    fixed: float  # below 0 where no bound was stated
    share: float
    ulp: int | None
    nan_equal: bool


def _compare_piece(array: Array, start: int, one: memoryview, other: memoryview, bounds: _Bounds) -> ArrayDifferences:
    before, after = _values(array, one), _values(array, other)
    bits, bits_after = _bits(array, one), _bits(array, other)
    shifts = [abs(shift) for shift in map(sub, after, before)]
    differing = [place for place, is_other in enumerate(map(ne, bits, bits_after)) if is_other]
    if not bounds.nan_equal and math.isnan(sum(before)):  # it equals nothing, not even itself
        nan = [place for place, value in enumerate(before) if math.isnan(value) and bits[place] == bits_after[place]]
        differing = sorted([*differing, *nan])
    if array.letter != "?" and bounds.ulp is None and math.isfinite(sum(shifts)) and max(shifts) <= bounds.fixed:
        outside, largest, steps = 0, max(shifts), None
    else:
        if bounds.nan_equal:
            differing = [at for at in differing if before[at] == before[at] or after[at] == after[at]]
        outside, largest, steps = 0, 0.0, None
        for at in differing:
            shift = shifts[at]
            largest = max(largest, shift if shift == shift else math.inf)  # noqa: PLR0124
            apart = None if bounds.ulp is None else _steps(bits[at], bits_after[at], _width(array))
            steps = apart if steps is None or (apart is not None and apart > steps) else steps
            is_within = bounds.fixed >= 0 and (shift <= bounds.fixed or shift <= bounds.share * abs(before[at]))
            is_near = apart is not None and bounds.ulp is not None and apart <= bounds.ulp
            outside += not ((is_within or is_near) and math.isfinite(shift)) or array.letter == "?"
    first = ""
    if differing:
        at = differing[0]
        first = f"element {_index(array, start + at)}: {show_change(repr(before[at]), repr(after[at]))}"
    return ArrayDifferences(len(before), len(differing), outside, first, largest, 0.0, steps)


def _has_nan(array: Array, piece: memoryview) -> bool:
    values = _values(array, piece) if array.letter in _BITS else ()
    return math.isnan(sum(values)) and any(map(math.isnan, values))  # a sum of infinities may be none too


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


def _bits(array: Array, piece: memoryview) -> tuple[int, ...]:
    letter = _BITS.get(array.letter, array.letter)
    return struct.unpack(f"{array.order}{len(piece) // _width(array)}{letter}", piece)


def _steps(first: int, second: int, width: int) -> int:
    """Give the units in the last place between two floats, by their bits; the zeros of both signs are one apart."""
    lowest = -(1 << (8 * width - 1))
    one, other = (bits if bits >= 0 else lowest - bits - 1 for bits in (first, second))
    return abs(one - other)


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
