"""How far runs agree with each other, as one number for each run, so that it can be judged as a metric is. Pure.

Of each frozen run it is the mean agreement with the other frozen runs; of each new run, with all frozen ones. Frozen
agreements share runs and so are not independent, which makes their spread, and the band, an approximation.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from envcap.compare.decision import Decision, Setting
from envcap.compare.number import decide_by_band
from envcap.model.evaluation import Mode, Tolerance
from envcap.model.verdict import Measured, Verdict

Item = TypeVar("Item")


def agreements(
    frozen: Sequence[Item], observed: Sequence[Item], agree: Callable[[Item, Item], float]
) -> tuple[list[float], list[float]]:
    """Give the mean agreement of each frozen run with the others, and of each new run with the frozen ones."""
    between = [
        [agree(one, other) if number != place else 0.0 for place, other in enumerate(frozen)]
        for number, one in enumerate(frozen)
    ]
    inner = [sum(row) / (len(frozen) - 1) for row in between] if len(frozen) > 1 else []
    outer = [sum(agree(one, new) for one in frozen) / len(frozen) for new in observed]
    return inner, outer


def decide_by_agreement(
    inner: list[float], outer: list[float], setting: Setting, *, step: float, mode: Mode
) -> Decision:
    """Judge whether new runs agree with the frozen ones as these do among themselves. More agreement is no fault.

    `step` is the share that one item is of all. Fewer than three frozen runs do not show how agreement varies, and
    runs that never agree leave nothing to compare: both are INCONCLUSIVE.
    """
    if len(inner) < 3 or not any(inner):
        why = "no two of them have an item in common" if inner and not any(inner) else "three are needed to tell"
        detail = f"the frozen runs differ among themselves, and {why}: judge a metric, or freeze with more runs"
        return Decision(
            verdict=Verdict.INCONCLUSIVE,
            detail=detail,
            catches="nothing",
            mode=mode,
            origin="how the frozen runs agree with each other, which cannot be told of these",
            measured=Measured(frozen=[*inner], observed=[*outer]),
        )
    found = decide_by_band([*inner], [*outer], Tolerance(quantum=step), setting)
    is_more = found.verdict is Verdict.DIFFERENT and sum(outer) / len(outer) > sum(inner) / len(inner)
    return msgspec.structs.replace(
        found,
        verdict=Verdict.EQUIVALENT if is_more else found.verdict,
        detail=f"the frozen runs agree in {_range(inner)} with each other, the new in {_range(outer)}",
        tolerance=f"{found.tolerance} agreement",
        catches=f"agreement lower by {found.catches}",
        mode=mode,
        measured=msgspec.structs.replace(found.measured, frozen=[*inner], observed=[*outer]),
    )


def _range(shares: list[float]) -> str:
    low, high = (f"{100 * share:.4g}%" for share in (min(shares), max(shares)))
    return low if low == high else f"{low} … {high}"
