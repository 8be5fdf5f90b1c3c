"""How often our rule and the homemade ones are wrong, on runs whose truth is known.

Run it as `python bench/verdict/simulate.py [DRAWS]` with envcap importable; docs/verdict.md has the table. Each row
draws k frozen and j new runs from one distribution, the new ones shifted by so many of its standard deviations. A false
alarm is DIFFERENT without a shift. A miss is a pass with one: `pass` counts EQUIVALENT and IDENTICAL. What is neither
is INCONCLUSIVE, which the homemade rules do not have. The margin is 20 standard deviations, so that rates are those of
the interval, unless the row says otherwise.
"""

import random
import statistics
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

from envcap.compare.number import judge_metric
from envcap.model.evaluation import Metric, Tolerance

_SAMPLES = 1000  # of the discrete accuracy, at 90 %
_DISCRETE_SD = (0.9 * 0.1 / _SAMPLES) ** 0.5


class Cell(NamedTuple):
    """One row of the table."""

    name: str
    frozen: int
    new: int
    shift: float  # in standard deviations
    margin: float  # in standard deviations
    draws: int


class Rates(NamedTuple):
    """Shares of all draws."""

    different: float
    passed: float
    two_deviations: float  # homemade rules: the share that they call different
    min_max: float
    two_digits: float
    three_digits: float


def normal(chance: random.Random) -> float:
    """Give 0.9 with a standard deviation of 0.005, about what image classifiers show."""
    return chance.gauss(0.9, 0.005)


def heavy(chance: random.Random) -> float:
    """Give Student's t with three degrees of freedom, scaled to the same standard deviation."""
    square = sum(chance.gauss(0, 1) ** 2 for _ in range(3)) / 3
    return 0.9 + 0.005 * chance.gauss(0, 1) / square**0.5 / 3**0.5


def discrete(chance: random.Random) -> float:
    """Give the share of 1,000 samples answered rightly, each with probability 0.9: the binomial by its normal limit."""
    return min(_SAMPLES, max(0, round(chance.gauss(0.9, _DISCRETE_SD) * _SAMPLES))) / _SAMPLES


DISTRIBUTIONS: dict[str, tuple[Callable[[random.Random], float], float]] = {
    "normal": (normal, 0.005),
    "heavy-tailed": (heavy, 0.005),
    "accuracy of 1,000": (discrete, _DISCRETE_SD),
}


def simulate(cell: Cell) -> Rates:
    """Draw, judge by every rule, and give the rates."""
    chance = random.Random(f"{cell}")
    draw, deviation = DISTRIBUTIONS[cell.name]
    is_share = cell.name.startswith("accuracy")
    tolerance = Tolerance(absolute=cell.margin * deviation, samples=_SAMPLES if is_share else None)
    shift = cell.shift * deviation
    if is_share:
        shift = round(shift * _SAMPLES) / _SAMPLES
    counts = [0] * len(Rates._fields)
    for _ in range(cell.draws):
        frozen: list[Metric] = [draw(chance) for _ in range(cell.frozen)]
        new: list[Metric | None] = [round(draw(chance) + shift, 15) for _ in range(cell.new)]
        verdict = judge_metric("metric", frozen, new, tolerance).verdict.value
        for number, said in enumerate((verdict == "DIFFERENT", verdict in {"EQUIVALENT", "IDENTICAL"})):
            counts[number] += said
        for number, said in enumerate(_homemade([float(x) for x in frozen], float(new[0] or 0)), 2):
            counts[number] += said
    return Rates(*(count / cell.draws for count in counts))


def _homemade(frozen: list[float], new: float) -> tuple[bool, bool, bool, bool]:
    """Give what people do by hand says of the first new run: whether it is different."""
    mean = statistics.fmean(frozen)
    return (
        abs(new - mean) > 2 * statistics.stdev(frozen),
        not min(frozen) <= new <= max(frozen),
        round(new, 2) != round(mean, 2),
        round(new, 3) != round(mean, 3),
    )


def cells(draws: int) -> list[Cell]:
    """Give every row."""
    rows = [
        Cell(name, frozen, 1, shift, 20.0, draws)
        for name in DISTRIBUTIONS
        for frozen in (3, 5, 10)
        for shift in (0.0, 3.0, 5.0, 8.0)
    ]
    rows += [
        Cell("normal", frozen, new, shift, 20.0, draws)
        for frozen, new in ((3, 3), (5, 3), (5, 5))
        for shift in (0.0, 3.0, 5.0)
    ]
    rows += [Cell("normal", frozen, 1, shift, 5.0, draws) for frozen in (3, 5, 10) for shift in (0.0, 5.0, 8.0)]
    return rows


def main() -> None:
    """Print the table in Markdown."""
    draws = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    heads = (
        "distribution", "frozen runs", "new runs", "margin", "shift", "we: DIFFERENT", "we: pass", "we: INCONCLUSIVE",
        "±2 sd: different", "min-max: different", "2 digits: different", "3 digits: different",
    )  # fmt: skip
    sys.stdout.write(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}\n")
    rows = cells(draws)
    with ProcessPoolExecutor(max_workers=2) as pool:
        for cell, rates in zip(rows, pool.map(simulate, rows), strict=True):
            numbers = [rates.different, rates.passed, abs(1 - rates.different - rates.passed), *rates[2:]]
            first = [cell.name, str(cell.frozen), str(cell.new), f"{cell.margin:g} sd", f"{cell.shift:g} sd"]
            sys.stdout.write(f"| {' | '.join([*first, *(f'{100 * number:.1f} %' for number in numbers)])} |\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
