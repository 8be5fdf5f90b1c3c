"""Bisect: which package changes between two locks of one evaluation are behind another result."""

import math
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from envcap import lockfile
from envcap.compare.contents import contents_of_lock
from envcap.compare.differences import find_differences
from envcap.compare.minimise import minimise
from envcap.compare.together import Needs, group_changes, possible
from envcap.consent import Consent, require_consent
from envcap.engines import open_engine
from envcap.errors import NotRunError, WrongUsageError
from envcap.gpus import chosen_gpus
from envcap.mixtures import Mixtures, mixtures_of, read_needs
from envcap.model.bisection import Answer, Attempt, Bisection
from envcap.model.lock import Lock
from envcap.model.progress import Progress, Tell
from envcap.model.struct import Data
from envcap.places import digest_cache
from envcap.report.intention import Intention
from envcap.trials import Trials, Tried, task_of
from envcap.verify import require_frozen_data

_CONFIRMATIONS = 3  # that GOOD is good, that BAD is bad, that BAD without the culprits is good


class BisectRequest(Data, frozen=True, kw_only=True):
    """What the command line asked for: the names of two locks of one project."""

    project: Path
    good: str
    bad: str
    engine: str = "venv"
    repeat: int = 1
    runs: int = 100  # the most that the evaluation may be run
    timeout: float | None = None  # seconds, for one run; None for what was frozen
    use_cache: bool = True
    consent: Consent = Consent()


class _BudgetSpentError(Exception):
    """The runs that were allowed are used up."""


def bisect(request: BisectRequest, *, environ: Mapping[str, str], tell: Tell) -> Bisection:
    """Search the changes from the good lock's packages to the bad one's; give what was found and all that was tried.

    Raises WrongUsageError for locks that cannot be compared, RefusedError when lock or data are not what was frozen
    or nobody vouches for a lock,
    NotRunError when one of the two does not run to its end.
    """
    started = time.monotonic()
    project = request.project.resolve()
    good, sha256 = lockfile.read(lockfile.lock_path(project, request.good))
    bad, sha256_of_bad = lockfile.read(lockfile.lock_path(project, request.bad))
    _require_searchable(request, good, bad)
    plan = mixtures_of(good, bad)
    _tell_budget(request, good, plan, tell)
    with (
        tempfile.TemporaryDirectory(prefix="envcap-bisect-") as scratch,
        closing(open_engine(request.engine, Path(scratch), tell=tell)) as engine,
    ):
        for lock, its_sha256 in ((good, sha256), (bad, sha256_of_bad)):
            intention = Intention(verb="bisect", engine=engine.name, chosen=request.engine)
            require_consent(request.consent, lock, its_sha256, intention, tell=tell)
        require_frozen_data(project, good, known=digest_cache(environ), tell=tell)
        gpus, apart = chosen_gpus("auto", good), engine.name != "venv"
        task = task_of(good, project, timeout=request.timeout, gpus=gpus, apart=apart)
        trials = Trials(engine, good, sha256, project, environ, task, request.repeat)
        search = _Search(trials, plan, request, tell)
        reasons = search.why_not_searched()
        culprits: list[str] = []
        needs, groups = Needs({}), []
        if not reasons:
            needs = read_needs(good, plan, project=project, environ=environ)
            groups = group_changes(list(plan.moves), needs)
            tell(Progress(kind="step", text=f"{len(plan.moves)} changes, of which {len(groups)} can be made apart"))
            culprits, finished = search.narrow(groups, needs)
            reasons = search.conclude(culprits, needs, finished=finished)
        return Bisection(
            good=request.good,
            bad=request.bad,
            found=search.found,
            reasons=reasons,
            culprits=[plan.moves[name] for name in culprits],
            changes=len(plan.moves),
            groups=len(groups),
            bound=[needs.of[one][other] for one in culprits for other in needs.of[one]],
            kept=_kept(good, bad),
            attempts=search.attempts,
            runs=search.runs,
            most_runs=request.runs,
            seconds=round(time.monotonic() - started, 3),
            engine=engine.name,
            notes=list(engine.not_rebuilt),
        )


