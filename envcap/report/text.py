"""Results as text for people. Model in, strings out: nothing here prints."""

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from envcap.model.gap import Gap
from envcap.model.image import Context, Image, Layer
from envcap.model.layout import CODE_ARCHIVE
from envcap.model.lock import Base, Lock
from envcap.model.numerics import Numerics
from envcap.model.verdict import Check, Judgement
from envcap.report.code import code_lines, data_line, submodule_table
from envcap.report.derivation import derivation_lines
from envcap.report.layers import layer_lines
from envcap.report.machine import around_lines, around_tables
from envcap.report.stress import stress_lines
from envcap.report.table import plain, table_lines
from envcap.report.tree import edited_lines, package_rows, tree_lines, unresolved
from envcap.report.why import why_lines

_CHECK_HEADINGS = ("output", "frozen", "came back", "tolerance", "judgement")
_SLOW, _MOST_SLOW, _STEP_WIDTH = 1.0, 3, 60  # seconds of a step worth telling, how many, characters of each
_MOST_METRICS = 6
_MOST_GAPS = 12
_LINES = dict[str, str]


def describe_freeze(lock: Lock, path: Path, sha256: str) -> str:
    """Summarise a new lock: what was learned, what the runs gave, what is missing."""
    return _text([*_summary(lock, path, sha256), "Next: envcap build"])


def describe_show(lock: Lock, path: Path, sha256: str, *, as_tree: bool) -> str:
    """Give the summary of a lock and its packages: as a table, or as a tree of which requires which."""
    packages = (
        tree_lines(lock)
        if as_tree
        else table_lines(("package", "version", "certainty", "origin", "why it is there"), package_rows(lock))
    )
    return _text([*_summary(lock, path, sha256), "", *packages, *submodule_table(lock.code), *around_tables(lock)])


def _summary(lock: Lock, path: Path, sha256: str) -> list[str]:
    system, python, hardware = lock.system, lock.python, lock.hardware
    lines = {
        "python": f"{python.implementation} {python.version} ({python.kind})",
        **_conda(lock),
        "packages": _packages(lock),
        "system": f"{system.distribution} {system.version}, {system.libc} {system.libc_version}, {system.architecture}",
        "hardware": ", ".join([hardware.cpu or "unknown processor", *(gpu.name for gpu in hardware.gpus)]),
        "numerics": _numerics(lock.numerics),
        "base": _base(lock.base),
        **code_lines(lock.code),
        **around_lines(lock),
        "data": data_line(lock.data),
        "runs": _runs(lock),
    }
    return [
        f"Frozen: {path.name} (sha256 {sha256[:12]}…)",
        *_aligned(lines),
        *derivation_lines(lock.derivation),
        *edited_lines(lock),
        *_conflicts(lock),
        *_gaps(lock.gaps),
    ]


def describe_build(
    lock: Lock,
    context: Context,
    image: Image | None,
    output: Path | None,
    *,
    layers: Sequence[Layer] = (),
    copies: Sequence[str] = (),
    portable: bool = False,
    unpacked: Path | None = None,
) -> str:
    """Summarise what was built, with the size of each layer, or the folder that was written.

    `unpacked` is where a capsule went.
    """
    if image is None:
        command = "docker buildx build" if portable else "docker build --network none"
        lines = [
            f"Written: {output} ({len(context.files)} files; nothing was built)",
            f"  build it   {command} --tag {context.tag} {output}",
        ]
        return _text([*lines, *_gaps(lock.gaps)])
    size = f", {image.size / 1e6:,.0f} MB" if image.size else ""
    lines = [f"Built: {image.reference} ({image.engine}{size})", *_how_built(image)]
    lines += [*layer_lines(layers, copies), *edited_lines(lock), *_gaps(lock.gaps)]
    elsewhere = "" if unpacked is None else f" --project {shlex.quote(str(unpacked))} --name {lock.name}"
    return _text([*lines, _next_after_build(context, image, portable=portable) + elsewhere])


