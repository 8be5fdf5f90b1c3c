"""What this machine can do, as text for people."""

from collections.abc import Sequence

from envcap.model.examination import Examination
from envcap.report.table import plain, table_lines


def describe_examinations(examinations: Sequence[Examination]) -> str:
    """Give one row a point, then what to do about those that are not good."""
    failed = [one for one in examinations if one.state == "failed"]
    first = (
        f"{len(failed)} of {len(examinations)} points fail" if failed else "This machine can freeze, build and verify"
    )
    rows = [(one.subject, one.state, one.found, one.purpose) for one in examinations]
    lines = [first, "", *table_lines(("point", "state", "found", "needed to"), rows)]
    advice = [f"  {one.subject}: {one.hint}" for one in examinations if one.hint and one.state != "good"]
    return "\n".join(map(plain, [*lines, *(["", "What to do:", *advice] if advice else [])]))
