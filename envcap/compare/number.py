"""One metric of all frozen runs against that of all new ones, in the mode that was stated or that follows. Pure."""

import math
from collections.abc import Callable, Mapping
from fractions import Fraction

from envcap.compare.decision import ALONE, Decision, Setting, exact_origin, never_within, one_sided
from envcap.compare.equivalence import judge_equivalence
from envcap.compare.floor import judge_floor
from envcap.compare.spread import DEFAULT_MARGIN, exact_mean, is_within, measure, quantum_of, to_float
from envcap.compare.values import (
    bound,
    has_bound,
    is_number,
    same,
    show,
    show_all,
    show_kind,
    show_shift,
    show_tolerance,
    within,
)
from envcap.model.evaluation import Metric, Mode, Tolerance
from envcap.model.verdict import Check, Measured, Verdict

_PLAIN = Tolerance()
_NOT_FINITE = "NaN and infinities are never within a tolerance"
_Numbers = list[int | float]


def judge_metric(
    name: str,
    frozen: list[Metric],
    observed: list[Metric | None],
    tolerance: Tolerance | None,
    setting: Setting = ALONE,
) -> Check:
    """Judge one metric; in `observed` None stands for a run that did not give it, and [] as `frozen` for a new one.

    Equal everywhere is IDENTICAL. Where the frozen runs are equal the new ones must be too, unless a tolerance was
    stated; where they differ, the tolerance comes from their spread (see `spread.py`).
    """
    decision = _decide(frozen, observed, tolerance, setting)
    came = [value for value in observed if value is not None]
    return Check(
        name=name,
        kind="metric",
        frozen=show_all(frozen),
        observed="missing" if len(came) < len(observed) or not came else show_all(came),
        tolerance=decision.tolerance or show_tolerance(tolerance),
        verdict=decision.verdict,
        detail=decision.detail,
        catches=decision.catches,
        judged=tolerance is None or not tolerance.ignore,
        mode=decision.mode,
        origin=decision.origin,
        primary=setting.primary,
        gates=setting.gates or decision.mode != "runs",
        measured=decision.with_values(frozen, came),
    )


def mode_of_metric(frozen: list[Metric], tolerance: Tolerance | None) -> Mode:
    """Give the mode that was stated, or else that follows: by spread where there is one, as stated, or exact."""
    if tolerance is not None and tolerance.mode is not None:
        return tolerance.mode
    if tolerance is not None and tolerance.ignore:
        return "stated"  # for the shift alone, which is shown
    if len(frozen) > 1 and not _are_same(frozen, tolerance):
        return "runs"
    return "stated" if has_bound(tolerance) else "content"


def _decide(
    frozen: list[Metric], observed: list[Metric | None], tolerance: Tolerance | None, setting: Setting
) -> Decision:
    came = [value for value in observed if value is not None]
    if not frozen or len(came) < len(observed) or not came:
        return one_sided(was_frozen=bool(frozen))
    mode = mode_of_metric(frozen, tolerance)
    steady = _are_same(frozen, tolerance)
    if steady and _are_same([frozen[0], *came], tolerance):
        return Decision(verdict=Verdict.IDENTICAL, catches="any change", mode=mode, origin=exact_origin(len(frozen)))
    kinds = {type(value) for value in frozen}
    for value in came:
        if type(value) not in kinds:
            detail = f"it was {show_kind(frozen[0])} and is now {show_kind(value)}"
            return never_within(detail, "a change of type is never within a tolerance", mode)
    before, after = [x for x in frozen if is_number(x)], [x for x in came if is_number(x)]
    if len(kinds) > 1 or not before or not after:
        return _decide_without_distance(frozen, came[0], steady=steady, mode=mode)
    if not all(math.isfinite(value) for value in (*before, *after)):
        return never_within(_NOT_FINITE, _NOT_FINITE, mode)
    return _MODES.get(mode, _decide_exactly)(before, after, tolerance or _PLAIN, setting)


def _are_same(values: list[Metric], tolerance: Tolerance | None) -> bool:
    nan_equal = tolerance is not None and tolerance.nan == "equal"
    return all(same(values[0], value, nan_equal=nan_equal) for value in values)


