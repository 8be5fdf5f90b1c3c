import contextlib
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from envcap.evaluate.seeds import find_seeds, seeds_in

SOURCE = """
import random, torch
import numpy as np
from numpy.random import default_rng as rng
from sklearn.model_selection import train_test_split

random.seed(3)
np.random.seed(SEED)
torch.manual_seed(0)
g = rng(7)
train_test_split(x, y, random_state=5, test_size=0.2)
model.fit(seed=None)
other.seed(1)
"""


def test_calls_are_named_by_what_was_imported() -> None:
    found = [(seed.line, seed.call) for seed in seeds_in(SOURCE, file="evaluate.py")]
    assert sorted(found) == [
        (7, "random.seed(3)"),
        (8, "numpy.random.seed(SEED)"),
        (9, "torch.manual_seed(0)"),
        (10, "numpy.random.default_rng(7)"),
        (11, "sklearn.model_selection.train_test_split(random_state=5)"),
        (12, "model.fit(seed=None)"),
    ]


def test_only_what_the_run_read_of_the_project_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "train.py").write_text("import random\nrandom.seed(1)\n")
    (tmp_path / "unused.py").write_text("import random\nrandom.seed(2)\n")
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "package.py").write_text("import random\nrandom.seed(3)\n")
    (tmp_path / "broken.py").write_text("random.seed(\n")
    read = [
        f"{tmp_path}/part/__pycache__/train.cpython-311.pyc",
        f"{tmp_path}/broken.py",
        f"{tmp_path}/.venv/package.py",
        "/usr/lib/python3/random.py",
    ]
    assert [
        (seed.file, seed.call) for seed in find_seeds(read, project=tmp_path, environment=(f"{tmp_path}/.venv/",))
    ] == [("part/train.py", "random.seed(1)")]


@given(st.text())
def test_no_text_ends_it(source: str) -> None:
    with contextlib.suppress(SyntaxError, ValueError):
        list(seeds_in(source, file="x.py"))
