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
    """What one run gave: `outputs` None where it did not end well."""

    verdict: Verdict
    outputs: tuple[str, ...] | None
    detail: str


def stress(case: Case, *, tell: Tell) -> list[Stressed]:
    """Vary all at once; where the outputs change, find out by delta debugging which of it was needed for that.

    What is compared is a run with nothing varied, to the bit. Never raises NotRunError: the verdict stands without it.
    """
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    variations, missing = variations_for(case.lock, engine=case.engine.name, processors=processors)
    stand = _Stand(case, tell)
    plain = stand.run([])
    if plain.outputs is None:
        return [*(_told(one, "not told", f"with nothing varied {plain.detail}") for one in variations), *missing]
    if stand.run(variations).outputs == plain.outputs:
        return [*(_told(one, "no change", "varied together with all others") for one in variations), *missing]
    if stand.run([], again=True).outputs != plain.outputs:
        reason = "two runs with nothing varied differ: it cannot be told apart from that"
        return [*(_told(one, "not told", reason) for one in variations), *missing]
    found = _split(stand, variations, plain)
    return [*(found[one.name] for one in variations), *missing]


class _Stand:
    """Where stressed runs are made; none is made twice."""

    def __init__(self, case: Case, tell: Tell) -> None:
        self._case = case
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
        task = stressed_task(case.task, chosen, fixes_hash_seed=fixes_hash_seed(case.lock), hook=hook)
        with tempfile.TemporaryDirectory(prefix="envcap-stress-") as name:
            try:
                outcome = case.engine.run(case.image, task, results=Path(name), tell=say_nothing)
            except NotRunError as error:
                return _Seen(Verdict.NOT_RUN, None, error.message)
            if outcome.code != 0 or outcome.timed_out:
                last = next((line.strip() for line in reversed(outcome.tail) if line.strip()), "")
                return _Seen(Verdict.NOT_RUN, None, f"it ended with exit code {outcome.code}: {last[:200]}")
            checks = judge_outputs(case.lock, [Returned(folder=Path(name), stdout=outcome.stdout)], store=case.store)
        verdict, reasons = conclude(checks, [])
        return _Seen(verdict, outputs_of(checks), reasons[0])


def _split(stand: _Stand, variations: list[Variation], plain: _Seen) -> dict[str, Stressed]:
    """Find a smallest set that changes the outputs, then the next among the others, until these change nothing."""
    found: dict[str, Stressed] = {}
    left = variations
    while left and stand.run(left).outputs != plain.outputs:
        here = left

        def ask(numbers: frozenset[int], here: list[Variation] = here) -> bool:
            return stand.run([here[number] for number in sorted(numbers)]).outputs != plain.outputs

        guilty = [here[number] for number in minimise(len(here), ask).items]
        seen = stand.run(guilty)
        for one in guilty:
            others = [other.name for other in guilty if other is not one]
            together = f"only together with {', '.join(others)}: " if others else ""
            found[one.name] = _told(one, _outcome(seen), f"{together}{seen.detail}")
        left = [one for one in left if one not in guilty]
    return found | {one.name: _told(one, "no change", "varied together with others") for one in left}


def _outcome(seen: _Seen) -> StressOutcome:
    if seen.outputs is None:
        return "fails"
    return "within tolerance" if seen.verdict in {Verdict.IDENTICAL, Verdict.EQUIVALENT} else "changes the result"


def _told(one: Variation, outcome: StressOutcome, detail: str) -> Stressed:
    return Stressed(name=one.name, setting=one.setting, outcome=outcome, detail=detail)
