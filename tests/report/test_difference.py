"""A comparison as people and programs read it."""

import json
from collections.abc import Callable

from envcap.model.difference import Comparison, Difference
from envcap.report.difference import describe_comparison
from envcap.report.document import comparison_document

COMPARISON = Comparison(
    first="train",
    second="live",
    differences=[
        Difference(
            area="packages", subject="numpy", first="1.26.4", second="2.0.0", influence="high", why="it computes"
        ),
        Difference(
            area="settings", subject="OMP_NUM_THREADS", first="1", second="missing", influence="high", why="threads"
        ),
        Difference(area="system", subject="umask", first="022", second="\x1b[2Jevil\n077", influence="low", why="mode"),
    ],
    not_compared=["code", "data"],
)


def test_differences_for_people(check_golden: Callable[[str, str], None]) -> None:
    text = describe_comparison(COMPARISON)
    assert "\x1b" not in text
    check_golden("diff.txt", text + "\n")


def test_no_difference_is_said() -> None:
    assert describe_comparison(Comparison(first="a", second="b")) == "No difference: a against b"


def test_differences_for_programs() -> None:
    document = json.loads(comparison_document(COMPARISON))
    assert document["format"] == 1
    assert document["differences"][0]["subject"] == "numpy"
    assert document["not_compared"] == ["code", "data"]
