"""What differs between two environments, and how likely each difference is to move a number."""

from typing import Literal

from envcap.model.struct import Data

Influence = Literal["high", "medium", "low"]


class Difference(Data, frozen=True, kw_only=True):
    """One fact that is not the same on both sides. A side that does not have it reads `missing`."""

    # `code`, `data`, `evaluation`, `settings`, `packages`, `conda`, `files`, `python`, `system`, `hardware`, `base`
    area: str
    subject: str
    first: str
    second: str
    influence: Influence
    why: str  # why it is ranked so, in a few words


class Comparison(Data, frozen=True, kw_only=True):
    """Two sides compared: the most influential difference comes first."""

    first: str  # what was compared, in words
    second: str
    differences: list[Difference] = []
    not_compared: list[str] = []  # areas that only one side knows of
