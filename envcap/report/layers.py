"""Where the bytes of an image are. Model in, lines out."""

from collections.abc import Sequence

from envcap.model.image import Layer
from envcap.report.table import table_lines

_MOST = 12
_LONGEST = 90  # characters of a step


def layer_lines(layers: Sequence[Layer], copies: Sequence[str]) -> list[str]:
    """Give the largest layers, with what made each, and the libraries that come more than once."""
    largest = sorted(layers, key=lambda layer: -layer.size)
    rows = [(_size([layer]), _short(layer.step) or "without a word, of the base") for layer in largest[:_MOST]]
    if largest[_MOST:]:
        rows.append((_size(largest[_MOST:]), f"{len(largest[_MOST:])} smaller layers"))
    if largest:
        rows.append((_size(largest), "all of them, unpacked"))
    return [*(table_lines(("size", "layer"), rows) if rows else []), *(f"  twice in it: {copy}" for copy in copies)]


def _size(layers: Sequence[Layer]) -> str:
    return f"{sum(layer.size for layer in layers) / 1e6:,.1f} MB"


def _short(step: str) -> str:
    return step if len(step) <= _LONGEST else f"{step[:_LONGEST]}…"
