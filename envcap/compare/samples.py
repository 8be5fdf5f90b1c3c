"""Predictions sample by sample: agreement, flips weighed by the recorded margin, McNemar. Pure: bytes in, data out.

Two runs with the same accuracy may answer differently on a third of the samples, which only this sees. A flip is
explained by the arithmetic when the recorded margin, between the best and the second-best score, is at most twice what
scores may shift: one went down by it and the other went up.
"""

import csv
import io
from collections.abc import Mapping
from typing import Literal, NamedTuple

from envcap.compare.agreement import agreements, decide_by_agreement
from envcap.compare.cells import number_or_text
from envcap.compare.decision import Decision, Setting
from envcap.compare.distributions import binomial_two_sided
from envcap.compare.values import is_number
from envcap.model.evaluation import Metric, Tolerance
from envcap.model.verdict import Measured, Verdict

Role = Literal["id", "prediction", "label", "margin"]
_NAMES: Mapping[Role, tuple[str, ...]] = {
    "id": ("id", "sample", "sample_id", "index", "idx"),
    "prediction": ("prediction", "predicted", "pred", "y_pred"),
    "label": ("label", "target", "truth", "expected", "actual", "y_true"),
    "margin": ("margin",),
}


class Sample(NamedTuple):
    """One row of a table of predictions."""

    prediction: Metric
    label: Metric | None
    margin: float | None


class SampleDifferences(NamedTuple):
    """How two tables of predictions differ."""

    samples: int
    flips: int
    explained: int  # flips whose recorded margin is small enough
    worst: str  # the sample that flipped with the largest margin
    drift: float  # the largest change of the margin among samples that did not flip
    only_before: int  # labelled samples that only the frozen run got right
    only_after: int
    p_value: float | None  # McNemar's exact test, where there are labels

    @property
    def agreement(self) -> float:
        """The share of samples with the same prediction."""
        return 1 - self.flips / self.samples


def find_columns(header: list[str], stated: Mapping[Role, str]) -> dict[str, str]:
    """Give which column holds what: as stated, else by its usual name. Raises ValueError where a stated one is not."""
    columns: dict[str, str] = {}
    for role, usual in _NAMES.items():
        if role in stated and stated[role] not in header:
            raise ValueError(f"it has no column {stated[role]!r}")
        found = next((name for name in header if name.lower() in usual), None)
        if role in stated or found is not None:
            columns[role] = stated.get(role) or str(found)
    return columns


def read_samples(content: bytes, tolerance: Tolerance | None) -> dict[str, Sample]:
    """Give the rows of a table of predictions by their id, or by their number where it has none.

    Raises ValueError for what is no such table, or names a sample twice.
    """
    dialect = "excel-tab" if b"\t" in content.split(b"\n", 1)[0] else "excel"
    try:
        rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), dialect=dialect))
    except csv.Error as error:
        raise ValueError(str(error)) from error
    columns = find_columns(list(rows[0]) if rows else [], tolerance.columns if tolerance is not None else {})
    if "prediction" not in columns:
        raise ValueError("no column of it holds predictions")
    samples: dict[str, Sample] = {}
    for number, row in enumerate(rows, 1):
        name = row[columns["id"]] if "id" in columns else f"row {number}"
        prediction, label = row[columns["prediction"]], row[columns["label"]] if "label" in columns else None
        margin = number_or_text(row[columns["margin"]] or "") if "margin" in columns else None
        if name is None or name in samples or prediction is None:
            raise ValueError(f"sample {name!r} is there twice, or cut off")
        samples[name] = Sample(
            prediction=number_or_text(prediction),
            label=None if label is None else number_or_text(label),
            margin=abs(float(margin)) if margin is not None and is_number(margin) else None,
        )
    return samples


def is_table_of_samples(content: bytes) -> bool:
    """Tell whether the header of a table names both samples and predictions in the usual way."""
    try:
        header = content.split(b"\n", 1)[0].decode("utf-8-sig").strip("\r").replace("\t", ",").split(",")
    except ValueError:
        return False
    return {"id", "prediction"} <= set(find_columns([name.strip('"') for name in header], {}))


