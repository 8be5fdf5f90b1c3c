"""What speaks for which suspect, and how much: the points are in docs/verdict.md. Pure."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from envcap.compare.hints import Hint, HintKind
from envcap.compare.influence import rate
from envcap.compare.numerics import are_of_gpu, kinds_of, suspects_of_gpu
from envcap.compare.symptoms import Symptom, SymptomKind
from envcap.model.difference import Difference
from envcap.model.gap import Gap
from envcap.model.lock import Derivation
from envcap.model.numerics import Numerics
from envcap.model.verdict import Finding


class Clue(NamedTuple):
    """One piece of evidence; negative points speak against a suspect, and then the text is not told."""

    suspect: str
    points: int
    text: str


_BY_AREA: Mapping[tuple[str, str], tuple[str, int]] = {
    ("python", "implementation"): ("interpreter", 130),
    ("python", "version"): ("interpreter", 120),
    ("python", "abi"): ("interpreter", 30),
    ("python", "build"): ("interpreter", 4),
    ("system", "architecture"): ("processor", 100),
    ("system", "libc"): ("libraries", 20),
    ("system", "release"): ("libraries", 12),
    ("system", "locale"): ("locale", 20),
    ("system", "encoding"): ("locale", 25),
    ("system", "timezone"): ("timezone", 20),
    ("hardware", "processor"): ("simd", 8),
    ("hardware", "instruction sets"): ("simd", 20),
    ("hardware", "cores"): ("threads", 20),
    ("hardware", "gpus"): ("gpu", 60),
    ("hardware", "compute capability"): ("gpu", 10),
    ("hardware", "driver"): ("gpu", 15),
}
_PACKAGE_POINTS = {"high": 90, "medium": 82, "low": 70}
_BY_VARIABLE = (
    (re.compile(r"OPENBLAS_CORETYPE|MKL_CBWR|.*_VERBOSE"), "blas"),
    (re.compile(r"NPY_.*|ATEN_CPU_CAPABILITY|ONEDNN_.*|DNNL_.*|GLIBC_TUNABLES"), "simd"),
    (re.compile(r".*_NUM_THREADS|LOKY_MAX_CPU_COUNT|(OMP|KMP|GOMP)_.*"), "threads"),
    (re.compile(r".*TF32.*"), "tf32"),
    (re.compile(r"PYTHONHASHSEED"), "hash seed"),
    (re.compile(r"PYTHONUTF8|PYTHONIOENCODING|LANG|LC_.*"), "locale"),
    (re.compile(r"TZ"), "timezone"),
    (re.compile(r"(CUDA|CUBLAS|CUDNN|NCCL).*"), "gpu"),
)
_BY_SYMPTOM: Mapping[SymptomKind, Mapping[str, int]] = {
    "order": {"hash seed": 30, "listing": 22},
    "hours": {"timezone": 35, "clock": 15},
    "times": {"clock": 35, "timezone": 10},
    "decimal mark": {"locale": 50},
    "letters": {"locale": 40},
    "unsteady": {"randomness": 45, "hash seed": 10},
}
# What a symptom adds where something else speaks for a suspect already: by itself it names none.
_SUPPORT: Mapping[SymptomKind, Mapping[str, int]] = {
    "digits": {
        **dict.fromkeys(("blas", "simd", "threads", "gpu", "libraries", "processor"), 15),
        **dict.fromkeys(("data", "variable", "timezone", "locale", "clock", "listing"), -15),
    },
    "order": {**dict.fromkeys(("blas", "simd", "gpu", "timezone"), -15), "threads": 5, "locale": 12},
    "hours": {**dict.fromkeys(("blas", "simd", "threads", "gpu"), -15)},
    "times": {**dict.fromkeys(("blas", "simd", "threads", "gpu"), -15)},
    "decimal mark": {**dict.fromkeys(("blas", "simd", "threads", "gpu"), -15)},
    "numbers": {
        **dict.fromkeys(("code", "data", "variable", "randomness", "tf32"), 10),
        **dict.fromkeys(("libraries", "locale"), -6),
    },
    "labels": {"locale": 6, "timezone": 6},
}
_BY_HINT: Mapping[HintKind, tuple[str, int]] = {
    "randomness": ("randomness", 35),
    "hash order": ("hash seed", 25),
    "listing": ("listing", 20),
    "locale": ("locale", 20),
    "encoding": ("locale", 6),
    "timezone": ("timezone", 15),
    "clock": ("clock", 14),
    "cores": ("threads", 20),
    "input": ("data", 30),
}
_EQUAL = {"timezone": (-25, {"timezone"}), "locale": (-20, {"locale", "encoding"}), "threads": (-12, {"cores"})}
_BY_GAP = {"data": ("data", 40), "evaluation.network": ("data", 25), "system.environment": ("variable", 40)}
_MOST_LISTED = 4


def clues_of_differences(differences: list[Difference]) -> Iterator[Clue]:
    """Read the environment inside against the frozen one. What is equal on both sides speaks against its suspect."""
    subjects = {one.subject for one in differences}
    for suspect, (points, needed) in _EQUAL.items():
        if not subjects & needed:
            yield Clue(suspect, points, "equal on both sides")
    for one in differences:
        shown = f"{one.area} `{one.subject}`: frozen {one.first}, inside {one.second}"
        if one.area == "settings":
            suspect = next((name for pattern, name in _BY_VARIABLE if pattern.fullmatch(one.subject)), "variable")
            yield Clue(suspect, 45, f"variable {shown.partition(' ')[2]}")
        elif (one.area, one.subject) in _BY_AREA:
            suspect, points = _BY_AREA[one.area, one.subject]
            yield Clue(suspect, points, f"{shown} ({one.why})")


def clues_of_findings(findings: list[Finding]) -> Iterator[Clue]:
    """Read packages that are not the locked ones, system libraries that the run loaded, and the OS packages."""
    rated = [
        (*rate(one.where, one.subject, one.frozen, one.observed), one)
        for one in findings
        if one.where in {"packages", "conda"}
    ]
    rated.sort(key=lambda item: -_PACKAGE_POINTS[item[0]])
    for number, (influence, why, one) in enumerate(rated):
        # Many packages are not many times as likely as one.
        points = 1 if number else _PACKAGE_POINTS[influence]
        yield Clue("packages", points, f"`{one.subject}`: locked {one.frozen}, inside {one.observed} ({why})")
    for where, points, most in (("libraries", 10, 3), ("os-packages", 15, 2)):
        these = [one for one in findings if one.where == where]
        for one in these[:most]:
            yield Clue("libraries", points, f"`{one.subject}`: frozen {one.frozen}, inside {one.observed}")


def clues_of_numerics(frozen: Numerics, observed: Numerics, *, changed: list[str]) -> Iterator[Clue]:
    """Read the fingerprint: which operations changed, and how the libraries describe themselves."""
    if not frozen.operations or not observed.operations:
        return
    if changed:
        yield from _clues_of_operations(changed, known=frozen.operations.keys() & observed.operations.keys())
    else:
        text = "the fingerprint of small operations is unchanged"
        yield from (Clue(suspect, -18, text) for suspect in ("blas", "simd", "processor", "libraries", "gpu"))
    before, after = ({one.name.partition("-")[0]: one for one in side.libraries} for side in (frozen, observed))
    for name in before.keys() & after.keys():
        for field, suspect, points in (("version", "blas", 30), ("kernel", "blas", 25), ("threads", "threads", 30)):
            one, other = getattr(before[name], field), getattr(after[name], field)
            if one != other:
                yield Clue(suspect, points, f"`{name}` {field}: frozen {one or 'unknown'}, inside {other or 'unknown'}")
    if frozen.features != observed.features:
        lost, new = set(frozen.features) - set(observed.features), set(observed.features) - set(frozen.features)
        parts = [f"{word} {' '.join(sorted(names))}" for word, names in (("without", lost), ("also", new)) if names]
        yield Clue("simd", 22, f"numpy chooses kernels {', '.join(parts)}")
    for name, suspect in (
        ("torch threads", "threads"),
        ("torch cpu capability", "simd"),
        ("torch matmul precision", "tf32"),
        ("cudnn", "gpu"),
    ):
        one, other = frozen.settings.get(name), observed.settings.get(name)
        if one != other and one is not None and other is not None:
            yield Clue(suspect, 30, f"{name}: frozen {one}, inside {other}")


def _clues_of_operations(changed: list[str], *, known: Collection[str]) -> Iterator[Clue]:
    kinds = kinds_of(changed)
    shown = ", ".join(changed[:_MOST_LISTED]) + (" and more" if changed[_MOST_LISTED:] else "")
    text = f"{len(changed)} operations of the fingerprint compute otherwise: {shown}"
    if are_of_gpu(changed):
        suspects = suspects_of_gpu(changed, known=known)
        points = (55,) if len(suspects) == 1 else (40, 25)
        yield from (Clue(suspect, worth, text) for suspect, worth in zip(suspects, points, strict=True))
        return
    if "random" in kinds:
        yield Clue("packages", 30, text)
    if "product" in kinds:
        only = "; only products changed, as another kernel does" if kinds == {"product"} else ""
        yield Clue("blas", 50 if only else 30, text + only)
    if "function" in kinds:
        only = "; no product changed, as other instruction sets do" if "product" not in kinds else ""
        yield Clue("simd", 50 if only else 35, text + only)
    if kinds == {"other"}:
        yield Clue("simd", 20, text)


def clues_of_symptoms(symptoms: Iterable[Symptom]) -> Iterator[Clue]:
    """Read the way in which the outputs differ, where that names a suspect by itself."""
    for symptom in symptoms:
        for suspect, points in _BY_SYMPTOM.get(symptom.kind, {}).items():
            yield Clue(suspect, points, symptom.evidence)


def support_of_symptoms(symptoms: Iterable[Symptom]) -> Iterator[Clue]:
    """Give what the symptoms add to, or take from, suspects that something else speaks for."""
    for symptom in symptoms:
        for suspect, points in _SUPPORT.get(symptom.kind, {}).items():
            yield Clue(suspect, points, symptom.evidence)


def clues_of_hints(hints: Iterable[Hint], *, recorded: set[str], admitted: Collection[str] = ()) -> Iterator[Clue]:
    """Read what the code depends on; variables that the lock records came back and are no clue.

    `admitted` are the inputs that the lock itself tells as undeclared: that the code names them is no second clue.
    """
    seen: set[str] = set()
    for hint in hints:
        if hint.kind == "variable":
            if hint.subject not in recorded:
                yield Clue("variable", 30, f"`{hint.place}` reads the variable {hint.subject}, which was not recorded")
            continue
        if hint.kind == "hash order" and "PYTHONHASHSEED" in recorded:
            continue
        suspect, points = _BY_HINT[hint.kind]
        told = hint.kind == "input" and any(f"`{path}`" in hint.subject for path in admitted)
        first = hint.kind not in seen and not told
        seen.add(hint.kind)
        yield Clue(suspect, points if first else 0, f"`{hint.place}` uses {hint.subject}")


def clues_of_lock(gaps: Iterable[Gap], derivation: Derivation | None, *, code_changes: list[str]) -> Iterator[Clue]:
    """Read what the lock itself admits, and files of the code that are not the frozen ones."""
    for gap in gaps:
        if gap.where in _BY_GAP:
            suspect, points = _BY_GAP[gap.where]
            yield Clue(suspect, points, f"`{gap.subject}`: {gap.reason}")
    for number, move in enumerate(derivation.moved if derivation is not None else []):
        shown = f"`{move.package}`: {move.before or 'missing'} when the runs were made, {move.after or 'missing'} now"
        yield Clue("packages", 1 if number else 75, shown)
    if code_changes:
        yield Clue("code", 140, f"inside: {'; '.join(code_changes[:_MOST_LISTED])}")
