"""Evidence into ranked causes: how outputs differ, what code depends on, and what a rerun does to the order."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envcap.compare.arrays import read_npy
from envcap.compare.causes import rank_causes, with_trials
from envcap.compare.clues import Clue, clues_of_hints, clues_of_lock, clues_of_numerics
from envcap.compare.content import READERS
from envcap.compare.hints import Hint, hints_of
from envcap.compare.suspects import SUSPECTS
from envcap.compare.symptoms import Output, symptoms_of
from envcap.model.cause import Trial
from envcap.model.gap import Gap
from envcap.model.numerics import NumericLibrary, Numerics


def symptoms(before: str, after: str, kind: str = ".csv", *, steady: bool = True) -> list[str]:
    read = READERS[kind]
    output = Output(f"out{kind}", read(before.encode()), read(after.encode()), steady)
    return [symptom.kind for symptom in symptoms_of([output])]


@pytest.mark.parametrize(
    ("before", "after", "kinds"),
    [
        ("a,b\n1,x\n2,y\n", "a,b\n2,y\n1,x\n", ["order"]),
        ("a\n0.1\n", "a\n0.10000000000000002\n", ["digits"]),
        ("a\n0.1\n0.5\n", "a\n0.10000000000000002\n0.6\n", ["numbers"]),
        ("a\ncat\n", "a\ndog\n", ["labels"]),
        ("a\n2024-01-02 23:00\n", "a\n2024-01-03 07:00\n", ["hours"]),
        ("a\n2024-01-02T23:00:01\n", "a\n2024-01-02T23:00:07\n", ["times"]),
        ('a\n"1.234,50"\n', 'a\n"1,234.50"\n', ["decimal mark"]),
        ("a\nZoë\n", "a\nZo??\n", ["letters"]),
        ("a\n0.1\n", "a\nnan\n", ["numbers"]),
        ("a\n1\n", "a\n1\n", []),
    ],
)
def test_the_way_in_which_outputs_differ(before: str, after: str, kinds: list[str]) -> None:
    assert symptoms(before, after) == kinds


def test_runs_that_differ_among_themselves_are_a_symptom() -> None:
    assert symptoms("a\n0.1\n", "a\n0.2\n", steady=False) == ["numbers", "unsteady"]


@given(st.permutations(["1", "2", "3", "x", "0.5"]))
def test_a_shuffled_column_is_an_order_and_nothing_else(rows: list[str]) -> None:
    found = symptoms("a\n1\n2\n3\nx\n0.5\n", "\n".join(["a", *rows]) + "\n")
    assert found == ([] if rows == ["1", "2", "3", "x", "0.5"] else ["order"])


@given(st.text(), st.text())
def test_any_two_texts_have_at_most_one_kind_of_difference(before: str, after: str) -> None:
    output = Output("metric", {"the value": before}, {"the value": after})
    assert len(symptoms_of([output])) == (0 if before == after else 1)


def npy(*numbers: float) -> Any:
    import struct

    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({len(numbers)},)}}".ljust(117).encode() + b"\n"
    head = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
    return read_npy(head + struct.pack(f"<{len(numbers)}d", *numbers))


def test_arrays_have_symptoms_too() -> None:
    def kinds(*after: float) -> list[str]:
        return [one.kind for one in symptoms_of([Output("a.npy", npy(1.0, 2.0, 3.0), npy(*after))])]

    assert kinds(3.0, 1.0, 2.0) == ["order"]
    assert kinds(1.0, 2.0, 3.0000000001) == ["digits"]
    assert kinds(1.0, 2.0, 4.0) == ["numbers"]


@pytest.mark.parametrize(
    ("source", "kind", "subject"),
    [
        ("import os\nx = os.environ['SCALE']\n", "variable", "SCALE"),
        ("import os\nx = os.getenv('SCALE', '1')\n", "variable", "SCALE"),
        ("for x in set(y): print(x)\n", "hash order", "a set"),
        ("x = hash('a')\n", "hash order", "hash"),
        ("import os\nfor x in os.listdir('.'): pass\n", "listing", "listdir"),
        ("import numpy as np\nx = np.random.rand(3)\n", "randomness", "random.rand without a seed"),
        ("import numpy as np\nx = np.random.default_rng()\n", "randomness", "default_rng without a seed"),
        ("import time\nx = time.localtime(0)\n", "timezone", "localtime"),
        ("import time\nx = time.time()\n", "clock", "time.time"),
        ("x = open('/data/rows.csv', 'rb')\n", "input", "`/data/rows.csv`, which is outside the project"),
        ("x = open('rows.csv')\n", "encoding", "open without an encoding"),
    ],
)
def test_what_code_depends_on(source: str, kind: str, subject: str) -> None:
    place = f"run.py line {source.count(chr(10))}"
    assert Hint(kind=kind, subject=subject, place=place) in hints_of({"run.py": source})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "source",
    [
        "x = sorted(set(y))\n",
        "x = 3 in {1, 2}\n",
        "import os\nfor x in sorted(os.listdir('.')): pass\n",
        "import numpy as np\nnp.random.seed(0)\nx = np.random.rand(3)\n",
        "x = np.random.default_rng(3)\n",
        "import os\nos.environ['SCALE'] = '1'\n",
        "x = open('rows.csv', encoding='utf-8')\n",
        "this is no Python\n",
        "x = '\\d'\n",
        "(" * 5000,
        "\0",
    ],
)
def test_code_that_depends_on_nothing_gives_no_hint(source: str) -> None:
    assert hints_of({"run.py": source}) == []


@given(st.text())
def test_any_text_can_be_looked_through(source: str) -> None:
    hints_of({"run.py": source})


def test_a_recorded_variable_is_no_clue() -> None:
    hint = Hint(kind="variable", subject="SCALE", place="run.py line 1")
    assert list(clues_of_hints([hint], recorded={"SCALE"})) == []
    assert [clue.suspect for clue in clues_of_hints([hint], recorded=set())] == ["variable"]


def test_the_fingerprint_tells_kernels_from_instruction_sets() -> None:
    def fingerprint(kernel: str, **operations: str) -> Numerics:
        library = NumericLibrary(name="libopenblas-1.so", version="OpenBLAS 0.3.30", kernel=kernel, threads=2)
        named = {name.replace("_", " "): digest for name, digest in operations.items()}
        return Numerics(operations=named, libraries=[library])

    frozen = fingerprint("SkylakeX", numpy_matmul_float64="a", numpy_exp_float64="b")
    other = fingerprint("Haswell", numpy_matmul_float64="c", numpy_exp_float64="b")
    (first,) = rank_causes(clues_of_numerics(frozen, other, changed=["numpy matmul float64"]))
    assert (first.key, first.strength) == ("blas", "strong")
    (first,) = rank_causes(clues_of_numerics(frozen, frozen, changed=["numpy exp float64"]))
    assert first.key == "simd"
    assert rank_causes(clues_of_numerics(frozen, frozen, changed=[])) == []


def test_changed_code_outweighs_all_else() -> None:
    gaps = [Gap(where="data", subject="/data/rows.csv", reason="the evaluation read it", consequence="none")]
    causes = rank_causes(clues_of_lock(gaps, None, code_changes=["`run.py` is not the frozen one"]))
    assert [cause.key for cause in causes] == ["code", "data"]


def trial(suspect: str, outcome: Any) -> Trial:
    return Trial(suspect=suspect, knob="it", outcome=outcome, detail="tried", runs=1)


def test_a_rerun_decides_over_points() -> None:
    causes = rank_causes([Clue("blas", 80, "a"), Clue("threads", 40, "b"), Clue("clock", 20, "c")])
    trials = [trial("blas", "no change"), trial("threads", "confirmed"), trial("clock", "not applied")]
    tried = with_trials(causes, trials)
    assert [(cause.key, cause.strength) for cause in tried] == [
        ("threads", "confirmed"),
        ("clock", "possible"),
        ("blas", "excluded"),
    ]


def test_what_nobody_suspected_comes_in_when_a_rerun_confirms_it() -> None:
    assert [cause.key for cause in with_trials([], [trial("randomness", "confirmed"), trial("blas", "changed")])] == [
        "randomness"
    ]


@given(st.lists(st.builds(Clue, st.sampled_from(list(SUSPECTS)), st.integers(-50, 150), st.text())))
def test_ranked_by_points_and_each_once(clues: list[Clue]) -> None:
    causes = rank_causes(clues)
    assert [cause.points for cause in causes] == sorted((cause.points for cause in causes), reverse=True)
    assert len({cause.key for cause in causes}) == len(causes)
