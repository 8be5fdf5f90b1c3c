"""Metrics as text becomes flat names and values. Pure; used where runs are read and where files are compared."""

import json
from collections.abc import Iterator
from typing import Any

from envcap.model.evaluation import Metric


def flatten(value: Any, *above: str) -> Iterator[tuple[str, Metric]]:
    """Name every leaf of a JSON value by its dotted path. A null is no value: it counts as missing."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from flatten(item, *above, key)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from flatten(item, *above, str(number))
    elif value is not None:
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 1 << 63:
            value = float(value)  # TOML 1.0 promises 64-bit integers only
        yield ".".join(above), value


def last_json_object(text: str) -> dict[str, Any] | None:
    """Give the last JSON object that begins at the start of a line of `text`, or None."""
    decoder = json.JSONDecoder()
    position = len(text)
    while (position := text.rfind("{", 0, position)) >= 0:
        if position == 0 or text[position - 1] == "\n":
            try:
                value, _ = decoder.raw_decode(text, position)
            except (ValueError, RecursionError):
                continue
            if isinstance(value, dict):
                return value
    return None
