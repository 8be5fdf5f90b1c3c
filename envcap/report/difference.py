"""A comparison of two environments as text for people."""

from envcap.model.difference import Comparison, Difference
from envcap.report.table import plain, table_lines

_HEADINGS = ("what", "influence", "first", "second", "why it is ranked so")


def describe_comparison(comparison: Comparison) -> str:
    """Give the differences as a table, and what could not be compared."""
    sides = f"{comparison.first} against {comparison.second}"
    count = len(comparison.differences)
    if not count:
        lines = [f"No difference: {sides}"]
    else:
        heading = f"{count} {'difference' if count == 1 else 'differences'}: {sides}, most influential first"
        lines = [heading, "", *table_lines(_HEADINGS, map(_row, comparison.differences)), ""]
    if comparison.not_compared:
        lines.append(f"Not compared, because only one side tells: {', '.join(comparison.not_compared)}")
    return "\n".join(map(plain, lines))


def _row(difference: Difference) -> tuple[str, ...]:
    what = f"{difference.area} {difference.subject}"
    return what, difference.influence, difference.first, difference.second, difference.why
