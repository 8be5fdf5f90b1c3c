"""What watching a run costs: the same programs with and without it, taken in turn.

Run it as `python bench/watch.py [REPEATS]`. Three programs: one that imports and computes, one that opens many files,
one that starts many programs. Figures are wall seconds of whole processes; the ratio is of the medians.
"""

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from envcap.evaluate.watch import watching
from envcap.process import run_live

_PROGRAMS = {
    "compute": "import decimal, email, json, unittest\nprint(sum(i * i % 7 for i in range(12_000_000)))\n",
    "same file": "for _ in range(100_000):\n    open('one.txt').close()\n",
    "new files": "for i in range(3_000):\n    open('files/%d' % i).close()\n",
    "programs": "import subprocess\nfor _ in range(150):\n    subprocess.run(['true'])\n",
}
_FILES = 3000


def main() -> None:
    """Print one line for each program: seconds without and with the watch, and their ratio."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "one.txt").touch()
        (folder / "files").mkdir()
        for number in range(_FILES):
            (folder / "files" / str(number)).touch()
        for program, source in _PROGRAMS.items():
            (folder / "program.py").write_text(source)
            seconds: dict[bool, list[float]] = {False: [], True: []}
            for _ in range(repeats):
                for watched, taken in seconds.items():
                    taken.append(_time(folder, watched=watched))
            plain, under_watch = (statistics.median(taken) for taken in seconds.values())
            sys.stdout.write(f"{program:10} {plain:.3f} s  {under_watch:.3f} s  ratio {under_watch / plain:.3f}\n")


def _time(folder: Path, *, watched: bool) -> float:
    env = dict(os.environ)
    command = [sys.executable, "program.py"]
    if not watched:
        return run_live(command, cwd=folder, env=env, timeout=600, on_line=lambda _: None).seconds
    started = time.monotonic()
    with watching(env, cwd=folder) as watch:
        seconds = run_live(command, cwd=folder, env=watch.env, timeout=600, on_line=lambda _: None).seconds
        if not watch.observed().watched:
            raise RuntimeError(f"nothing was watched in {time.monotonic() - started:.1f} s")
    return seconds


if __name__ == "__main__":
    main()
