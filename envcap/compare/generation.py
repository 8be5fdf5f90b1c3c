"""Generated texts: how many are exactly equal, where the first one parts, and how their length moved. Pure.

A text is a line of a text file, or one string of a JSON file. The rule for lengths is MLPerf Inference's, which lets
tokens per sample be within 10 % of the reference; words stand for tokens here, since no tokenizer is at hand.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from envcap.compare.agreement import agreements, decide_by_agreement
from envcap.compare.content import Values, compare_contents, reader_of
from envcap.compare.decision import Decision, Setting
from envcap.compare.spread import measure
from envcap.model.evaluation import Tolerance
from envcap.model.verdict import Measured, Verdict

LENGTH = 0.1  # by default the mean length may be off by that share
_WORD = re.compile(r"\S+")


class TextDifferences(NamedTuple):
    """How two sets of texts differ."""

    texts: int
    equal: int
    parted: str  # the text that parts earliest
    word: int  # the number of its first word that differs, from 1
    length: float  # the mean number of words of the new texts, as a share of the frozen

    @property
    def agreement(self) -> float:
        """The share of texts that are exactly equal."""
        return self.equal / self.texts


def read_texts(path: str, content: bytes) -> dict[str, str]:
    """Give the texts of a file by name. Raises ValueError for a file of a kind that has none, or has none in it."""
    reader = reader_of(path)
    if reader is None:
        raise ValueError("no reader knows texts in such a file")
    texts = {name: value for name, value in reader(content).items() if isinstance(value, str)}
    if not texts:
        raise ValueError("it holds no text")
    return texts


def _first_other_difference(path: str, frozen: list[bytes], observed: list[bytes], tolerance: Tolerance | None) -> str:
    """Tell of the first value that is no text and changed, though all frozen runs agree on it; empty where none is."""
    before, after = ([_others(path, content) for content in side] for side in (frozen, observed))
    steady = {name: value for name, value in before[0].items() if all(one.get(name) == value for one in before)}
    for values in after:
        kept = {name: value for name, value in values.items() if name in steady or name not in before[0]}
        found = compare_contents(steady, kept, tolerance)
        if found.outside:
            return found.first
    return ""


def _others(path: str, content: bytes) -> Values:
    reader = reader_of(path)
    return {} if reader is None else {n: value for n, value in reader(content).items() if not isinstance(value, str)}


def compare_texts(frozen: Mapping[str, str], observed: Mapping[str, str]) -> TextDifferences:
    """Compare texts by name. Raises ValueError where one is on one side only."""
    odd = sorted(set(frozen) ^ set(observed))
    if odd:
        raise ValueError(f"{len(odd)} texts are on one side only, first {odd[0]}")
    parted = {name: _first_difference(text, observed[name]) for name, text in frozen.items() if text != observed[name]}
    earliest = min(parted, key=lambda name: parted[name], default="")
    before, after = _words(frozen), _words(observed)
    return TextDifferences(
        texts=len(frozen),
        equal=len(frozen) - len(parted),
        parted=earliest,
        word=parted.get(earliest, 0),
        length=after / before if before else 1.0 if after == before else float("inf"),
    )


def _first_difference(first: str, second: str) -> int:
    """Give the number of the first word that differs; one past the end where only white space does."""
    one, other = _WORD.findall(first), _WORD.findall(second)
    for number, (before, after) in enumerate(zip(one, other, strict=False), 1):
        if before != after:
            return number
    return min(len(one), len(other)) + 1


def judge_generation(
    path: str, frozen: list[bytes], observed: list[bytes], tolerance: Tolerance | None, setting: Setting
) -> Decision:
    """Judge texts: all equal, or the stated share of them, or as the frozen runs agree; and the length in its bounds.

    Raises ValueError for a file without texts.
    """
    stated = tolerance or Tolerance()
    before, after = ([read_texts(path, content) for content in side] for side in (frozen, observed))
    try:
        nearest = [max((compare_texts(one, new) for one in before), key=lambda found: found.agreement) for new in after]
        inner, outer = agreements(before, after, lambda one, other: compare_texts(one, other).agreement)
    except ValueError as error:
        return Decision(
            verdict=Verdict.DIFFERENT,
            detail=str(error),
            catches="any change",
            mode="generation",
            origin="the texts must be those of the same names",
        )
    noisy = any(value < 1 for value in inner)
    worst = min(nearest, key=lambda one: one.agreement)
    detail = describe_texts(worst) + (", compared with the nearest frozen run" if noisy else "")
    other = _first_other_difference(path, frozen, observed, tolerance)
    if other:
        return _by_agreement(inner, outer, stated).but(Verdict.DIFFERENT, f"{detail}; beside the texts, {other}")
    if noisy:  # two questions are asked about one output
        setting = replace(setting, alpha=setting.alpha / 2)
    if stated.agreement is None and noisy:
        decision = decide_by_agreement(inner, outer, setting, step=1 / worst.texts, mode="generation")
        decision = decision.saying(f"{decision.detail}; {detail}")
    else:
        decision = _by_agreement(inner, outer, stated).saying(detail)
    allowed = LENGTH if stated.length is None else stated.length
    decision = replace(decision, origin=f"{decision.origin}; lengths may be off by {100 * allowed:g}%")
    verdict, reason = _judge_length(before, after, allowed, setting)
    if reason and decision.verdict is not Verdict.DIFFERENT:
        return decision.but(verdict, f"{decision.detail}; {reason}")
    return decision


def _by_agreement(inner: list[float], outer: list[float], stated: Tolerance) -> Decision:
    """Judge by the stated share of equal texts, or all of them."""
    least = 1.0 if stated.agreement is None else stated.agreement
    return Decision(
        verdict=Verdict.EQUIVALENT if min(outer) >= least else Verdict.DIFFERENT,
        catches="any change of a text" if least == 1 else f"agreement below {least:.6g}",
        mode="generation",
        origin="texts must be equal" if stated.agreement is None else "stated agreement",
        measured=Measured(frozen=[*inner] or [1.0], observed=[*outer], low=least, high=1.0),
    )


def _judge_length(
    before: Sequence[Mapping[str, str]], after: Sequence[Mapping[str, str]], allowed: float, setting: Setting
) -> tuple[Verdict, str]:
    """Say what speaks against the length of the new texts; an empty reason where nothing does.

    The bound is around the mean of the frozen runs. Beyond it is DIFFERENT, unless the frozen runs vary so much that
    one of theirs could be there too: then nothing can be told by it.
    """
    lengths, new = [_words(texts) for texts in before], [_words(texts) for texts in after]
    reference = sum(lengths) / len(lengths)
    bound = f"lengths may be off by {100 * allowed:g}%"
    if len(set(lengths)) == 1:
        worst = max(new, key=lambda length: abs(length - reference))
        is_off = abs(worst - reference) > allowed * reference
        return Verdict.DIFFERENT, f"{_share(worst, reference)}, and {bound}" if is_off else ""
    band = measure([*lengths], [*new], alpha=setting.alpha, quantum=1.0)
    told = f"{_share(sum(new) / len(new), reference)} of the frozen runs' mean, and {bound}"
    if abs(band.shift) > max(allowed * reference, band.half):
        return Verdict.DIFFERENT, f"{told}; such runs stay within ±{100 * band.half / reference:.3g}%"
    if max(abs(band.shift), (max(lengths) - min(lengths)) / 2) > allowed * reference:
        low, high = min(lengths), max(lengths)
        return Verdict.INCONCLUSIVE, f"{told}, but the frozen runs have {low:,} to {high:,} words: state `length`"
    return Verdict.EQUIVALENT, ""


def _words(texts: Mapping[str, str]) -> int:
    return sum(len(_WORD.findall(text)) for text in texts.values())


def _share(length: float, reference: float) -> str:
    return f"{100 * length / reference:.4g}% of the words" if reference else f"{length:g} words instead of none"


def describe_texts(found: TextDifferences) -> str:
    """Give exact matches, the first divergence and the length in words."""
    words = f"{found.equal:,} of {found.texts:,} texts are equal"
    if found.parted:
        words += f", first parting at word {found.word} of {found.parted}"
    return f"{words}, {100 * found.length:.4g}% of the words"
