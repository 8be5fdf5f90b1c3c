"""Metrics as text becomes flat names and values. Pure; used where runs are read and where files are compared."""

import json
from collections.abc import Iterator
from typing import Any

from envcap.model.evaluation import Metric


def flatten(value: Any, *above: str) -> Iterator[tuple[str, Metric]]:
    """Name every leaf of a JSON value by its dotted path. A null is no value: it counts as missing.

    An integer beyond 64 bits becomes text: TOML 1.0 promises no larger ones, and as a float it would lose digits.
    Raises RecursionError for a value nested deeper than Python goes.
    """
    if isinstance(value, dict):
        for key, item in value.items():
            yield from flatten(item, *above, key)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from flatten(item, *above, str(number))
    elif value is not None:
        is_large = isinstance(value, int) and not -(1 << 63) <= value < 1 << 63
        yield ".".join(above), str(value) if is_large else value


def last_json_object(text: str) -> dict[str, Any] | None:
    """Give the last JSON object that begins at the start of a line of `text`, or None."""
    decoder = json.JSONDecoder()
    position = len(text)
    while (position := text.rfind("{", 0, position)) >= 0:
        if position == 0 or text[position - 1] in "\r\n":
            try:
                value, _ = decoder.raw_decode(text, position)
            except (ValueError, RecursionError):
                continue
            if isinstance(value, dict):
                return value
    return None
