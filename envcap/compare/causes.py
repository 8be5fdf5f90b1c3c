"""Ranks what may have caused a difference, by the sum of what speaks for it. Pure; the points are in `clues.py`."""

from collections.abc import Iterable

from msgspec.structs import replace

from envcap.compare.clues import Clue
from envcap.compare.suspects import SUSPECTS
from envcap.model.cause import Cause, Strength, Trial

_STRONG, _LIKELY, _POSSIBLE = 60, 35, 12  # points; below the last a suspect is not named
_MOST_CAUSES, _MOST_EVIDENCE = 6, 6
_RANK: dict[Strength, int] = {"confirmed": 0, "strong": 1, "likely": 1, "possible": 1, "excluded": 2}


def rank_causes(clues: Iterable[Clue], support: Iterable[Clue] = ()) -> list[Cause]:
    """Give the causes that enough speaks for, the likeliest first. `support` counts only where a clue names them."""
    by_suspect: dict[str, list[Clue]] = {}
    for clue in clues:
        by_suspect.setdefault(clue.suspect, []).append(clue)
    for clue in support:
        if any(one.points > 0 for one in by_suspect.get(clue.suspect, ())):
            by_suspect[clue.suspect].append(clue)
    causes = [_cause(suspect, found) for suspect, found in by_suspect.items()]
    causes = [cause for cause in causes if cause.points >= _POSSIBLE]
    order = list(SUSPECTS)
    return sorted(causes, key=lambda cause: (-cause.points, order.index(cause.key)))[:_MOST_CAUSES]


def _cause(key: str, clues: list[Clue]) -> Cause:
    points = sum(one.points for one in clues)
    told = sorted((one for one in clues if one.points >= 0), key=lambda one: -one.points)
    evidence = list(dict.fromkeys(one.text for one in told))
    more = [f"and {len(evidence) - _MOST_EVIDENCE} more"] if len(evidence) > _MOST_EVIDENCE else []
    suspect = SUSPECTS[key]
    return Cause(
        key=key,
        title=suspect.title,
        strength="strong" if points >= _STRONG else "likely" if points >= _LIKELY else "possible",
        points=points,
        evidence=evidence[:_MOST_EVIDENCE] + more,
        confirm=suspect.confirm,
        remedy=suspect.remedy,
    )


def with_trials(causes: list[Cause], trials: list[Trial]) -> list[Cause]:
    """Weigh in what the reruns showed: a confirmed cause comes first, one that its knob did not move comes last."""
    known = {cause.key for cause in causes}
    found = [_cause(trial.suspect, []) for trial in trials if trial.suspect not in known and _is_confirmed(trial)]
    tried = [_with_trials(cause, [one for one in trials if one.suspect == cause.key]) for cause in [*causes, *found]]
    return sorted(tried, key=lambda cause: _RANK[cause.strength])  # stable: points decide within a rank


def _with_trials(cause: Cause, trials: list[Trial]) -> Cause:
    outcomes = {trial.outcome for trial in trials}
    strength = cause.strength
    if "confirmed" in outcomes:
        strength = "confirmed"
    elif outcomes == {"no change"}:
        strength = "excluded"
    return replace(cause, strength=strength)


def _is_confirmed(trial: Trial) -> bool:
    return trial.outcome == "confirmed"
