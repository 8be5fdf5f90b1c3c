"""Delta debugging: the smallest set of changes that is still bad. Pure: who asks decides what bad means.

Source: A. Zeller and R. Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", IEEE Transactions on Software
Engineering 28(2), 2002, section 3: the algorithm ddmin, 1-minimality, and its bound of n² + 3n questions.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

# True for bad; False for good, and for what cannot be told; None where no more may be asked.
Ask = Callable[[frozenset[int]], bool | None]


class Minimised(NamedTuple):
    """A bad set, in the order of its numbers. With `finished` it is 1-minimal: no one may be left out."""

    items: list[int]
    finished: bool


def minimise(count: int, ask: Ask) -> Minimised:
    """Give a smallest bad set of the numbers below `count`, which together are known to be bad; nothing is good.

    No set is asked about twice. What stands near each other is tried together, so likely ones should come first.
    """
    remaining = list(range(count))
    asked: dict[frozenset[int], bool] = {}
    parts = 2
    while len(remaining) >= 2:
        for candidate, parts_then in _candidates(remaining, parts):
            key = frozenset(candidate)
            if key not in asked:
                answer = ask(key)
                if answer is None:
                    return Minimised(remaining, finished=False)
                asked[key] = answer
            if asked[key]:
                remaining, parts = candidate, parts_then
                break
        else:
            if parts >= len(remaining):
                break
            parts = min(2 * parts, len(remaining))
    return Minimised(remaining, finished=True)


def _candidates(items: list[int], parts: int) -> Iterator[tuple[list[int], int]]:
    """Give each part alone, then all without it, each with the number of parts to go on with."""
    pieces = _split(items, parts)
    for piece in pieces:
        yield piece, 2
    if parts > 2:  # of two, each is what is left without the other
        for piece in pieces:
            yield [item for item in items if item not in piece], max(parts - 1, 2)


def _split(items: Sequence[int], parts: int) -> list[list[int]]:
    """Cut into parts of nearly equal length, in order."""
    ends = [len(items) * number // parts for number in range(parts + 1)]
    return [list(items[start:end]) for start, end in pairwise(ends)]
