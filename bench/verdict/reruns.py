"""The same rates on real trainings: many reruns of a small network with another seed each, judged in random groups.

Run it as `python bench/verdict/reruns.py PYTHON [RUNS]`, where PYTHON is an interpreter that has scikit-learn. Each run
trains a small neural network on the digits anew, seeded differently; a second set has a real change in it: half of the
training rows. Groups of k frozen and one new run are then drawn without replacement. A second table uses each run once:
its judgements know nothing of each other, so that an exact interval can be given for the rate.
"""

import json
import random
import subprocess
import sys
from collections.abc import Callable

from envcap.compare.distributions import beta_cdf
from envcap.compare.number import judge_metric
from envcap.model.evaluation import Metric, Tolerance

_TRAIN = """
import json, sys
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier
import warnings
warnings.simplefilter("ignore")
rows, labels = load_digits(return_X_y=True)
rows = rows / 16
first, last, used = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
for seed in range(first, last):
    model = MLPClassifier((24,), max_iter=25, batch_size=64, learning_rate_init=0.005, random_state=seed)
    model.fit(rows[:used], labels[:used])
    scores = model.predict_proba(rows[1000:])
    accuracy = float((scores.argmax(1) == labels[1000:]).mean())
    print(json.dumps({"accuracy": accuracy, "log_loss": float(log_loss(labels[1000:], scores))}))
"""
_GROUPS = 10_000


def train(python: str, *, first: int, runs: int, rows: int) -> list[dict[str, float]]:
    """Train `runs` models with seeds from `first` on, and give their metrics."""
    command = [python, "-c", _TRAIN, str(first), str(first + runs), str(rows)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def rates(same: list[float], other: list[float], *, runs: int, samples: int | None) -> list[float]:
    """Give the shares of DIFFERENT and INCONCLUSIVE for groups of unchanged runs, and of pass for a changed run."""
    chance = random.Random(f"{runs}")
    tolerance = Tolerance(relative=1.0, samples=samples)
    alarms = untold = missed = 0
    for _ in range(_GROUPS):
        group: list[Metric] = [*chance.sample(same, runs + 1)]
        said = judge_metric("metric", group[:-1], [group[-1]], tolerance).verdict.value
        alarms += said == "DIFFERENT"
        untold += said == "INCONCLUSIVE"
        missed += judge_metric("metric", group[:-1], [chance.choice(other)], tolerance).verdict.value != "DIFFERENT"
    return [alarms / _GROUPS, untold / _GROUPS, missed / _GROUPS]


def alarms_once(same: list[float], *, runs: int, samples: int | None) -> tuple[int, int]:
    """Give false alarms and judgements where every run is in one group only."""
    tolerance = Tolerance(relative=1.0, samples=samples)
    alarms = groups = 0
    for start in range(0, len(same) - runs, runs + 1):
        frozen: list[Metric] = [*same[start : start + runs]]
        groups += 1
        alarms += judge_metric("metric", frozen, [same[start + runs]], tolerance).verdict.value == "DIFFERENT"
    return alarms, groups


def exact_interval(found: int, trials: int) -> tuple[float, float]:
    """Give the 95 % interval of a rate (Clopper and Pearson 1934)."""
    low = _where(lambda rate: beta_cdf(rate, found, trials - found + 1), 0.025) if found else 0.0
    high = _where(lambda rate: beta_cdf(rate, found + 1, trials - found), 0.975) if found < trials else 1.0
    return low, high


def _where(rising: Callable[[float], float], goal: float) -> float:
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < goal else (low, middle)
    return (low + high) / 2


def main() -> None:
    """Print both tables in Markdown."""
    import statistics

    python, runs = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 150
    same = train(python, first=0, runs=runs, rows=1000)
    other = train(python, first=10_000, runs=runs // 3, rows=500)
    sys.stdout.write(
        "| metric | frozen runs | mean, sd of unchanged | shift of the change | false alarms | INCONCLUSIVE "
        "| change not found |\n|---|---|---|---|---|---|---|\n"
    )
    for metric, samples in (("accuracy", 797), ("log_loss", None)):
        before, after = [run[metric] for run in same], [run[metric] for run in other]
        mean, deviation = statistics.fmean(before), statistics.stdev(before)
        shift = (statistics.fmean(after) - mean) / deviation
        for count in (3, 5, 10):
            found = rates(before, after, runs=count, samples=samples)
            shown = " | ".join(f"{100 * rate:.1f} %" for rate in found)
            sys.stdout.write(f"| {metric} | {count} | {mean:.4f}, {deviation:.4f} | {shift:+.1f} sd | {shown} |\n")
    sys.stdout.write("\n| metric | frozen runs | judgements | false alarms | 95 % interval |\n|---|---|---|---|---|\n")
    for metric, samples in (("accuracy", 797), ("log_loss", None)):
        for count in (3, 5, 10):
            found, groups = alarms_once([run[metric] for run in same], runs=count, samples=samples)
            low, high = exact_interval(found, groups)
            sys.stdout.write(f"| {metric} | {count} | {groups} | {found} | {100 * low:.1f} to {100 * high:.1f} % |\n")


if __name__ == "__main__":
    main()
