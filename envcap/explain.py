"""Explain: rerun the evaluation with one thing changed at a time, and say what that did to the outputs."""

import tempfile
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from envcap.compare.conclusion import conclude
from envcap.compare.knobs import HASH_SEED, Knob, knobs_for, what_applies
from envcap.diagnose import Case
from envcap.errors import NotRunError, RefusedError
from envcap.judge import Returned, judge_outputs
from envcap.model.cause import Cause, Trial, TrialOutcome
from envcap.model.image import Task
from envcap.model.progress import Progress, Tell, say_nothing
from envcap.model.verdict import Check, Verdict
from envcap.numerics.measure import numerics_task, read_outcome
from envcap.probe import inside as probe

MOST_RERUNS = 8
_CAME_BACK = {Verdict.EQUIVALENT, Verdict.IDENTICAL}


class _Rerun(NamedTuple):
    """What one rerun gave: the verdict over its outputs, and the outputs themselves in comparable form."""

    verdict: Verdict
    outputs: tuple[str, ...]


def try_causes(case: Case, causes: list[Cause], verdict: Verdict, *, tell: Tell) -> list[Trial]:
    """Rerun, first without any change and then with one knob for each cause, at most `MOST_RERUNS` runs in all."""
    lock = case.lock
    first = _Rerun(verdict, outputs_of(case.checks))
    try:
        control = _rerun(case, case.task, "nothing changed", number=1, tell=tell)
    except NotRunError as error:  # the verdict stands: only the question why stays open
        return [_trial("randomness", "nothing changed", "not applied", error.message, 1)]
    is_steady = control.outputs == first.outputs
    knobs = knobs_for(causes, lock=lock, facts=case.facts, frozen=lock.numerics, observed=case.numerics)
    knobs = _with_hash_seed(knobs, case, is_steady=is_steady)
    # Two runs at two times ask about the clock as much as about chance.
    by_clock = bool(causes) and causes[0].key == "clock"
    trials = [_control_trial("clock" if by_clock else "randomness", is_steady=is_steady)]
    used = 1
    for knob in knobs:
        needed = 2 if knob.compares else 1
        if used + needed > MOST_RERUNS:
            break
        trials.append(_try(case, knob, first, is_steady=is_steady, number=used + 1, tell=tell))
        used += trials[-1].runs
    return _without_double_claims(trials)


def _with_hash_seed(knobs: list[Knob], case: Case, *, is_steady: bool) -> list[Knob]:
    """Ask about the hash seed wherever runs vary and nothing fixes it."""
    if is_steady or any(knob.suspect == "hash seed" for knob in knobs):
        return knobs
    if "PYTHONHASHSEED" in case.lock.system.environment:
        return knobs
    return [HASH_SEED, *knobs]


def _control_trial(suspect: str, *, is_steady: bool) -> Trial:
    if is_steady:
        return _trial(suspect, "nothing changed", "no change", "the same run again gave the same outputs", 1)
    detail = "the same run again, with nothing changed, gave other outputs"
    return _trial(suspect, "nothing changed", "confirmed", detail, 1)


def _trial(suspect: str, knob: str, outcome: TrialOutcome, detail: str, runs: int) -> Trial:
    return Trial(suspect=suspect, knob=knob, outcome=outcome, detail=detail, runs=runs)


def _without_double_claims(trials: list[Trial]) -> list[Trial]:
    """Take back that runs vary by themselves where the hash seed explains it."""
    if not any(trial.suspect == "hash seed" and trial.outcome == "confirmed" for trial in trials):
        return trials
    return [replace(one, outcome="changed") if one.suspect in {"randomness", "clock"} else one for one in trials]


def _try(case: Case, knob: Knob, first: _Rerun, *, is_steady: bool, number: int, tell: Tell) -> Trial:
    reason = _not_applied(case, knob)
    if reason:
        return _trial(knob.suspect, knob.words, "not applied", reason, 0)
    settings = [knob.environment]
    if knob.compares:
        settings.append(knob.other if is_steady else knob.environment)
    reruns: list[_Rerun] = []
    for setting in settings:
        task = _with(case.task, knob, setting)
        words = f"PYTHONHASHSEED={setting['PYTHONHASHSEED']}" if knob.compares else knob.words
        try:
            reruns.append(_rerun(case, task, words, number=number + len(reruns), tell=tell))
        except NotRunError as error:
            return _trial(knob.suspect, knob.words, "not applied", error.message, len(reruns) + 1)
    if knob.compares:
        outcome, detail = _compared(*reruns, is_steady=is_steady)
    else:
        outcome, detail = _outcome(knob, reruns[0], first, is_steady=is_steady)
    return _trial(knob.suspect, knob.words, outcome, detail, len(reruns))


