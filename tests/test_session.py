"""What a whole session of tests promises: in CI nothing is passed over."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
SKIPS = """\
import pytest

def test_that_passes():
    pass

def test_that_cannot_run_here():
    pytest.skip("no engine")
"""


@pytest.mark.parametrize(("ci", "processes", "code"), [("1", "1", 1), ("", "0", 0)])
def test_a_skipped_test_fails_the_session_in_ci(ci: str, processes: str, code: int, tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text(SKIPS)
    words = ["-p", "tests.conftest", "--rootdir", str(tmp_path), "--numprocesses", processes, str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=REPOSITORY,
        env={**os.environ, "CI": ci, "DOCKER_HOST": "unix:///nowhere/docker.sock"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout
    assert ("no test may be skipped" in done.stdout) == bool(ci)
    assert "1 passed, 1 skipped" in done.stdout
