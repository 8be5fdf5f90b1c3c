"""What reading declared data costs, the first time and again.

Run it as `python bench/data.py [GIGABYTES]`, with room in the temporary folder. Figures are wall seconds: of sha256 in
one thread, of a first measuring, which reads, and of one more, which only looks whether anything has changed.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from envcap.project.inputs import measure_data
from envcap.project.known import KnownDigests
from envcap.store import Store, file_sha256

_FILES = 8
_PIECE = 1 << 20  # bytes


def main() -> None:
    """Print one line for each way: seconds, and gigabytes a second."""
    gigabytes = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data").mkdir()
        for number in range(_FILES):
            with (folder / "data" / str(number)).open("wb") as file:
                for _ in range(int(gigabytes * 1e9 / _FILES / _PIECE)):
                    file.write(os.urandom(_PIECE))
        # Young files are read again: here they are settled by decree, for nobody writes to them.
        known = KnownDigests(folder / "cache", moment=-3600.0)

        def measure() -> None:
            measure_data(folder, ["data"], Store(folder / "store"), known=known)

        ways: dict[str, Callable[[], object]] = {
            "sha256, one thread": lambda: [file_sha256(path) for path in (folder / "data").iterdir()],
            "measured first": measure,
            "measured again": measure,
        }
        for way, act in ways.items():
            started = time.monotonic()
            act()
            seconds = time.monotonic() - started
            sys.stdout.write(f"{way:20} {seconds:8.3f} s  {gigabytes / seconds:8.2f} GB/s\n")


if __name__ == "__main__":
    main()
