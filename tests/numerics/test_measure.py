"""The fingerprint: taken under real interpreters, and read whatever is printed around it."""

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from envcap.model.image import Outcome
from envcap.numerics.measure import measure_host, numerics_task, read_numerics, read_outcome
from envcap.numerics.program import END, START


def test_an_environment_with_nothing_to_compute_with(tmp_path: Path) -> None:
    import venv

    venv.create(tmp_path / "bare", with_pip=False)
    numerics, gaps = measure_host(tmp_path / "bare" / "bin" / "python", env=dict(os.environ), cwd=tmp_path)
    assert (numerics.operations, numerics.libraries, gaps) == ({}, [], [])


def test_a_library_that_fails_is_a_gap_with_its_words(tmp_path: Path) -> None:
    import sys

    (tmp_path / "numpy.py").write_text("ndarray = 1\n")
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    numerics, gaps = measure_host(Path(sys.executable), env=env, cwd=tmp_path)
    assert numerics.operations == {}
    (gap,) = gaps
    assert gap.where == "numerics"
    assert "numpy: AttributeError" in gap.reason


def test_an_interpreter_that_is_none_is_a_gap(tmp_path: Path) -> None:
    _, (gap,) = measure_host(tmp_path / "python", env={}, cwd=tmp_path)
    assert "cannot be started" in gap.reason
    _, (gap,) = measure_host(Path("/bin/false"), env={}, cwd=tmp_path)
    assert gap.reason == "it ended with code 1"


def test_what_is_printed_around_it_does_not_matter() -> None:
    document = '{"operations": {"a": "1"}, "libraries": [], "features": [], "settings": {}, "problems": []}'
    outcome = Outcome(code=0, seconds=1.0, stdout=f"hello\n{START}\n{document}\n{END}\nbye\n", tail=[])
    numerics, gaps = read_outcome(outcome)
    assert (numerics.operations, gaps) == ({"a": "1"}, [])
    assert read_outcome(Outcome(code=3, seconds=1.0, stdout="", tail=[]))[1][0].reason == "it ended with code 3"


@given(st.text())
def test_any_other_output_is_a_gap(text: str) -> None:
    numerics, gaps = read_numerics(f"{START}\n{text}\n{END}")
    assert numerics.operations == {}
    assert len(gaps) == 1


def test_the_task_carries_the_program() -> None:
    task = numerics_task(gpus=[])
    (content,) = task.files.values()
    compile(content, "program", "exec")
    assert task.gpus == []