def _how_built(image: Image) -> list[str]:
    """Tell who built it, what another build of the lock will give, and which steps took long."""
    lines = []
    if image.promise == "bit for bit":
        lines.append(f"  the same again  bit for bit: {image.identity} ({image.digest_of}) from {image.builder}")
    elif image.promise == "same content":
        lines.append(f"  the same again  in content: its layers, but not its date; built by {image.builder}")
    elif image.unproven:
        lines.append(f"  the same again  not promised: {', '.join(image.unproven)} ran; built by {image.builder}")
    if image.note is not None:
        lines.append(f"  note            {image.note}")
    slow = sorted((step for step in image.steps if step.seconds >= _SLOW), key=lambda step: -step.seconds)[:_MOST_SLOW]
    if slow:
        words = [f"{step.seconds:.1f} s {step.step[:_STEP_WIDTH]}" for step in slow]
        lines.append(f"  longest steps   {'; '.join(words)}")
    if image.pushed is not None:
        lines.append(f"  pushed          {image.pushed}")
    return lines


def _next_after_build(context: Context, image: Image, *, portable: bool) -> str:
    if not any(file.path == CODE_ARCHIVE for file in context.files):
        return f"Next: docker run --rm -it {image.reference}"
    return f"Next: envcap verify --image {image.reference}" if portable else "Next: envcap verify"


def describe_judgement(judgement: Judgement, lock: Lock) -> str:
    """Give the verdict, the table of outputs, what is inside, and what the verdict does not cover."""
    first, *more = judgement.reasons
    lines = [f"{judgement.verdict.value}: {first}", *(f"  {reason}" for reason in more)]
    lines += [*([f"That is: {judgement.claim}."] if judgement.claim else []), ""]
    if judgement.checks:
        lines += [*table_lines(_CHECK_HEADINGS, map(_check_row, judgement.checks)), ""]
    lines += _how_judged(judgement)
    lines += why_lines(judgement)
    lines += stress_lines(judgement)
    lines += [_inside(judgement, lock), *_findings(judgement)]
    lines += [f"Compared: {what}" for what in judgement.compared]
    lines += [f"Not covered: {note}" for note in judgement.notes]
    lines += _gaps(judgement.gaps)
    return _text(lines)


def _check_row(check: Check) -> tuple[str, ...]:
    judged = check.verdict.value if check.judged else "not judged"
    detail = f"{judged}: {check.detail}" if check.detail else judged
    return check.name, check.frozen, check.observed, check.tolerance, detail


def _text(lines: list[str]) -> str:
    return "\n".join(plain(line) for line in lines)


def _inside(judgement: Judgement, lock: Lock) -> str:
    fatal = any(finding.fatal for finding in judgement.findings)
    count = f"{len(lock.conda)} conda and {len(lock.packages)}" if lock.conda_prefix else str(len(lock.packages))
    claim = "not what the lock says" if fatal else "as locked"
    return (
        f"Inside ({judgement.engine} {judgement.image}): {count} packages, "
        f"{lock.python.implementation} {lock.python.version}: {claim}"
    )


def _findings(judgement: Judgement) -> list[str]:
    return [
        f"  {item.where} `{item.subject}`: frozen {item.frozen}, inside {item.observed}" for item in judgement.findings
    ]


def _how_judged(judgement: Judgement) -> list[str]:
    """Tell where each tolerance came from and the smallest shift that would have been caught; like ones together."""
    groups: dict[tuple[str, str], list[str]] = {}
    for check in judgement.checks:
        if check.judged and check.origin:
            groups.setdefault((check.origin, check.catches), []).append(check.name)
    if not groups:
        return []
    lines = ["How it was judged, and the smallest shift that would have been caught:"]
    for (origin, catches), names in groups.items():
        shown = ", ".join(names[:_MOST_METRICS]) + (
            f" and {len(names) - _MOST_METRICS} more" if names[_MOST_METRICS:] else ""
        )
        lines += [f"  {shown}: {catches or 'unknown'}", *([f"    {origin}"] if origin else [])]
    return [*lines, ""]


