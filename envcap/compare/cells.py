"""A text file as named cells. Pure: bytes in, data out.

Every value of a file gets a cell of its own: a value without one could differ and nobody would see it.
"""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping

from envcap.model.evaluation import Metric

Cells = Mapping[str, Metric]

_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?(nan|inf|infinity)", re.IGNORECASE)
_PADDED = re.compile(r"[+-]?0[0-9]+")  # a number that begins with zeros is a label
_EXACT = 2**53  # the integers up to here are floats too


def read_csv(content: bytes) -> Cells:
    """Name each cell `row 2, column name`; the first row names the columns. Numbers become numbers.

    Raises ValueError for what is no such file.
    """
    dialect = "excel-tab" if b"\t" in content.split(b"\n", 1)[0] else "excel"
    try:
        rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), dialect=dialect))
    except csv.Error as error:
        raise ValueError(str(error)) from error
    header = rows[0] if rows else []
    columns = _column_names(header)
    cells: dict[str, Metric] = {f"column {number}": name for number, name in enumerate(header, 1)}
    for number, row in enumerate(rows[1:], 1):
        for column, text in enumerate(row):
            name = columns[column] if column < len(columns) else f"number {column + 1}"
            cells[f"row {number}, column {name}"] = number_or_text(text)
    return cells


def _column_names(header: list[str]) -> list[str]:
    """Give the names in the header, and `number 3` for a column whose name another one has too, or that has none."""
    count = Counter(header)
    return [
        name if name and count[name] == 1 and not name.startswith("number ") else f"number {number}"
        for number, name in enumerate(header, 1)
    ]


def read_json(content: bytes) -> Cells:
    """Name each value by its path, such as `["loss"][0]`; an empty list or object is a value, and so is null.

    Raises ValueError for what is no such file, or names one key of an object twice.
    """
    try:
        return dict(_json_cells(json.loads(content, object_pairs_hook=_unique), ""))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) < len(pairs):
        raise ValueError("it names a key twice")
    return result


def _json_cells(value: object, path: str) -> Iterator[tuple[str, Metric]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _json_cells(item, f"{path}[{json.dumps(key)}]")
    elif isinstance(value, list) and value:
        for number, item in enumerate(value):
            yield from _json_cells(item, f"{path}[{number}]")
    elif isinstance(value, bool | int | float | str):
        yield path or "the value", value
    else:
        yield f"{path} is {json.dumps(value)}", True


def read_text(content: bytes) -> Cells:
    """Name each line `line 1`."""
    return {f"line {number}": line for number, line in enumerate(content.decode("utf-8").splitlines(), 1)}


def read_lines(content: bytes) -> Cells:
    """Name each value of a file of JSON lines by its line and path. Raises ValueError for what is no such file."""
    cells: dict[str, Metric] = {}
    for number, line in enumerate(content.decode("utf-8").splitlines(), 1):
        found = read_json(line.encode()) if line.strip() else {"is empty": True}
        cells.update((f"line {number} {name}", value) for name, value in found.items())
    return cells


def number_or_text(text: str) -> Metric:
    """Give the number that a cell holds: a float, since CSV tells no `1` from `1.0`; an int where a float would lie."""
    if _DECIMAL.fullmatch(text) is None or _PADDED.fullmatch(text):
        return text
    number = float(text)
    if abs(number) < _EXACT or not text.lstrip("+-").isdigit():
        return number
    return int(text) if len(text) < 4000 else text  # Python converts no longer ones