def _outcome(knob: Knob, rerun: _Rerun, first: _Rerun, *, is_steady: bool) -> tuple[TrialOutcome, str]:
    """Say what one rerun with a knob shows, against the first run."""
    # Where runs vary, one that is near enough proves nothing.
    enough = _CAME_BACK if is_steady else {Verdict.IDENTICAL}
    if rerun.verdict in enough and rerun.verdict is not first.verdict:
        return "confirmed", f"with {knob.words} the frozen outputs came back: {rerun.verdict.value}"
    if rerun.outputs == first.outputs:
        return "no change", f"with {knob.words} nothing changed"
    if not is_steady:
        return "changed", f"with {knob.words} the outputs changed, as they do without it"
    return "changed", f"with {knob.words} the outputs changed, but the frozen ones did not come back"


def _compared(one: _Rerun, other: _Rerun, *, is_steady: bool) -> tuple[TrialOutcome, str]:
    """Say what two reruns show: with one hash seed where runs vary, with two where they seemed not to."""
    is_same = one.outputs == other.outputs
    if not is_steady:
        if is_same:
            return "confirmed", "two runs with PYTHONHASHSEED=0 agree, and without it they do not"
        return "no change", "two runs with PYTHONHASHSEED=0 differ all the same"
    if is_same:
        return "no change", "runs with PYTHONHASHSEED=0 and =1 agree"
    return "confirmed", "runs with PYTHONHASHSEED=0 and =1 differ: the outputs depend on it"


def _not_applied(case: Case, knob: Knob) -> str:
    """Ask the environment whether the knob reaches it; give why it does not, empty where it does."""
    if knob.impossible or knob.asks == "nothing":
        return knob.impossible
    gpus = case.task.gpus
    task = numerics_task(gpus=gpus) if knob.asks == "numerics" else probe.probe_task(gpus=gpus)
    facts, numerics = None, None
    with tempfile.TemporaryDirectory(prefix="envcap-knob-") as name:
        try:
            outcome = case.engine.run(
                case.image, _with(task, knob, knob.environment), results=Path(name), tell=say_nothing
            )
            if knob.asks == "numerics":
                numerics, _ = read_outcome(outcome)
            else:
                facts = probe.read_outcome(outcome)
        except (NotRunError, RefusedError) as error:
            return error.message
    said = what_applies(facts=facts, numerics=numerics)
    missed = {subject: value for subject, value in knob.expected.items() if said.get(subject) != value}
    if not missed:
        return ""
    subject, value = next(iter(missed.items()))
    return f"{knob.words} has no effect here: {subject} is `{said.get(subject, 'unknown')}`, not `{value}`"


def _with(task: Task, knob: Knob, environment: dict[str, str]) -> Task:
    return replace(task, environment={**task.environment, **environment}, cpus=knob.cpus)


def _rerun(case: Case, task: Task, words: str, *, number: int, tell: Tell) -> _Rerun:
    tell(Progress(kind="step", text=f"rerun {number} of at most {MOST_RERUNS}: {words}"))
    with tempfile.TemporaryDirectory(prefix="envcap-rerun-") as name:
        outcome = case.engine.run(case.image, task, results=Path(name), tell=tell)
        if outcome.code != 0 or outcome.timed_out:
            raise NotRunError(f"with {words} the evaluation did not end well (exit code {outcome.code})")
        returned = Returned(folder=Path(name), stdout=outcome.stdout)
        checks = judge_outputs(case.lock, [returned], store=case.store)
    verdict, _ = conclude(checks, [])
    return _Rerun(verdict, outputs_of(checks))


def outputs_of(checks: list[Check]) -> tuple[str, ...]:
    """Give the judged outputs of the first run in a form that can be compared: metrics, and digests of files."""
    return tuple(
        f"{check.name} {check.measured.observed[:1]!r}"
        if check.kind == "metric" and check.measured.observed
        else f"{check.name} {check.observed}"
        for check in checks
        if check.judged
    )
