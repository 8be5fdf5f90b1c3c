"""A text file as named cells, and two such files against each other. Pure: bytes in, data out."""

import csv
import io
import json
from collections.abc import Callable, Mapping

from envcap.compare.number import bound, is_number, same, show
from envcap.metrics import flatten
from envcap.model.evaluation import Metric, Tolerance
from envcap.model.struct import Data

Cells = Mapping[str, Metric]


class CellDifferences(Data, frozen=True, kw_only=True):
    """What two files differ in. `first` describes the first differing cell; `largest` is the largest shift."""

    cells: int
    differing: int
    outside: int  # those that no tolerance covers
    first: str
    largest: float


def read_csv(content: bytes) -> Cells:
    """Name each cell `row 2, column name`; the first row names the columns. Numbers become numbers."""
    dialect = "excel-tab" if b"\t" in content.split(b"\n", 1)[0] else "excel"
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), dialect=dialect))
    header = rows[0] if rows else []
    cells: dict[str, Metric] = {f"column {number}": name for number, name in enumerate(header, 1)}
    for number, row in enumerate(rows[1:], 1):
        for column, text in enumerate(row):
            name = header[column] if column < len(header) else str(column + 1)
            cells[f"row {number}, column {name}"] = _number_or_text(text)
    return cells


def read_json(content: bytes) -> Cells:
    """Name each leaf by its dotted path."""
    return dict(flatten(json.loads(content)))


def read_text(content: bytes) -> Cells:
    """Name each line `line 1`."""
    return {f"line {number}": line for number, line in enumerate(content.decode("utf-8").splitlines(), 1)}


READERS: Mapping[str, Callable[[bytes], Cells]] = {
    ".csv": read_csv,
    ".tsv": read_csv,
    ".json": read_json,
    ".txt": read_text,
    ".md": read_text,
    ".log": read_text,
}


def compare_cells(frozen: Cells, observed: Cells, tolerance: Tolerance | None) -> CellDifferences:
    """Compare cell by cell; a tolerance covers numbers only, and never a missing or a new cell."""
    names = list(frozen) + [name for name in observed if name not in frozen]
    differing = outside = 0
    first, largest = "", 0.0
    for name in names:
        before, after = frozen.get(name), observed.get(name)
        if before is not None and after is not None and same(before, after):
            continue
        differing += 1
        first = first or f"{name}: {_show(before)} became {_show(after)}"
        if before is not None and after is not None and is_number(before) and is_number(after):
            shift = abs(after - before)
            largest = max(largest, shift)
            if tolerance is not None and type(before) is type(after) and shift <= bound(tolerance, before):
                continue
        outside += 1
    return CellDifferences(cells=len(names), differing=differing, outside=outside, first=first, largest=largest)


def _show(value: Metric | None) -> str:
    return "missing" if value is None else show(value)


def _number_or_text(text: str) -> Metric:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text
