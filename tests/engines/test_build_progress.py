"""What BuildKit says, in both forms, becomes steps, lines, times and the step that failed."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from envcap.engines.build_progress import BuildProgress
from envcap.model.image import StepTime

SAID = Path(__file__).with_name("said")


def read(name: str) -> tuple[BuildProgress, list[tuple[str, str]]]:
    progress = BuildProgress()
    told = [item for line in (SAID / name).read_text().splitlines() for item in progress.take(line)]
    return progress, [(item.kind, item.text) for item in told]


def test_plain_lines_of_two_stages_at_once() -> None:
    progress, told = read("a_step_fails.txt")
    failing = """RUN ["python3", "-c", "import sys; print('about to fail'); sys.exit(3)"]"""
    assert told == [
        ("step", f"FROM docker.io/library/python:3.11.7-slim-bookworm@sha256:{'a' * 42}…"),
        ("step", failing),
        ("output", "about to fail"),
        ("step", """RUN ["python3", "-c", "print('fine')"]"""),
        ("output", "fine"),
    ]
    assert progress.failed == failing
    assert progress.tail == ["about to fail"]
    assert progress.reason.endswith("did not complete successfully: exit code: 3")
    assert [step.seconds for step in progress.times] == [0.0, 0.0, 0.6]


def test_a_base_that_is_not_there_is_named_as_the_dockerfile_does() -> None:
    progress, told = read("no_base.txt")
    assert told == []
    assert progress.failed == f"FROM example.org/absent:1@sha256:{'0' * 64}"
    assert "no such host" in progress.reason


def test_the_clients_own_record() -> None:
    progress, told = read("raw.jsonl")
    assert told == [
        ("step", "FROM example.org/python@sha256:aa"),
        ("step", 'ADD ["layers/01-numpy.tar", "/"]'),
        ("step", 'RUN ["check"]'),
        ("output", "about to fail"),
    ]
    assert progress.times == [
        StepTime(step="FROM example.org/python@sha256:aa", seconds=0.0),
        StepTime(step='ADD ["layers/01-numpy.tar", "/"]', seconds=1.5),
        StepTime(step='RUN ["check"]', seconds=0.75),
    ]
    assert (progress.failed, progress.tail) == ('RUN ["check"]', ["about to fail"])


@given(st.lists(st.one_of(st.text(), st.from_regex(r"#[0-9] (\[a 1/2\] b|DONE 1s|ERROR: x|0\.1 y)"), st.just("{}"))))
def test_no_line_ends_it(lines: list[str]) -> None:
    progress = BuildProgress()
    for line in lines:
        list(progress.take(line))
    assert isinstance(progress.tail, list)