def _decide_without_distance(frozen: list[Metric], value: Metric, *, steady: bool, mode: Mode) -> Decision:
    if not steady:
        return Decision(
            verdict=Verdict.INCONCLUSIVE,
            detail="the frozen runs themselves differ",
            catches="nothing",
            mode=mode,
            origin="there is no distance between such values, and so no spread",
        )
    detail = "the text is another one" if isinstance(value, str) else "it was flipped"
    return never_within(detail, exact_origin(len(frozen)), mode)


def _decide_exactly(frozen: _Numbers, observed: _Numbers, _: Tolerance, setting: Setting) -> Decision:
    shift = _shift(frozen, observed)
    if len(set(frozen)) > 1:
        return Decision(
            verdict=Verdict.INCONCLUSIVE,
            detail=f"the frozen runs themselves differ, from {show(min(frozen))} to {show(max(frozen))}",
            catches="nothing",
            origin="exact, which runs that differ cannot be held to",
        )
    if len(frozen) == 1 and setting.kind != "fixed":
        return Decision(
            verdict=Verdict.INCONCLUSIVE,
            detail=f"it shifted by {shift}, and one frozen run does not tell how far runs vary: freeze with `--repeat`",
            catches="nothing",
            origin=exact_origin(1),
        )
    return Decision(
        verdict=Verdict.DIFFERENT,
        detail=f"it shifted by {shift}",
        catches="any change",
        origin=exact_origin(len(frozen)),
        measured=_band(to_float(Fraction(frozen[0])), 0.0, margin=0.0, detectable=0.0),
    )


def _decide_as_stated(frozen: _Numbers, observed: _Numbers, tolerance: Tolerance, _: Setting) -> Decision:
    reference = frozen[0] if len(set(frozen)) == 1 else float(exact_mean(list(frozen)))
    margin = bound(tolerance, reference)
    low, high = min(frozen), max(frozen)
    verdict, detail = Verdict.EQUIVALENT, f"it shifted by {_shift(frozen, observed)}"
    if not all(within(tolerance, reference, type(reference)(value)) for value in observed):
        verdict = Verdict.DIFFERENT
    elif high - low > 2 * margin:
        verdict = Verdict.INCONCLUSIVE
        detail = f"the frozen runs spread over {high - low:.3g}, wider than the tolerance"
    elif len(set(observed)) == 1 and observed[0] == reference:
        detail = ""
    return Decision(
        verdict=verdict,
        detail=detail,
        catches=f"{margin:.3g}",
        mode="stated",
        origin="the tolerance stated when it was frozen",
        measured=_band(float(reference), margin, margin=margin, detectable=margin),
    )


def _decide_by_spread(frozen: _Numbers, observed: _Numbers, tolerance: Tolerance, setting: Setting) -> Decision:
    if len(set(frozen)) == 1:
        decide = _decide_as_stated if has_bound(tolerance) else _decide_exactly
        return decide(frozen, observed, tolerance, setting)
    return decide_by_band(frozen, observed, tolerance, setting)


def decide_by_band(frozen: _Numbers, observed: _Numbers, tolerance: Tolerance, setting: Setting) -> Decision:
    """Decide by the band that the spread gives (`spread.py`), at most the stated or else the default margin.

    Outside the band is DIFFERENT, within a band that the margin allows EQUIVALENT, and within a wider one INCONCLUSIVE.
    """
    quantum = quantum_of([*frozen, *observed], stated=tolerance.quantum, samples=tolerance.samples)
    band = measure(list(frozen), list(observed), alpha=setting.alpha, quantum=quantum)
    stated = has_bound(tolerance)
    margin = bound(tolerance, band.reference) if stated else DEFAULT_MARGIN * abs(band.reference)
    whose = "stated margin" if stated else f"default margin of {100 * DEFAULT_MARGIN:g} %"
    verdict, detail = Verdict.EQUIVALENT, f"it shifted by {show_shift(band.shift, band.reference)}"
    if not is_within(band):
        verdict = Verdict.DIFFERENT
        detail += f", and such runs stay within ±{band.half:.3g}"
    elif band.half > margin:
        verdict = Verdict.INCONCLUSIVE
        detail = f"such runs vary by ±{band.half:.3g}, wider than the {whose} (±{margin:.3g}): "
        detail += _advice(frozen, tolerance, step=quantum if quantum > margin else 0.0)
    corrected = f", {setting.correction}" if setting.correction else ""
    return Decision(
        verdict=verdict,
        detail=detail,
        catches=f"{band.detectable:.3g}",
        mode="runs",
        tolerance=f"±{band.half:.3g} measured",
        origin=f"{band.origin}{corrected}; at most the {whose}, ±{margin:.3g}",
        measured=Measured(
            reference=band.reference,
            low=band.reference - band.half,
            high=band.reference + band.half,
            margin=margin,
            detectable=band.detectable,
            statistic="t",
            value=band.t,
            freedom=band.freedom,
            p_value=band.p_value,
            alpha=setting.alpha,
            correction=setting.correction,
        ),
    )


