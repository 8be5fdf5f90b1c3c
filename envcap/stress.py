"""Stress: rerun the evaluation with everything varied that must not matter, and find what did."""

import os
import tempfile
from pathlib import Path
from typing import NamedTuple

from envcap.compare.conclusion import conclude
from envcap.compare.minimise import minimise
from envcap.compare.variations import Variation, fixes_hash_seed, stressed_task, variations_for
from envcap.diagnose import Case
from envcap.errors import NotRunError
from envcap.evaluate import directory_order
from envcap.explain import outputs_of
from envcap.judge import Returned, judge_outputs
from envcap.model.progress import Progress, Tell, say_nothing
from envcap.model.stress import Stressed, StressOutcome
from envcap.model.verdict import Verdict


class _Seen(NamedTuple):
    """What one run gave: `outputs` None where it did not end well.

    `trouble` says what is known then of what was varied, where not the evaluation failed but what it ran on.
    """

    verdict: Verdict
    outputs: tuple[str, ...] | None
    detail: str
    trouble: StressOutcome | None = None

    def differs_from(self, other: "_Seen") -> bool:
        return self.trouble is None and self.outputs != other.outputs


def stress(case: Case, *, tell: Tell) -> list[Stressed]:
    """Vary all at once; where the outputs change, find out by delta debugging which of it was needed for that.

    What is compared is a run with nothing varied, to the bit. Never raises NotRunError: the verdict stands without it.
    """
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    plan = variations_for(case.lock, engine=case.engine.name, processors=processors)
    stand = _Stand(case, processors, tell)
    plain = stand.run([])
    if plain.outputs is None:
        reason = f"with nothing varied {plain.detail}"
        return [*_all_told([*plan.varied, *plan.always], "not told", reason), *plan.missing]
    variations, troubled = _without_trouble(stand, plan.varied)
    always = _all_told(plan.always, "no change", "in every run of this engine")
    if not variations or not stand.run(variations).differs_from(plain):
        equal = _all_told(variations, "no change", "varied together with all others")
        return [*equal, *troubled, *always, *plan.missing]
    again = stand.run([], again=True)
    if again.trouble is not None or again.differs_from(plain):
        differ = "two runs with nothing varied differ: it cannot be told apart from that"
        reason = differ if again.trouble is None else f"with nothing varied {again.detail}"
        return [*_all_told([*variations, *plan.always], "not told", reason), *troubled, *plan.missing]
    found = _split(stand, variations, plain)
    return [*(found[one.name] for one in variations), *troubled, *always, *plan.missing]


def _without_trouble(stand: "_Stand", variations: list[Variation]) -> tuple[list[Variation], list[Stressed]]:
    """Give what can be varied here together, and of the others what is known of them."""
    if stand.run(variations).trouble is None:
        return variations, []
    kept, told = [], []
    for one in variations:
        seen = stand.run([one])
        if seen.trouble is None:
            kept.append(one)
        else:
            told.append(_told(one, seen.trouble, seen.detail))
    together = stand.run(kept) if kept else None
    if together is not None and together.trouble is not None:
        return [], [*told, *_all_told(kept, "not told", f"varied together with others, {together.detail}")]
    return kept, told


class _Stand:
    """Where stressed runs are made; none is made twice."""

    def __init__(self, case: Case, processors: int, tell: Tell) -> None:
        self._case = case
        self._processors = processors
        self._tell = tell
        self._seen: dict[tuple[str, ...], _Seen] = {}

    def run(self, chosen: list[Variation], *, again: bool = False) -> _Seen:
        """Run with these things varied, and give what came out."""
        names = tuple(one.name for one in chosen)
        if again or names not in self._seen:
            self._tell(Progress(kind="step", text=f"stress: {', '.join(names) or 'nothing'} varied"))
            self._seen[names] = self._run(chosen)
        return self._seen[names]

    def _run(self, chosen: list[Variation]) -> _Seen:
        case = self._case
        hook = Path(directory_order.__file__).read_bytes()
        fixes = fixes_hash_seed(case.lock)
        task = stressed_task(case.task, chosen, processors=self._processors, fixes_hash_seed=fixes, hook=hook)
        with tempfile.TemporaryDirectory(prefix="envcap-stress-") as name:
            try:
                outcome = case.engine.run(case.image, task, results=Path(name), tell=say_nothing)
            except NotRunError as error:
                return _Seen(Verdict.NOT_RUN, None, f"it cannot run: {error.message}", "not exercised")
            if outcome.timed_out:
                return _Seen(Verdict.NOT_RUN, None, f"it did not end within {task.timeout:g} s", "not told")
            if outcome.out_of_memory:
                return _Seen(Verdict.NOT_RUN, None, "it ran out of memory", "not told")
            if outcome.code != 0:
                last = next((line.strip() for line in reversed(outcome.tail) if line.strip()), "")
                return _Seen(Verdict.NOT_RUN, None, f"it ended with exit code {outcome.code}: {last[:200]}")
            checks = judge_outputs(case.lock, [Returned(folder=Path(name), stdout=outcome.stdout)], store=case.store)
        verdict, reasons = conclude(checks, [])
        return _Seen(verdict, outputs_of(checks), reasons[0])


def _split(stand: _Stand, variations: list[Variation], plain: _Seen) -> dict[str, Stressed]:
    """Find a smallest set that changes the outputs, then the next among the others, until these change nothing."""
    found: dict[str, Stressed] = {}
    left = variations
    while left and stand.run(left).differs_from(plain):
        here = left

        def ask(numbers: frozenset[int], here: list[Variation] = here) -> bool:
            return stand.run([here[number] for number in sorted(numbers)]).differs_from(plain)

        guilty = [here[number] for number in minimise(len(here), ask).items]
        seen = stand.run(guilty)
        for one in guilty:
            others = [other.name for other in guilty if other is not one]
            together = f"only together with {', '.join(others)}: " if others else ""
            found[one.name] = _told(one, _outcome(seen), f"{together}{seen.detail}")
        left = [one for one in left if one not in guilty]
    last = stand.run(left) if left else plain
    outcome, detail = last.trouble or "no change", "varied together with others"
    detail += f", {last.detail}" if last.trouble else ""
    return found | {one.name: _told(one, outcome, detail) for one in left}


def _outcome(seen: _Seen) -> StressOutcome:
    if seen.outputs is None:
        return "fails"
    return "within tolerance" if seen.verdict in {Verdict.IDENTICAL, Verdict.EQUIVALENT} else "changes the result"


def _all_told(variations: list[Variation], outcome: StressOutcome, detail: str) -> list[Stressed]:
    return [_told(one, outcome, detail) for one in variations]


def _told(one: Variation, outcome: StressOutcome, detail: str) -> Stressed:
    return Stressed(name=one.name, setting=one.setting, outcome=outcome, detail=detail)
