"""Two files of a known kind value by value: cells of text, arrays, members of archives. Pure: bytes in, data out."""

import math
import re
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath

from envcap.compare.archive import LARGEST, read_members
from envcap.compare.arrays import Array, read_npy, read_safetensors
from envcap.compare.cells import read_csv, read_json, read_lines, read_text
from envcap.compare.elements import ArrayDifferences, compare_arrays
from envcap.compare.values import distance, is_number, same, show, show_change, within
from envcap.model.evaluation import Metric, Tolerance
from envcap.model.struct import Data

Value = Metric | Array | bytes
Values = Mapping[str, Value]

_NUMBERED = re.compile(r"^row [0-9]+, |\[[0-9]+\]|^line [0-9]+ ")  # what tells the cells of one column apart


class Differences(Data, frozen=True, kw_only=True):
    """What two files differ in. `first` describes the first difference; `largest` is the largest shift."""

    unit: str  # what is counted
    count: int
    differing: int
    outside: int  # those that no tolerance covers
    first: str
    largest: float
    norm: float = 0.0  # of arrays: the largest, relative to the largest frozen magnitude
    ulp: int | None = None  # of arrays: the largest, where a bound on it was stated


def read_npz(content: bytes, *, most: int = LARGEST) -> Values:
    """Give the arrays of an npz file by name. Raises ValueError for what is none."""
    return {
        f"{name}: {inner}": array
        for name, member in read_members(content, most=most).items()
        for inner, array in read_npy(member).items()
    }


def read_zip(content: bytes) -> Values:
    """Give the members of a zip: the values of those of a known kind, the bytes of all others.

    What archives within it unpack to counts together: many small ones must not fill the memory.
    """
    values: dict[str, Value] = {}
    left = LARGEST
    for name, member in read_members(content, most=left).items():
        values[f"member {name}"] = True
        reader = reader_of(name)
        try:
            if reader is read_npz:
                found: Values = read_npz(member, most=left)
                left -= sum(len(array.data) for array in found.values() if isinstance(array, Array))
            else:
                found = {"bytes": member} if reader is None or reader is read_zip else reader(member)
        except ValueError:  # not the kind that its name says
            found = {"bytes": member}
        values.update((f"{name}: {inner}", value) for inner, value in found.items())
    return values


READERS: Mapping[str, Callable[[bytes], Values]] = {
    ".csv": read_csv,
    ".tsv": read_csv,
    ".json": read_json,
    ".jsonl": read_lines,
    ".txt": read_text,
    ".md": read_text,
    ".log": read_text,
    ".npy": read_npy,
    ".npz": read_npz,
    ".safetensors": read_safetensors,
    ".zip": read_zip,
}


def reader_of(path: str) -> Callable[[bytes], Values] | None:
    """Give what reads files of that name, or None where only their bytes can be compared."""
    return READERS.get(PurePosixPath(path).suffix.lower())


def compare_contents(frozen: Values, observed: Values, tolerance: Tolerance | None) -> Differences:
    """Compare value by value; a tolerance covers numbers only, and never a missing or a new one."""
    names = list(frozen) + [name for name in observed if name not in frozen]
    largest_of = _largest_by_column(frozen) if tolerance is not None and tolerance.norm is not None else {}
    found = {name: _compare(name, frozen.get(name), observed.get(name), tolerance, largest_of) for name in names}
    steps = [one.ulp for one in found.values() if one.ulp is not None]
    first = next(((name, one.first) for name, one in found.items() if one.differing), None)
    has_arrays = any(isinstance(value, Array) for value in frozen.values())
    return Differences(
        unit="values" if has_arrays else "cells",
        count=sum(one.elements for one in found.values()),
        differing=sum(one.differing for one in found.values()),
        outside=sum(one.outside for one in found.values()),
        first="" if first is None else f"{first[0]}: {first[1]}",
        largest=max((one.largest for one in found.values()), default=0.0),
        norm=max((one.norm for one in found.values()), default=0.0),
        ulp=max(steps, default=None),
    )


def _compare(
    name: str,
    before: Value | None,
    after: Value | None,
    tolerance: Tolerance | None,
    largest_of: Mapping[str, float],
) -> ArrayDifferences:
    if isinstance(before, Array) and isinstance(after, Array):
        return compare_arrays(before, after, tolerance)
    changed = show_change(_show(before), _show(after))
    if before is None or after is None or isinstance(before, Array | bytes) or isinstance(after, Array | bytes):
        return ArrayDifferences(1) if before == after else ArrayDifferences(1, 1, 1, changed)
    if same(before, after, nan_equal=tolerance is not None and tolerance.nan == "equal"):
        return ArrayDifferences(1)
    if not is_number(before) or not is_number(after):
        return ArrayDifferences(1, 1, 1, changed)
    is_outside = not within(tolerance, before, after, largest=largest_of.get(_column(name)))
    return ArrayDifferences(1, 1, int(is_outside), changed, distance(before, after))


def _column(name: str) -> str:
    return _NUMBERED.sub("", name)


def _largest_by_column(values: Values) -> dict[str, float]:
    """Give the largest finite magnitude of each column of a table and each list of a document."""
    largest: dict[str, float] = {}
    for name, value in values.items():
        if not isinstance(value, Array | bytes) and is_number(value) and distance(0.0, value) < math.inf:
            column = _column(name)
            largest[column] = max(largest.get(column, 0.0), abs(float(value)))
    return largest


def _show(value: Value | None) -> str:
    if value is None:
        return "missing"
    if isinstance(value, Array):
        return f"{value.dtype} array of shape {list(value.shape)}"
    return f"{len(value):,} bytes" if isinstance(value, bytes) else show(value)
