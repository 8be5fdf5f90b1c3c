"""What watching a run costs: the same programs without it, with it, and with the deep look, taken in turn.

Run it as `python bench/watch.py [REPEATS]`. Four programs: one that imports and computes, two that open many files, one
that starts many programs. Figures are wall seconds of whole processes, the medians; ratios are to the first. Without
strace there is no deep look.
"""

import os
import shutil
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
    """Print one line for each program and way of watching: seconds, and their ratio to those without."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    ways = ["plain", "watched", *(["deep"] if shutil.which("strace") else [])]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "one.txt").touch()
        (folder / "files").mkdir()
        for number in range(_FILES):
            (folder / "files" / str(number)).touch()
        for program, source in _PROGRAMS.items():
            (folder / "program.py").write_text(source)
            seconds: dict[str, list[float]] = {way: [] for way in ways}
            for _ in range(repeats):
                for way, taken in seconds.items():
                    taken.append(_time(folder, way))
            plain = statistics.median(seconds["plain"])
            for way, taken in seconds.items():
                median = statistics.median(taken)
                sys.stdout.write(f"{program:10} {way:8} {median:.3f} s  ratio {median / plain:.3f}\n")


def _time(folder: Path, way: str) -> float:
    env = dict(os.environ)
    command = [sys.executable, "program.py"]
    if way == "plain":
        return run_live(command, cwd=folder, env=env, timeout=600, on_line=lambda _: None).seconds
    started = time.monotonic()
    with watching(env, cwd=folder, deep=way == "deep") as watch:
        seconds = run_live(
            [*watch.prefix, *command], cwd=folder, env=watch.env, timeout=600, on_line=lambda _: None
        ).seconds
        if not watch.observed().watched:
            raise RuntimeError(f"nothing was watched in {time.monotonic() - started:.1f} s")
    return seconds


if __name__ == "__main__":
    main()
