"""One file against its frozen self: to the byte, else value by value, and no value may hide."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envcap.compare import artifact as artifacts
from envcap.compare.cells import read_csv, read_json, read_text
from envcap.compare.content import READERS, compare_contents
from envcap.model.evaluation import Artifact, Tolerance
from envcap.model.verdict import Check, Verdict

IDENTICAL, EQUIVALENT = Verdict.IDENTICAL, Verdict.EQUIVALENT
DIFFERENT, INCONCLUSIVE = Verdict.DIFFERENT, Verdict.INCONCLUSIVE
NEAR = Tolerance(absolute=0.1)
WIDE = Tolerance(absolute=1e300, relative=1e300)


def artifact(content: bytes, path: str = "out.csv") -> Artifact:
    return Artifact(path=path, size=len(content), sha256=hashlib.sha256(content).hexdigest())


def judge_artifact(
    path: str,
    frozen: list[Artifact],
    observed: Artifact | None,
    tolerance: Tolerance | None,
    *,
    contents: tuple[list[bytes], bytes] | None = None,
) -> Check:
    both = None if contents is None else artifacts.Contents(contents[0], [contents[1]])
    return artifacts.judge_artifact(path, frozen, [observed], tolerance, contents=both)


def judge(path: str, frozen: str | bytes, observed: str | bytes, tolerance: Tolerance | None = None) -> Check:
    before, after = (text.encode() if isinstance(text, str) else text for text in (frozen, observed))
    return judge_artifact(path, [artifact(before)], artifact(after), tolerance, contents=([before], after))


@pytest.mark.parametrize(
    ("path", "frozen", "observed", "tolerance", "expected"),
    [
        # CSV
        ("a.csv", "x,y\n1,2\n", "x,y\n1,2\n", None, IDENTICAL),
        ("a.csv", "x,y\n1,2\n", "x,y\r\n1,2\r\n", None, EQUIVALENT),
        ("a.csv", "x,y\n1,2\n", '"x","y"\n"1","2"\n', None, EQUIVALENT),
        ("a.csv", "x\n1\n", "x\n1.0\n", None, EQUIVALENT),
        ("a.csv", "x\n1.5\n", "x\n1.50\n", None, EQUIVALENT),
        ("a.csv", "x\n1e3\n", "x\n1000\n", None, EQUIVALENT),
        ("a.csv", "x\n1\n", "x\n1.05\n", None, DIFFERENT),
        ("a.csv", "x\n1\n", "x\n1.05\n", NEAR, EQUIVALENT),
        ("a.csv", "x\n1\n", "x\n1.2\n", NEAR, DIFFERENT),
        ("a.csv", "x\n007\n", "x\n7\n", NEAR, DIFFERENT),
        ("a.csv", "x\n1_0\n", "x\n10\n", NEAR, DIFFERENT),
        ("a.csv", "x\n 1\n", "x\n1\n", NEAR, DIFFERENT),
        ("a.csv", "x\n9007199254740993\n", "x\n9007199254740992\n", None, DIFFERENT),
        ("a.csv", "x\n" + "9" * 5_000 + "\n", "x\n" + "9" * 4_999 + "8\n", WIDE, DIFFERENT),
        ("a.csv", "x\ntrue\n", "x\nfalse\n", WIDE, DIFFERENT),
        ("a.csv", "x\ncat\n", "x\ndog\n", WIDE, DIFFERENT),
        ("a.csv", "x\n1\n", "x\n\n", WIDE, DIFFERENT),
        ("a.csv", "x\n1\n", "x\n1\n2\n", WIDE, DIFFERENT),
        ("a.csv", "x\n1\n2\n", "x\n1\n", WIDE, DIFFERENT),
        ("a.csv", "x,y\n1,2\n", "x,y\n1\n", WIDE, DIFFERENT),
        ("a.csv", "x,y\n1,2\n", "x,z\n1,2\n", WIDE, DIFFERENT),
        ("a.csv", "x,y\n1,2\n", "y,x\n1,2\n", WIDE, DIFFERENT),
        ("a.csv", "x,y\n1,2\n", "y,x\n2,1\n", WIDE, DIFFERENT),
        ("a.csv", "", "x\n", None, DIFFERENT),
        ("a.csv", "x,x\n1,2\n", "x,x\n9,2\n", NEAR, DIFFERENT),  # two columns of one name
        ("a.csv", ",\n1,2\n", ",\n9,2\n", NEAR, DIFFERENT),
        ("a.csv", "3,b\n1,2,7\n", "3,b\n9,2,7\n", NEAR, DIFFERENT),
        ("a.csv", "number 2,b\n1,2\n", "number 2,b\n9,2\n", NEAR, DIFFERENT),
        ("a.csv", "b,number 1\n1,2\n", "b,number 1\n9,2\n", NEAR, DIFFERENT),
        ("a.csv", "x\nnan\n", "x\n1\n", WIDE, DIFFERENT),
        ("a.csv", "x\n1\n", "x\nNaN\n", WIDE, DIFFERENT),
        ("a.csv", "x\ninf\n", "x\n1\n", WIDE, DIFFERENT),
        ("a.csv", "x\n-inf\n", "x\ninf\n", WIDE, DIFFERENT),
        ("a.csv", "x\n0\n", "x\n-0\n", None, DIFFERENT),
        ("a.csv", "x\n0\n", "x\n-0\n", NEAR, EQUIVALENT),
        ("a.csv", "\ufeffx\n1\n", "x\n1\n", None, EQUIVALENT),
        ("a.csv", 'x\n"a\nb"\n', 'x\n"a\nc"\n', NEAR, DIFFERENT),
        ("a.csv", "x\n1\n", b"x\n\xff\n", WIDE, DIFFERENT),
        ("a.csv", "x\n1\n", "x\n" + "y" * 200_000 + "\n", WIDE, DIFFERENT),
        ("a.csv", "x\n1\n", "x\n1\0\n", WIDE, DIFFERENT),
        ("A.CSV", "x\n1\n", "x\n1.05\n", NEAR, EQUIVALENT),
        # TSV, by its name or by its tabs
        ("a.tsv", "x\ty\n1\t2\n", "x\ty\n1\t2.05\n", NEAR, EQUIVALENT),
        ("a.tsv", "x\ty\n1\t2\n", "x\ty\n1\t3\n", NEAR, DIFFERENT),
        ("a.csv", "x\ty\n1,5\t2\n", "x\ty\n1,6\t2\n", NEAR, DIFFERENT),
        # JSON
        ("a.json", '{"a": 1, "b": 2}', '{"b":2,"a":1}', None, EQUIVALENT),
        ("a.json", '{"a": 1.0}', '{"a": 1.05}', None, DIFFERENT),
        ("a.json", '{"a": 1.0}', '{"a": 1.05}', NEAR, EQUIVALENT),
        ("a.json", '{"a": 1}', '{"a": 1.0}', WIDE, DIFFERENT),
        ("a.json", '{"a": 1}', '{"a": true}', WIDE, DIFFERENT),
        ("a.json", '{"a": 1}', '{"a": "1"}', WIDE, DIFFERENT),
        ("a.json", '{"a": 1}', "{}", WIDE, DIFFERENT),
        ("a.json", '{"a": null}', "{}", WIDE, DIFFERENT),
        ("a.json", '{"a": null}', '{"a": 0}', WIDE, DIFFERENT),
        ("a.json", '{"a": null}', '{"a":null}', None, EQUIVALENT),
        ("a.json", '{"a": []}', '{"a": {}}', WIDE, DIFFERENT),
        ("a.json", '{"a": []}', "{}", WIDE, DIFFERENT),
        ("a.json", "[1, [2]]", "[1, 2]", WIDE, DIFFERENT),
        ("a.json", '{"0": 1}', "[1]", WIDE, DIFFERENT),
        ("a.json", '{"a": {"b": 1}}', '{"a.b": 1}', WIDE, DIFFERENT),
        ("a.json", '{"a.b": 1, "a": {"b": 2}}', '{"a.b": 9, "a": {"b": 2}}', NEAR, DIFFERENT),
        ("a.json", '{"a": 1, "a": 2}', '{"a": 9, "a": 2}', WIDE, DIFFERENT),
        ("a.json", "[1, 2]", "[2, 1]", NEAR, DIFFERENT),
        ("a.json", "1.0", "1.05", NEAR, EQUIVALENT),
        ("a.json", "null", "true", WIDE, DIFFERENT),
        ("a.json", "NaN", " NaN", WIDE, DIFFERENT),
        ("a.json", "Infinity", "1.0", WIDE, DIFFERENT),
        ("a.json", str(10**400), str(10**400 + 1), None, DIFFERENT),
        ("a.json", str(10**400), str(10**400 + 1), WIDE, EQUIVALENT),
        ("a.json", "1" + "0" * 400, "1.0", WIDE, DIFFERENT),
        ("a.json", "{}", "{", WIDE, DIFFERENT),
        ("a.json", "[" * 100_000, "[]", WIDE, DIFFERENT),
        ("a.json", "[" * 950 + "]" * 950, "[" * 951 + "]" * 951, WIDE, DIFFERENT),
        # text
        ("a.txt", "one\ntwo\n", "one\r\ntwo", None, EQUIVALENT),
        ("a.txt", "one\ntwo\n", "one\n2\n", WIDE, DIFFERENT),
        ("a.md", "1.0\n", "1.05\n", NEAR, DIFFERENT),
        ("a.log", "one\n", "one\n\n", WIDE, DIFFERENT),
        ("a.txt", "x", b"\xff", WIDE, DIFFERENT),
        # any other kind
        ("a.bin", "x", "x", None, IDENTICAL),
        ("a.bin", "x", "y", None, DIFFERENT),
        ("a.bin", "x", "y", WIDE, DIFFERENT),
        ("model", "x", "y", WIDE, DIFFERENT),
        ("csv", "x\n1\n", "x\n1.05\n", NEAR, DIFFERENT),
    ],
)
def test_rules(
    path: str, frozen: str | bytes, observed: str | bytes, tolerance: Tolerance | None, expected: Verdict
) -> None:
    assert judge(path, frozen, observed, tolerance).verdict is expected
    assert judge(path, observed, frozen, tolerance).verdict is expected


def test_the_first_difference_and_the_largest_shift_are_told() -> None:
    check = judge("a.csv", "id,value\na,1\nb,2\nc,x\n", "id,value\na,1.5\nb,2.25\nc,y\n", NEAR)
    assert check.detail == "3 of 8 cells differ, by at most 0.5; first row 1, column value: 1.0 became 1.5"
    assert check.catches == "±0.1 in a cell"
    assert (check.name, check.kind, check.tolerance) == ("a.csv", "artifact", "±0.1")
    assert check.frozen.endswith("… 21 bytes")


def test_what_cannot_be_read_is_said() -> None:
    assert "it cannot be read as .json" in judge("a.json", "{}", "{").detail
    assert "names a key twice" in judge("a.json", "{}", '{"a": 1, "a": 1}').detail
    assert "nested too deeply" in judge("a.json", "{}", "[" * 100_000).detail


def test_missing_and_new_files() -> None:
    one = artifact(b"1")
    missing = judge_artifact("a.csv", [one], None, WIDE)
    new = judge_artifact("a.csv", [], one, WIDE)
    assert (missing.verdict, missing.observed) == (DIFFERENT, "missing")
    assert (new.verdict, new.frozen) == (DIFFERENT, "missing")


@pytest.mark.parametrize("path", ["a.csv", "a.bin"])
def test_frozen_runs_that_differ_cannot_tell(path: str) -> None:
    one, two = artifact(b"x\n1\n"), artifact(b"x\n2\n")
    for observed in (one, two, artifact(b"x\n3\n")):
        assert judge_artifact(path, [one, two], observed, None).verdict is INCONCLUSIVE
        assert judge_artifact(path, [one, two], observed, NEAR).verdict is INCONCLUSIVE  # nothing was kept of them
    assert judge_artifact(path, [one, two], None, None).verdict is DIFFERENT


def test_frozen_runs_that_differ_can_be_asked_within_a_tolerance() -> None:
    one, two = b"x\n1\n", b"x\n1.05\n"
    frozen = [artifact(one), artifact(two)]
    assert judge_artifact("a.csv", frozen, artifact(one), NEAR, contents=([one, two], one)).verdict is EQUIVALENT
    assert (
        judge_artifact("a.csv", frozen, artifact(b"x\n9\n"), NEAR, contents=([one, two], b"x\n9\n")).verdict
        is DIFFERENT
    )
    assert judge_artifact("a.bin", frozen, artifact(one), NEAR, contents=([one, two], one)).verdict is INCONCLUSIVE


def test_without_the_frozen_bytes_only_equality_can_be_told() -> None:
    assert judge_artifact("a.csv", [artifact(b"1")], artifact(b"1"), None).verdict is IDENTICAL
    check = judge_artifact("a.csv", [artifact(b"1")], artifact(b"2"), WIDE)
    assert (check.verdict, check.detail) == (DIFFERENT, "the bytes differ")


def test_an_ignored_file_is_not_judged() -> None:
    assert not judge_artifact("a.log", [artifact(b"1")], artifact(b"2"), Tolerance(ignore=True)).judged


# Properties

numbers = st.floats(-1e6, 1e6, allow_subnormal=False)
tables = st.lists(st.lists(numbers, min_size=3, max_size=3), min_size=1, max_size=5)


def as_csv(rows: list[list[float]]) -> bytes:
    return "".join(f"{','.join(map(repr, row))}\n" for row in rows).join(["a,b,c\n", ""]).encode()


@given(rows=tables, shift=st.floats(0.2, 5.0), data=st.data())
def test_one_shifted_cell_is_always_found(rows: list[list[float]], shift: float, data: st.DataObject) -> None:
    row = data.draw(st.integers(0, len(rows) - 1))
    column = data.draw(st.integers(0, 2))
    changed = [list(values) for values in rows]
    changed[row][column] += shift
    check = judge("a.csv", as_csv(rows), as_csv(changed), NEAR)
    assert check.verdict is DIFFERENT
    assert f"first row {row + 1}, column {'abc'[column]}" in check.detail
    assert judge("a.csv", as_csv(rows), as_csv(changed), Tolerance(absolute=6.0)).verdict is EQUIVALENT


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True)


@given(first=values, second=values)
def test_two_json_documents_are_the_same_exactly_when_all_their_cells_are(first: object, second: object) -> None:
    one, two = json.dumps(first).encode(), json.dumps(second, indent=1).encode()
    differences = compare_contents(read_json(one), read_json(two), None)
    assert (differences.differing == 0) == (canonical(first) == canonical(second))


@given(value=values)
def test_the_order_of_keys_does_not_matter(value: object) -> None:
    def turned(item: object) -> object:
        if isinstance(item, dict):
            return {key: turned(item[key]) for key in reversed(item)}
        return [turned(inner) for inner in item] if isinstance(item, list) else item

    one, two = json.dumps(value).encode(), json.dumps(turned(value)).encode()
    assert compare_contents(read_json(one), read_json(two), None).differing == 0


@pytest.mark.parametrize("suffix", READERS)
@given(content=st.binary(max_size=60) | st.text(max_size=40).map(str.encode))
def test_any_bytes_are_read_or_refused(suffix: str, content: bytes) -> None:
    try:
        cells = READERS[suffix](content)
    except ValueError:
        return
    compare_contents(cells, cells, NEAR)


def test_names_of_cells() -> None:
    assert list(read_csv(b"id,,x,x,number 9\n1,2,3,4,5,6\n")) == [
        "column 1",
        "column 2",
        "column 3",
        "column 4",
        "column 5",
        "row 1, column id",
        "row 1, column number 2",
        "row 1, column number 3",
        "row 1, column number 4",
        "row 1, column number 5",
        "row 1, column number 6",
    ]
    assert list(read_json(b'{"a": [1, {"b": null}], "c": []}')) == ['["a"][0]', '["a"][1]["b"] is null', '["c"] is []']
    assert dict(read_json(b"3")) == {"the value": 3}
    assert dict(read_text(b"one\ntwo")) == {"line 1": "one", "line 2": "two"}