def _packages(lock: Lock) -> str:
    packages, lost = lock.packages, len(unresolved(lock))
    words = {"proven": "proven by RECORD", "tags": "told by name and tags only", "carried": "carried"}
    counts = {word: sum(one.confidence == confidence for one in packages) for confidence, word in words.items()}
    beside = sum(one.wheel.path is not None for one in packages)
    parts = [f"{count} {word}" for word, count in counts.items() if count]
    parts += [f"{beside} in .envcap/store"] if beside else []
    return ", ".join([f"{len(packages)} pinned by sha256", *parts, *([f"{lost} unresolved"] if lost else [])])


def _conda(lock: Lock) -> _LINES:
    """Give the line of a conda environment, none of another."""
    if lock.conda_prefix is None:
        return {}
    edited = ", with edited files" if lock.conda_prefix.edits else ""
    return {"conda": f"{len(lock.conda)} archives pinned by sha256, for {lock.conda_prefix.path}{edited}"}


def _base(base: Base) -> str:
    return f"{base.reference}@{base.digest[:19]}…" if base.digest else f"{base.reference}, digest unknown"


def _numerics(numerics: Numerics) -> str:
    libraries = [
        f"{one.version or one.name}{f', kernel {one.kernel}' if one.kernel else ''}, {one.threads} threads"
        for one in numerics.libraries
    ]
    return "; ".join([f"{len(numerics.operations)} operations fingerprinted", *libraries])


def _runs(lock: Lock) -> str:
    seconds = sum(run.seconds for run in lock.runs) / len(lock.runs)
    steady = all(run.metrics == lock.runs[0].metrics for run in lock.runs)
    names = sorted(lock.runs[0].metrics, key=lambda name: name != lock.declaration.primary)
    shown = ", ".join(
        f"{name} {_values([run.metrics.get(name) for run in lock.runs])}" for name in names[:_MOST_METRICS]
    )
    more = f" and {len(names) - _MOST_METRICS} more" if len(names) > _MOST_METRICS else ""
    agree = "" if len(lock.runs) == 1 else (", all equal" if steady else ", not all equal")
    return f"{len(lock.runs)} of {seconds:.1f} s each{agree}: {shown}{more}"


def _values(values: Iterable[object]) -> str:
    texts = list(dict.fromkeys(str(value) for value in values))
    return texts[0] if len(texts) == 1 else f"{texts[0]} … {texts[-1]}"


def _gaps(gaps: list[Gap]) -> list[str]:
    if not gaps:
        return ["Gaps: none"]
    lines = [f"Gaps: {len(gaps)} {'thing' if len(gaps) == 1 else 'things'} could not be learned or pinned"]
    for gap in gaps[:_MOST_GAPS]:
        lines.append(f"  {gap.where} `{gap.subject}`: {gap.reason}")
        lines.append(f"    so {gap.consequence}")
    if len(gaps) > _MOST_GAPS:
        lines.append(f"  and {len(gaps) - _MOST_GAPS} more in the lock, under `tool.envcap.gaps`")
    return lines


def _conflicts(lock: Lock) -> list[str]:
    """Tell what the live environment did not meet. No gap: it is known, and frozen as it is."""
    if not lock.conflicts:
        return []
    lines = [f"Unmet requirements: {len(lock.conflicts)} in the environment, which is frozen as it is"]
    for conflict in lock.conflicts[:_MOST_GAPS]:
        found = "which is not installed" if conflict.installed is None else f"{conflict.installed} is installed"
        lines.append(f"  `{conflict.package}` requires `{conflict.requirement}`, {found}")
    if len(lock.conflicts) > _MOST_GAPS:
        lines.append(f"  and {len(lock.conflicts) - _MOST_GAPS} more in the lock, under `tool.envcap.conflicts`")
    return lines


def _aligned(lines: _LINES) -> list[str]:
    width = max(map(len, lines))
    return [f"  {name:<{width}}  {text}" for name, text in lines.items()]
