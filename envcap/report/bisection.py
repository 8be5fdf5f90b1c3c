"""The result of a bisect, for people and as a document. Model in, strings out."""

import msgspec

from envcap.model.bisection import Attempt, Bisection
from envcap.model.lock import Move
from envcap.report.document import encode
from envcap.report.table import plain, table_lines


def describe_bisection(bisection: Bisection) -> str:
    """Give the culprits with their versions, the evidence, and every mixture that was tried."""
    lines = [_heading(bisection), *(f"  {_move(move)}" for move in bisection.culprits)]
    lines += [f"  only together: {reason}" for reason in bisection.bound]
    lines += [f"- {reason}" for reason in bisection.reasons]
    searched = f", in {bisection.groups} groups that can be changed apart" if bisection.groups else ""
    spent = f"{bisection.runs} runs of at most {bisection.most_runs}, {bisection.seconds:.0f} s"
    lines += [
        "",
        f"{bisection.changes} packages differ{searched}; {spent}, engine {bisection.engine}",
        *table_lines(("tried", "result", "seconds", "detail"), map(_row, bisection.attempts)),
    ]
    if bisection.kept:
        lines.append(f"Also differs, and was as in `{bisection.good}` all the time: {', '.join(bisection.kept)}")
    lines += [f"Note: {note}" for note in bisection.notes]
    return "\n".join(map(plain, lines))


def bisection_document(bisection: Bisection) -> str:
    """Give the same as one JSON document, with the exit code."""
    return encode({**msgspec.to_builtins(bisection), "exit-code": bisection.exit_code})


def _heading(bisection: Bisection) -> str:
    if bisection.found:
        count = len(bisection.culprits)
        words = "one package change" if count == 1 else f"{count} package changes, each needed,"
        return f"FOUND: {words} of {bisection.changes} from `{bisection.good}` to `{bisection.bad}`"
    if bisection.culprits:
        return f"NOT NARROWED DOWN: {len(bisection.culprits)} of {bisection.changes} changes are left"
    return f"NOT FOUND: `{bisection.good}` against `{bisection.bad}`"


def _move(move: Move) -> str:
    if move.before == move.after:
        return f"{move.package} {move.after}: other contents under one version"
    if move.before is None:
        return f"{move.package} {move.after} is new"
    return (
        f"{move.package} {move.before} is gone"
        if move.after is None
        else (f"{move.package} {move.before} -> {move.after}")
    )


def _row(attempt: Attempt) -> tuple[str, ...]:
    seconds = "remembered" if attempt.remembered else f"{attempt.seconds:.1f}"
    return attempt.what, attempt.answer, seconds, attempt.detail
