"""What doctor found, as people read it."""

from collections.abc import Callable

from envcap.model.examination import Examination
from envcap.report.examination import describe_examinations

FOUND = [
    Examination(subject="environment", state="good", found="cpython 3.11.7 (venv), 12 packages", purpose="freeze it"),
    Examination(
        subject="engine",
        state="missing",
        found="No Docker engine answers: no such file.",
        purpose="rebuild the operating system too",
        hint="Start it, for example `sudo systemctl start docker`, or use `--engine venv`.",
    ),
    Examination(
        subject="index",
        state="failed",
        found="`https://pypi.example.org/simple/` answers 503 \x1b[2J",
        purpose="find the file of every package",
        hint="Try again later.",
    ),
]


def test_points_for_people(check_golden: Callable[[str, str], None]) -> None:
    text = describe_examinations(FOUND)
    assert "\x1b" not in text
    check_golden("doctor.txt", text + "\n")
    assert describe_examinations(FOUND[:2]).startswith("This machine can freeze, build and verify\n")
