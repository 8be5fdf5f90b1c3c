"""How long the look-up of a whole environment's hashes takes, beside `uv pip compile --generate-hashes`.

Run it as `python bench/pins.py [REPEATS]`. Both sides are whole processes with nothing cached, taken in turn, and read
the index that pip uses by default. The pins are whatever a usual set of data-science packages resolves to today.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

from envcap.process import capture

_TOP = """
accelerate aiohttp bokeh dask datasets fastapi jupyterlab lightgbm matplotlib nltk numba opencv-python openpyxl pandas
plotly polars pyarrow pytest scikit-image scikit-learn seaborn spacy sqlalchemy statsmodels sympy xgboost
"""
_LOOK_UP = """
import sys
from envcap.model.progress import say_nothing
from envcap.pins.configuration import Configuration, place
from envcap.pins.index import look_up
from envcap.pins.pages import Wanted
from envcap.pins.session import open_session
index, pins = sys.argv[1:]
wanted = [Wanted(name=n, version=v) for n, v in (line.split("==") for line in open(pins).read().split())]
configuration = Configuration(indexes=[place(index)])
with open_session(configuration) as session:
    offers = look_up(wanted, configuration=configuration, session=session, tell=say_nothing)
missing = [release.name for release, found in offers.items() if not any(offer.sha256 for offer in found)]
sys.stdout.write(f"{len(wanted)} {sum(len(found) for found in offers.values())} {' '.join(missing)}")
"""


def main() -> None:
    """Print one line for each side: the median, the fastest and the slowest in seconds, and their ratio."""
    from pypi_simple import PYPI_SIMPLE_ENDPOINT

    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    uv = [str(Path(sys.executable).with_name("uv")), "pip", "compile", "-q", "--no-config"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pins = folder / "pins.in"
        pins.write_text(_resolve(uv, folder), encoding="utf-8")
        hashes = [*uv, "--generate-hashes", "--no-deps", "--python", sys.executable, "-o", str(folder / "out.txt")]
        sides = {
            "uv": lambda turn: [*hashes, "--cache-dir", str(folder / f"cache{turn}"), str(pins)],
            "envcap": lambda _: [sys.executable, "-c", _LOOK_UP, PYPI_SIMPLE_ENDPOINT, str(pins)],
        }
        seconds: dict[str, list[float]] = {side: [] for side in sides}
        said = ""
        for turn in range(repeats):
            for side, command in sides.items():
                started = time.perf_counter()
                done = capture(command(turn), purpose=f"Timing {side}")
                seconds[side].append(time.perf_counter() - started)
                said = done.stdout.decode() if side == "envcap" else said
    releases, wheels, *missing = said.split()
    write = sys.stdout.write
    write(f"{releases} releases, {wheels} wheels with their hashes; without any: {' '.join(missing) or 'none'}\n")
    for side, times in seconds.items():
        write(f"{side:7} {statistics.median(times):.3f}  {min(times):.3f} .. {max(times):.3f} s\n")
    write(f"ratio   {statistics.median(seconds['envcap']) / statistics.median(seconds['uv']):.2f}\n")


def _resolve(uv: list[str], folder: Path) -> str:
    wishes = folder / "top.in"
    wishes.write_text("\n".join(_TOP.split()), encoding="utf-8")
    plain = ["--no-annotate", "--no-header", "--no-strip-extras", "--python", sys.executable]
    done = capture([*uv, *plain, str(wishes)], purpose="Resolving the pins")
    pins = (line.partition(";")[0].strip() for line in done.stdout.decode().splitlines())
    halves = (pin.partition("==") for pin in pins)
    return "\n".join(f"{name.partition('[')[0]}=={version}" for name, found, version in halves if found)


if __name__ == "__main__":
    main()