def compare_samples(frozen: Mapping[str, Sample], observed: Mapping[str, Sample], *, shift: float) -> SampleDifferences:
    """Compare two tables in any order; `shift` is how far a score may move.

    Raises ValueError, saying which, where samples or labels are not the same, or there are none.
    """
    if not frozen or set(frozen) != set(observed):
        odd = sorted(set(frozen) ^ set(observed))
        raise ValueError(f"{len(odd)} samples are on one side only, first {odd[0]!r}" if odd else "it has no samples")
    pairs = {name: (before, observed[name]) for name, before in frozen.items()}
    for name, (before, after) in pairs.items():
        if before.label != after.label:
            raise ValueError(f"the label of sample {name!r} is another one")
    flipped = {name: before for name, (before, after) in pairs.items() if before.prediction != after.prediction}
    explained = sum(one.margin is not None and one.margin <= 2 * shift for one in flipped.values())
    worst = max(flipped, key=lambda name: flipped[name].margin or 0.0, default="")
    kept = [pair for name, pair in pairs.items() if name not in flipped]
    drift = max(
        (abs(a.margin - b.margin) for a, b in kept if a.margin is not None and b.margin is not None), default=0.0
    )
    right = [(a.prediction == a.label, b.prediction == b.label) for a, b in pairs.values() if a.label is not None]
    only_before = sum(before and not after for before, after in right)
    only_after = sum(after and not before for before, after in right)
    return SampleDifferences(
        samples=len(pairs),
        flips=len(flipped),
        explained=explained,
        worst=worst,
        drift=drift,
        only_before=only_before,
        only_after=only_after,
        p_value=binomial_two_sided(only_before, only_before + only_after) if right else None,
    )


def judge_samples(
    frozen: list[bytes], observed: list[bytes], tolerance: Tolerance | None, setting: Setting
) -> Decision:
    """Judge predictions: all equal but for explained flips, or the stated agreement, or as the frozen runs agree.

    Only samples, labels, predictions and margins are judged here. Raises ValueError for what is no table of samples.
    """
    stated = tolerance or Tolerance()
    before = [read_samples(content, tolerance) for content in frozen]
    after = [read_samples(content, tolerance) for content in observed]
    shift = stated.absolute or 0.0
    try:
        found = [compare_samples(before[0], table, shift=shift) for table in after]
        inner, outer = agreements(before, after, lambda one, other: compare_samples(one, other, shift=0.0).agreement)
    except ValueError as error:  # samples that came, went or have another label are a difference, not a bad file
        return Decision(
            verdict=Verdict.DIFFERENT,
            detail=str(error),
            catches="any change",
            mode="samples",
            origin="samples and labels must be the frozen ones",
        )
    worst = min(found, key=lambda one: one.agreement)
    detail = describe_samples(worst, shift=shift)
    if stated.agreement is None and any(value < 1 for value in inner):
        decision = decide_by_agreement(inner, outer, setting, step=1 / worst.samples, mode="samples")
        return decision.saying(f"{decision.detail}; {detail}")
    least = 1.0 if stated.agreement is None else stated.agreement
    is_explained = all(one.explained == one.flips and one.drift <= 2 * shift for one in found)
    passes = min(outer) >= least if stated.agreement is not None else is_explained
    # Where flips are weighed, agreement alone does not decide.
    low = None if stated.agreement is None and shift else least
    measured = Measured(
        frozen=[*inner] or [1.0],
        observed=[*outer],
        low=low,
        high=None if low is None else 1.0,
        statistic="McNemar",
        p_value=worst.p_value,
    )
    return Decision(
        verdict=Verdict.EQUIVALENT if passes else Verdict.DIFFERENT,
        detail=detail,
        catches="any other flip" if stated.agreement is None else f"agreement below {least:.6g}",
        mode="samples",
        origin=f"flips explained by a stated shift of ±{shift:g}" if stated.agreement is None else "stated agreement",
        measured=measured,
    )


def describe_samples(found: SampleDifferences, *, shift: float) -> str:
    """Give agreement, flips and McNemar's test in words."""
    words = f"{100 * found.agreement:.6g}% of {found.samples:,} predictions agree"
    if found.flips:
        words += f", {found.flips:,} flipped, {found.explained:,} of them explained by a shift of ±{shift:g}"
        words += f", worst {found.worst!r}"
    if found.drift:
        words += f", margins moved by up to {found.drift:.3g}"
    if found.p_value is not None:
        words += f"; right before only {found.only_before:,}, now only {found.only_after:,}"
        words += f" (McNemar p = {found.p_value:.3g})"
    return words
