"""One file against its frozen self: equal to the byte, else compared by its kind or as stated. Pure."""

from pathlib import PurePosixPath
from typing import NamedTuple

from msgspec.structs import replace

from envcap.compare.content import Differences, Values, compare_contents, reader_of
from envcap.compare.decision import ALONE, Decision, Setting, exact_origin, one_sided
from envcap.compare.generation import judge_generation
from envcap.compare.samples import compare_samples, describe_samples, is_table_of_samples, judge_samples, read_samples
from envcap.compare.values import has_bound, show_tolerance
from envcap.model.evaluation import Artifact, Metric, Mode, Tolerance
from envcap.model.verdict import Check, Measured, Verdict

_TABLES = {".csv", ".tsv"}
_TEXTS = {".txt", ".md", ".jsonl", ".json"}
_BYTES = "the bytes must be those of the frozen runs"
_DIFFER = "the frozen runs themselves differ in this file"


class Contents(NamedTuple):
    """The bytes that are at hand: of frozen runs, as far as they were kept, and of all new ones."""

    frozen: list[bytes]
    observed: list[bytes]


def judge_artifact(
    path: str,
    frozen: list[Artifact],
    observed: list[Artifact | None],
    tolerance: Tolerance | None,
    setting: Setting = ALONE,
    *,
    contents: Contents | None = None,
) -> Check:
    """Judge one artifact; in `observed` None stands for a run that did not write it, and [] as `frozen` for a new one.

    Equal digests are IDENTICAL. Otherwise a file of a known kind is compared value by value, which a tolerance may
    cover, and any other file is DIFFERENT. Frozen runs that differ among themselves leave it INCONCLUSIVE, unless a
    tolerance, or the way in which they agree with each other, can be asked.
    """
    steady = len({item.sha256 for item in frozen}) == 1
    came = [item for item in observed if item is not None]
    mode = _mode(path, tolerance, setting, contents)
    if not frozen or len(came) < len(observed) or not came:
        decision = replace(one_sided(was_frozen=bool(frozen)), mode=mode)
    elif steady and all(item.sha256 == frozen[0].sha256 for item in came):
        origin = exact_origin(len(frozen))
        decision = Decision(verdict=Verdict.IDENTICAL, catches="any change", mode=mode, origin=origin)
    else:
        decision = _decide(path, tolerance, setting, contents, mode=mode, steady=steady, runs=len(frozen))
        decision = decision if decision.origin else replace(decision, origin=_BYTES)
    before, after = _digests(frozen), _digests(came)
    return Check(
        name=path,
        kind="artifact",
        frozen=_show(frozen[0] if frozen else None),
        observed=_show(came[0] if len(came) == len(observed) and came else None),
        tolerance=decision.tolerance or show_tolerance(tolerance),
        verdict=decision.verdict,
        detail=decision.detail,
        catches=decision.catches,
        judged=tolerance is None or not tolerance.ignore,
        mode=decision.mode,
        origin=decision.origin,
        gates=setting.gates or steady,
        measured=decision.with_values(before, after),
    )


def _mode(path: str, tolerance: Tolerance | None, setting: Setting, contents: Contents | None) -> Mode:
    """Give the mode that was stated, or the one for this kind of file."""
    if tolerance is not None and tolerance.mode is not None:
        return tolerance.mode
    suffix = PurePosixPath(path).suffix.lower()
    if has_bound(tolerance) or contents is None:
        return "content"
    if setting.kind == "generation" and suffix in _TEXTS:
        return "generation"
    return "samples" if suffix in _TABLES and is_table_of_samples(contents.frozen[0]) else "content"


