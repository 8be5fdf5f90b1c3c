"""What a stage tells while it works. Stages say; only the edge shows."""

from collections.abc import Callable
from typing import Literal

from envcap.model.struct import Data


class Progress(Data, frozen=True, kw_only=True):
    """One thing to show: a step begun, a count moved on, a line of somebody's output, a notice."""

    kind: Literal["step", "count", "output", "notice"]
    text: str
    done: int = 0
    total: int = 0


Tell = Callable[[Progress], None]


def say_nothing(_: Progress) -> None:
    """Take progress and show none of it."""
