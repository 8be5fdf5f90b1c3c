"""The bench that docs/verdict.md has its rates from: it runs, and its rates are those of the rule."""

import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).resolve().parents[2] / "bench" / "verdict" / "simulate.py"
ROWS = 54  # of the table in docs/verdict.md


def test_every_row_is_simulated() -> None:
    done = subprocess.run([sys.executable, BENCH, "10"], capture_output=True, text=True, check=True, timeout=300)
    heads, _, *rows = done.stdout.splitlines()
    assert (len(rows), heads.count("|")) == (ROWS, 13)
    assert {row.count("|") for row in rows} == {13}
    described = [row.split("|")[1:6] for row in rows]  # distribution, runs, margin and shift
    documented = (BENCH.parents[2] / "docs" / "verdict.md").read_text(encoding="utf-8").splitlines()
    assert described == [line.split("|")[1:6] for line in documented if line.count("|") == 13][-ROWS:]
