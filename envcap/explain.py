"""Explain: rerun the evaluation with one thing changed at a time, and say what that did to the outputs."""

import tempfile
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from envcap.compare.conclusion import conclude
from envcap.compare.knobs import Knob, knobs_for, what_applies
from envcap.diagnose import Case
from envcap.errors import NotRunError, RefusedError
from envcap.judge import Returned, judge_outputs
from envcap.model.cause import Cause, Trial
from envcap.model.image import Task
from envcap.model.progress import Progress, Tell, say_nothing
from envcap.model.verdict import Check, Verdict
from envcap.numerics.measure import numerics_task, read_outcome
from envcap.probe import inside as probe

MOST_RERUNS = 8
_BETTER = [Verdict.DIFFERENT, Verdict.INCONCLUSIVE, Verdict.EQUIVALENT, Verdict.IDENTICAL]


class _Rerun(NamedTuple):
    """What one rerun gave: the verdict over its outputs, and the outputs themselves in comparable form."""

    verdict: Verdict
    outputs: tuple[str, ...]


def try_causes(case: Case, causes: list[Cause], verdict: Verdict, *, tell: Tell) -> list[Trial]:
    """Rerun, first without any change and then with one knob for each cause, at most `MOST_RERUNS` runs in all."""
    lock = case.lock
    first = _Rerun(verdict, _outputs(case.checks))
    control = _rerun(case, case.task, "nothing changed", number=1, tell=tell)
    is_steady = control.outputs == first.outputs
    knobs = knobs_for(causes, lock=lock, facts=case.facts, frozen=lock.numerics, observed=case.numerics)
    knobs = _with_hash_seed(knobs, case, is_steady=is_steady)
    trials = [_control_trial(is_steady=is_steady)]
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
    seed = {"PYTHONHASHSEED": "0"}
    return [
        Knob(suspect="hash seed", words="PYTHONHASHSEED=0, twice", environment=seed, other=seed, compares=True),
        *knobs,
    ]


def _control_trial(*, is_steady: bool) -> Trial:
    if is_steady:
        outcome, detail = "no change", "the same run again gave the same outputs"
    else:
        outcome, detail = "confirmed", "the same run again, with nothing changed, gave other outputs"
    return Trial(suspect="randomness", knob="nothing changed", outcome=outcome, detail=detail, runs=1)  # type: ignore[arg-type]


def _without_double_claims(trials: list[Trial]) -> list[Trial]:
    """Take back that runs vary by themselves where the hash seed explains it."""
    if not any(trial.suspect == "hash seed" and trial.outcome == "confirmed" for trial in trials):
        return trials
    return [replace(one, outcome="changed") if one.suspect == "randomness" else one for one in trials]


def _try(case: Case, knob: Knob, first: _Rerun, *, is_steady: bool, number: int, tell: Tell) -> Trial:
    def trial(outcome: str, detail: str, runs: int) -> Trial:
        return Trial(suspect=knob.suspect, knob=knob.words, outcome=outcome, detail=detail, runs=runs)  # type: ignore[arg-type]

    refused = _not_applied(case, knob)
    if refused:
        return trial("not applied", refused, 0)
    runs = 0
    try:
        runs += 1
        one = _rerun(case, _with(case.task, knob, knob.environment), knob.words, number=number, tell=tell)
        if not knob.compares:
            return trial(*_outcome(knob, one, first, is_steady=is_steady), runs)
        second = knob.environment if not is_steady else knob.other
        runs += 1
        other = _rerun(case, _with(case.task, knob, second), knob.words, number=number + 1, tell=tell)
    except NotRunError as error:
        return trial("not applied", error.message, runs)
    return trial(*_compared(one, other, is_steady=is_steady), runs)


def _outcome(knob: Knob, rerun: _Rerun, first: _Rerun, *, is_steady: bool) -> tuple[str, str]:
    """Say what one rerun with a knob shows, against the first run."""
    if _BETTER.index(rerun.verdict) > _BETTER.index(first.verdict):
        return "confirmed", f"with {knob.words} the frozen outputs came back: {rerun.verdict.value}"
    if rerun.outputs == first.outputs:
        return "no change", f"with {knob.words} nothing changed"
    if not is_steady:
        return "changed", f"with {knob.words} the outputs changed, as they do without it"
    return "changed", f"with {knob.words} the outputs changed, but the frozen ones did not come back"


def _compared(one: _Rerun, other: _Rerun, *, is_steady: bool) -> tuple[str, str]:
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
    return _Rerun(verdict, _outputs(checks))


def _outputs(checks: list[Check]) -> tuple[str, ...]:
    """Give the judged outputs of the first run in a form that can be compared."""
    return tuple(
        f"{check.name} {check.measured.observed[:1]!r}" if check.measured.observed else f"{check.name} {check.observed}"
        for check in checks
        if check.judged
    )