def _decide(
    path: str,
    tolerance: Tolerance | None,
    setting: Setting,
    contents: Contents | None,
    *,
    mode: Mode,
    steady: bool,
    runs: int,
) -> Decision:
    if mode == "bytes" or contents is None or reader_of(path) is None:
        if steady:
            return Decision(verdict=Verdict.DIFFERENT, detail="the bytes differ", catches="any change", mode="bytes")
        detail = f"{_DIFFER}, and only bytes can be compared"
        return Decision(verdict=Verdict.INCONCLUSIVE, detail=detail, catches="nothing", mode="bytes")
    try:
        # What was not stated may add to what is told, and never lets a value pass unseen.
        if mode == "samples" and ((tolerance is not None and tolerance.mode == "samples") or not steady):
            return judge_samples(contents.frozen, contents.observed, tolerance, setting)
        if mode == "generation":
            return judge_generation(path, contents.frozen, contents.observed, tolerance, setting)
        decision = _judge_contents(path, contents, tolerance, steady=steady)
    except ValueError as error:  # not the kind of file that its name says
        suffix = PurePosixPath(path).suffix
        detail = f"the bytes differ, and it cannot be read as {suffix}: {error}"
        return Decision(verdict=Verdict.DIFFERENT, detail=detail, catches="any change", mode="bytes")
    return _with_samples(decision, contents, tolerance, runs=runs) if mode == "samples" else decision


def _judge_contents(path: str, contents: Contents, tolerance: Tolerance | None, *, steady: bool) -> Decision:
    reader = reader_of(path)
    if reader is None:
        raise ValueError("no reader knows it")
    frozen, observed = ([reader(content) for content in side] for side in contents)
    stated = has_bound(tolerance)
    if not steady and not _agree(frozen, tolerance):
        hint = "wider than the stated tolerance" if stated else "state a tolerance, or do not judge it"
        origin = "the tolerance stated when it was frozen" if stated else "every value must be equal"
        detail = f"{_DIFFER}: {hint}"
        return Decision(verdict=Verdict.INCONCLUSIVE, detail=detail, catches="nothing", origin=origin)
    found = [compare_contents(frozen[-1], values, tolerance) for values in observed]
    worst = max(found, key=lambda one: (one.outside, one.differing))
    catches = f"{show_tolerance(tolerance)} in a {worst.unit.rstrip('s')}" if stated else "any change"
    origin = "the tolerance stated when it was frozen" if stated else "every value must be equal"
    if worst.differing == 0:
        detail = "the bytes differ, every value is the same"
        return Decision(verdict=Verdict.EQUIVALENT, detail=detail, catches=catches, origin=origin)
    verdict = Verdict.DIFFERENT if worst.outside else Verdict.EQUIVALENT
    return Decision(verdict=verdict, detail=_describe(worst), catches=catches, origin=origin)


def _agree(frozen: list[Values], tolerance: Tolerance | None) -> bool:
    """Tell whether the frozen runs that were kept are the same to the value, or within the tolerance."""
    return len(frozen) > 1 and all(compare_contents(frozen[-1], one, tolerance).outside == 0 for one in frozen[:-1])


def _with_samples(decision: Decision, contents: Contents, tolerance: Tolerance | None, *, runs: int) -> Decision:
    """Add to what was found what it means for the predictions, and how far they agree."""
    try:
        tables = [read_samples(content, tolerance) for content in (contents.frozen[-1], contents.observed[0])]
        drift = compare_samples(*tables, shift=0.0).drift
        found = compare_samples(*tables, shift=drift)
        again = [read_samples(content, tolerance) for content in contents.observed]
        agreed = [compare_samples(tables[0], table, shift=0.0).agreement for table in again]
    except ValueError:
        return decision
    # These frozen runs are equal to the byte.
    measured = Measured(
        frozen=[1.0] * runs, observed=[*agreed], low=1.0, high=1.0, statistic="McNemar", p_value=found.p_value
    )
    told = f"{decision.detail}; {describe_samples(found, shift=drift)}"
    return replace(decision, detail=told, measured=measured)


def _describe(found: Differences) -> str:
    largest = f", by at most {found.largest:.3g}" if found.largest else ""
    norm = f" ({found.norm:.3g} of the largest)" if found.norm and found.largest else ""
    steps = f" and {found.ulp:,} ulp" if found.ulp else ""
    return f"{found.differing:,} of {found.count:,} {found.unit} differ{largest}{norm}{steps}; first {found.first}"


def _digests(artifacts: list[Artifact]) -> list[Metric]:
    return [item.sha256 for item in artifacts]


def _show(artifact: Artifact | None) -> str:
    return "missing" if artifact is None else f"{artifact.sha256[:12]}… {artifact.size:,} bytes"