class _Search:
    """The trials of one bisect, with what they said so far."""

    def __init__(self, trials: Trials, plan: Mixtures, request: BisectRequest, tell: Tell) -> None:
        self._trials = trials
        self._plan = plan
        self._request = request
        self._tell = tell
        self._everything = frozenset(plan.moves)
        self._known: dict[frozenset[str], Tried] = {}
        self.attempts: list[Attempt] = []
        self.runs = 0
        self.found = False

    def why_not_searched(self) -> list[str]:
        """Confirm that good is good and bad is bad; give why there is nothing to search, nothing where there is.

        Raises NotRunError when one of them does not run to its end.
        """
        expected: list[tuple[frozenset[str], str, Answer]] = [
            (frozenset(), self._request.good, "as frozen"),
            (self._everything, self._request.bad, "different"),
        ]
        for changed, name, answer in expected:
            tried = self._try(changed)
            if tried.answer == "did not run":
                raise NotRunError(
                    f"With the packages of `{name}` there is no result to compare: {tried.detail}.",
                    hint=f"Look at it alone: `envcap build --name {name}` and `envcap verify --name {name}`.",
                )
            if tried.answer == answer:
                continue
            if changed:
                came_back = f"with all packages of `{name}` the result of `{self._request.good}` comes back"
                return [f"{came_back} ({tried.detail}): what differs is not in the packages that were rebuilt"]
            return [f"`{name}` does not give its own frozen result here: {tried.detail}"]
        return []

    def narrow(self, groups: Sequence[tuple[str, ...]], needs: Needs) -> tuple[list[str], bool]:
        """Give the smallest set of changes that is still bad, and whether the runs were enough to know that."""

        def ask(chosen: frozenset[int]) -> bool | None:
            # Of changes that cannot be installed without others, the largest part that can: nothing is run to learn it.
            changed = possible(frozenset(name for number in chosen for name in groups[number]), needs)
            try:
                return bool(changed) and self._try(changed).answer == "different"
            except _BudgetSpentError:
                return None

        minimised = minimise(len(groups), ask)
        left = possible(frozenset(name for number in minimised.items for name in groups[number]), needs)
        return [name for name in self._plan.moves if name in left], minimised.finished

    def conclude(self, culprits: Sequence[str], needs: Needs, *, finished: bool) -> list[str]:
        """Say what the culprits are known to do, and whether BAD without them is good again."""
        if not finished:
            return [f"the {self._request.runs} runs that were allowed are used up; these {len(culprits)} are left"]
        self.found = True
        alone = self._known[frozenset(culprits)]
        reasons = [f"these alone change the result of `{self._request.good}`: {alone.detail}"]
        if frozenset(culprits) != self._everything:
            try:
                without = self._try(possible(self._everything - frozenset(culprits), needs))
            except _BudgetSpentError:
                reasons.append(f"whether `{self._request.bad}` without them is good again was not tried: no runs left")
            else:
                reasons.append(f"`{self._request.bad}` without them: {without.answer}: {without.detail}")
                if without.answer == "different":
                    reasons.append("so at least one other change does it too: bisect again when these are settled")
        untold = [one for one in self.attempts if one.answer in {"inconclusive", "did not run"}]
        if untold:
            reasons.append(f"{len(untold)} of {len(self.attempts)} mixtures could not be told and count as no proof")
        return reasons

    def _try(self, changed: frozenset[str]) -> Tried:
        """Give what this mixture gives: from this search, from an earlier one, or by running it."""
        if changed in self._known:
            return self._known[changed]
        packages = self._plan.packages(changed)
        tried = self._trials.recall(packages) if self._request.use_cache else None
        is_remembered = tried is not None
        what = _words(changed, self._everything)
        if tried is None:
            if self.runs + self._request.repeat > self._request.runs:
                raise _BudgetSpentError
            self.runs += self._request.repeat
            self._tell(Progress(kind="step", text=f"run {self.runs} of at most {self._request.runs}: {what}"))
            tried = self._trials.run(packages, tell=self._tell)
        self._tell(Progress(kind="output", text=f"{tried.answer}{' (remembered)' if is_remembered else ''}: {what}"))
        self._known[changed] = tried
        self.attempts.append(
            Attempt(
                what=what,
                changed=sorted(changed),
                answer=tried.answer,
                detail=tried.detail,
                seconds=tried.seconds,
                remembered=is_remembered,
            )
        )
        return tried


def _require_searchable(request: BisectRequest, good: Lock, bad: Lock) -> None:
    """Raise WrongUsageError unless both locks are of one evaluation and there is something to search."""
    if request.repeat < 1:
        raise WrongUsageError(f"`--repeat` is `{request.repeat}`; it must be at least 1.")
    if request.runs < 2 * request.repeat:
        raise WrongUsageError(
            f"`--runs` is `{request.runs}`; to confirm that one lock is good and the other bad takes "
            f"{2 * request.repeat}."
        )
    if good.declaration.command != bad.declaration.command:
        raise WrongUsageError(
            f"`{request.good}` runs `{' '.join(good.declaration.command)}` and `{request.bad}` runs "
            f"`{' '.join(bad.declaration.command)}`: these are two evaluations.",
            hint="Bisect compares two locks of one, such as one and what `envcap upgrade` made of it.",
        )
    if good.conda or bad.conda:
        raise WrongUsageError("Bisect searches what pip installed, and one of the locks holds conda packages.")
    if not mixtures_of(good, bad).moves:
        raise WrongUsageError(
            f"`{request.good}` and `{request.bad}` have the same packages: there is nothing to search.",
            hint=f"`envcap diff {request.good} {request.bad}` shows what else differs.",
        )


def _tell_budget(request: BisectRequest, good: Lock, plan: Mixtures, tell: Tell) -> None:
    """Say beforehand what it may cost: the most runs, and how many one culprit usually takes."""
    count = len(plan.moves)
    each = sum(run.seconds for run in good.runs) / len(good.runs)
    most = min(request.runs, request.repeat * (count**2 + 3 * count + _CONFIRMATIONS))  # of ddmin, at worst
    usual = request.repeat * (math.ceil(1.5 * math.log2(count)) + _CONFIRMATIONS)
    tell(
        Progress(
            kind="step",
            text=f"{count} packages differ: at most {most} runs, about {usual} if one is to blame; a run took "
            f"{each:.1f} s when frozen, so at most {most * each:.0f} s, and the time to make environments",
        )
    )
    tell(Progress(kind="notice", text="what was tried is remembered: stop it and start it again as you like"))


def _kept(good: Lock, bad: Lock) -> list[str]:
    """Name what else differs between the locks and might matter; it is as in the good lock in every trial."""
    found = find_differences(contents_of_lock(good), contents_of_lock(bad))
    others = {one.area for one in found if one.influence != "low" and one.area not in {"packages", "files"}}
    return sorted(others)


def _words(changed: frozenset[str], everything: frozenset[str]) -> str:
    """Say which changes a mixture has, in a few words."""
    if not changed or changed == everything:
        return "all changes" if changed else "no change"
    rest = everything - changed
    if len(rest) <= min(3, len(changed)):
        return f"all but {', '.join(sorted(rest))}"
    return f"only {', '.join(sorted(changed))}" if len(changed) <= 3 else f"{len(changed)} of {len(everything)} changes"