def _advice(frozen: _Numbers, tolerance: Tolerance, *, step: float) -> str:
    """Say what helps against a band that is too wide; `step` is the metric's, where more runs cannot get below it."""
    if not step:
        more = "freeze with more runs, verify with `--repeat`"
        return more if has_bound(tolerance) else f"{more}, or state a tolerance"
    is_printed = tolerance.quantum is None and tolerance.samples is None and isinstance(frozen[0], float)
    digits = ", or write more digits" if is_printed else ""
    return f"one step of this metric, {step:.3g}, is more than that: state a wider tolerance{digits}"


def _decide_equivalence(frozen: _Numbers, observed: _Numbers, tolerance: Tolerance, _: Setting) -> Decision:
    if len(frozen) < 2 or len(observed) < 2:
        return Decision(
            verdict=Verdict.INCONCLUSIVE,
            detail="a test of equivalence needs two runs on each side: freeze and verify with `--repeat`",
            catches="nothing",
            mode="equivalence",
            origin="two one-sided t tests at 5 %, of the spread on both sides",
        )
    margin = bound(tolerance, float(exact_mean(list(frozen))))
    found = judge_equivalence(list(frozen), list(observed), margin=margin)
    interval = f"90 % interval {found.shift - found.half:+.3g} … {found.shift + found.half:+.3g}"
    return Decision(
        verdict=found.verdict,
        detail=f"it shifted by {show_shift(found.shift, found.reference)}, {interval}, margin ±{margin:.3g}",
        catches=f"{found.detectable:.3g}",
        mode="equivalence",
        origin=found.origin,
        measured=Measured(
            reference=found.reference,
            low=found.reference - margin,
            high=found.reference + margin,
            margin=margin,
            detectable=found.detectable,
            statistic="t",
            value=found.t,
            freedom=found.freedom,
            p_value=found.p_value,
            alpha=0.05,
        ),
    )


def _decide_by_floor(frozen: _Numbers, observed: _Numbers, tolerance: Tolerance, _: Setting) -> Decision:
    found = judge_floor(list(frozen), list(observed), tolerance)
    above = f"it clears the floor {found.limit:.6g} by {found.clears:.3g}"
    detail = above if found.clears >= 0 else f"it misses the floor {found.limit:.6g} by {-found.clears:.3g}"
    if found.verdict is Verdict.INCONCLUSIVE:
        detail += f", which the spread (±{found.uncertain:.3g}) could undo"
    is_higher = tolerance.better == "higher"
    return Decision(
        verdict=found.verdict,
        detail=detail,
        catches=f"{'below' if is_higher else 'above'} {found.limit:.6g}",
        mode="floor",
        tolerance=f"{'≥' if is_higher else '≤'}{found.limit:.6g}",
        origin=found.origin,
        measured=Measured(
            reference=found.reference,
            low=found.limit if is_higher else None,
            high=None if is_higher else found.limit,
        ),
    )


_MODES: Mapping[Mode, Callable[[_Numbers, _Numbers, Tolerance, Setting], Decision]] = {
    "stated": _decide_as_stated,
    "runs": _decide_by_spread,
    "equivalence": _decide_equivalence,
    "floor": _decide_by_floor,
}


def _shift(frozen: _Numbers, observed: _Numbers) -> str:
    if len(set(frozen)) == 1 == len(observed):
        return show_shift(observed[0] - frozen[0], frozen[0])
    reference = exact_mean(list(frozen))
    return show_shift(to_float(exact_mean(list(observed)) - reference), float(reference))


def _band(reference: float, half: float, *, margin: float, detectable: float) -> Measured:
    return Measured(
        reference=reference, low=reference - half, high=reference + half, margin=margin, detectable=detectable
    )
