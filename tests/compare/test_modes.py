"""Files by their kind: arrays, archives, predictions sample by sample, generated texts. The tables are the rules."""

import hashlib
import io
import json
import math
import struct
import zipfile
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envcap.compare import elements
from envcap.compare.arrays import Array, read_npy, read_safetensors
from envcap.compare.artifact import Contents, judge_artifact
from envcap.compare.content import read_zip
from envcap.compare.decision import Setting
from envcap.compare.elements import compare_arrays
from envcap.compare.generation import compare_texts
from envcap.compare.samples import compare_samples, is_table_of_samples, read_samples
from envcap.model.evaluation import Artifact, Kind, Tolerance
from envcap.model.verdict import Check, Verdict

IDENTICAL, EQUIVALENT = Verdict.IDENTICAL, Verdict.EQUIVALENT
DIFFERENT, INCONCLUSIVE = Verdict.DIFFERENT, Verdict.INCONCLUSIVE


def judge(
    path: str, frozen: list[bytes], observed: list[bytes], tolerance: Tolerance | None = None, kind: Kind = "fixed"
) -> Check:
    def artifacts(contents: list[bytes]) -> list[Artifact]:
        return [Artifact(path=path, size=len(one), sha256=hashlib.sha256(one).hexdigest()) for one in contents]

    contents = Contents(frozen, observed)
    return judge_artifact(
        path, artifacts(frozen), [*artifacts(observed)], tolerance, Setting(kind=kind), contents=contents
    )


def npy(values: list[float], *, dtype: str = "<f4", shape: tuple[int, ...] | None = None, order: bool = False) -> bytes:
    letters = {"f2": "e", "f4": "f", "f8": "d", "i4": "i", "b1": "?", "c8": "f"}
    header = f"{{'descr': '{dtype}', 'fortran_order': {order}, 'shape': {shape or (len(values),)}, }}"
    header = header.ljust(117) + "\n"
    sign = ">" if dtype[0] == ">" else "<"
    body = struct.pack(f"{sign}{len(values)}{letters[dtype[1:]]}", *values)
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + body


def safetensors(tensors: dict[str, tuple[str, bytes]], **metadata: str) -> bytes:
    header: dict[str, object] = {"__metadata__": metadata} if metadata else {}
    body = b""
    sizes = {"F32": 4, "BF16": 2, "F16": 2, "F8_E4M3": 1}
    for name, (dtype, data) in tensors.items():
        shape = [len(data) // sizes[dtype]]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def archive(members: dict[str, bytes], *, year: int = 2020, level: int = 9) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as file:
        for name, content in members.items():
            file.writestr(zipfile.ZipInfo(name, (year, 1, 1, 0, 0, 0)), content)
    return stream.getvalue()


def f32(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)


NEXT = struct.unpack("<f", struct.pack("<i", struct.unpack("<i", struct.pack("<f", 1.5))[0] + 1))[0]
LONG = [1.0] * 70_000  # longer than the pieces that are compared at once
ONE = npy([1.5, 2.0, 3.0])


@pytest.mark.parametrize(
    ("path", "frozen", "observed", "tolerance", "expected"),
    [
        ("a.npy", ONE, ONE, None, IDENTICAL),
        ("a.npy", ONE, npy([1.5, 2.0, 4.0]), None, DIFFERENT),
        ("a.npy", ONE, npy([1.5, 2.0, 3.01]), Tolerance(absolute=0.1), EQUIVALENT),
        ("a.npy", ONE, npy([1.5, 2.0, 3.01]), Tolerance(absolute=0.001), DIFFERENT),
        ("a.npy", ONE, npy([1.51, 2.0, 3.0]), Tolerance(norm=0.005), EQUIVALENT),
        ("a.npy", ONE, npy([1.51, 2.0, 3.0]), Tolerance(relative=0.005), DIFFERENT),
        ("a.npy", ONE, npy([NEXT, 2.0, 3.0]), Tolerance(ulp=1), EQUIVALENT),
        ("a.npy", ONE, npy([1.51, 2.0, 3.0]), Tolerance(ulp=4), DIFFERENT),
        ("a.npy", ONE, npy([1.5, 2.0, 3.0], dtype="<f8"), Tolerance(absolute=9.0), DIFFERENT),
        ("a.npy", ONE, npy([1.5, 2.0, 3.0], shape=(3, 1)), Tolerance(absolute=9.0), DIFFERENT),
        ("a.npy", ONE, npy([1.5, 2.0, math.nan]), Tolerance(absolute=9.0), DIFFERENT),
        ("a.npy", ONE, npy([1.5, 2.0, math.inf]), Tolerance(absolute=9.0, relative=9.0), DIFFERENT),
        ("a.npy", npy([math.nan, 1.0]), npy([-math.nan, 1.0]), Tolerance(absolute=9.0), DIFFERENT),
        ("a.npy", npy([math.nan, 1.0]), npy([-math.nan, 1.0]), Tolerance(nan="equal"), EQUIVALENT),
        ("a.npy", npy([math.nan, 1.0]), npy([math.nan, 1.5]), Tolerance(absolute=9.0), DIFFERENT),
        ("a.npy", npy([math.nan, 1.0]), npy([math.nan, 1.5]), Tolerance(absolute=9.0, nan="equal"), EQUIVALENT),
        ("a.npy", npy([math.inf, 1.0]), npy([math.inf, 1.5]), Tolerance(absolute=9.0), EQUIVALENT),
        ("a.npy", npy([math.nan, *LONG, 1.0]), npy([math.nan, *LONG, 2.0]), Tolerance(absolute=9.0), DIFFERENT),
        ("a.npy", npy([0.0]), npy([-0.0]), None, DIFFERENT),
        ("a.npy", npy([0.0]), npy([-0.0]), Tolerance(absolute=0.0), EQUIVALENT),
        ("a.npy", npy([3e38, 1.0]), npy([-3e38, 1.0]), Tolerance(absolute=1e38), DIFFERENT),
        ("a.npy", npy([1e308] * 3, dtype="<f8"), npy([-1e308] * 3, dtype="<f8"), Tolerance(relative=1.0), DIFFERENT),
        ("a.npy", npy([1, 0], dtype="|b1"), npy([1, 1], dtype="|b1"), Tolerance(absolute=9.0), DIFFERENT),
        ("a.npy", npy([1, 2], dtype="<i4"), npy([1, 3], dtype="<i4"), Tolerance(absolute=1.0), EQUIVALENT),
        ("a.npy", npy([1.0, 2.0], dtype=">f4"), npy([1.0, 2.5], dtype=">f4"), Tolerance(absolute=0.5), EQUIVALENT),
        ("a.npy", npy([1.0, 2.0], dtype="<f2"), npy([1.0, 2.5], dtype="<f2"), Tolerance(absolute=0.5), EQUIVALENT),
        ("a.npy", ONE, ONE + b"x", Tolerance(absolute=9.0), DIFFERENT),
        ("a.npy", ONE, b"no array", Tolerance(absolute=9.0), DIFFERENT),
        ("a.npz", archive({"x.npy": ONE}), archive({"x.npy": ONE}, year=2021, level=1), None, EQUIVALENT),
        ("a.npz", archive({"x.npy": ONE}), archive({"x.npy": npy([1.5, 2.0, 9.0])}), None, DIFFERENT),
        ("a.npz", archive({"x.npy": ONE}), archive({"y.npy": ONE}), Tolerance(absolute=9.0), DIFFERENT),
        ("a.npz", archive({"x.npy": ONE}), archive({}), Tolerance(absolute=9.0), DIFFERENT),
        ("a.zip", archive({"a": b"1", "b": b"2"}), archive({"b": b"2", "a": b"1"}, year=1999), None, EQUIVALENT),
        ("a.zip", archive({"a": b"1"}), archive({"a": b"2"}), Tolerance(absolute=9.0), DIFFERENT),
        ("a.zip", archive({"a.csv": b"x\n1\n"}), archive({"a.csv": b"x\n1.05\n"}), Tolerance(absolute=0.1), EQUIVALENT),
        ("a.zip", archive({"a": b"", "b/": b""}), archive({"a": b""}), None, DIFFERENT),
        ("a.zip", archive({"e.json": b"{}"}), archive({}), None, DIFFERENT),
        ("a.safetensors", safetensors({"w": ("F32", f32(1, 2))}), safetensors({"w": ("F32", f32(1, 2.05))}),
         Tolerance(absolute=0.1), EQUIVALENT),
        ("a.safetensors", safetensors({"w": ("F32", f32(1, 2))}), safetensors({"w": ("F32", f32(1, 2.05))}), None,
         DIFFERENT),
        ("a.safetensors", safetensors({"w": ("F32", f32(1))}, step="1"), safetensors({"w": ("F32", f32(1))}, step="2"),
         Tolerance(absolute=9.0), DIFFERENT),
        ("a.safetensors", safetensors({"w": ("BF16", b"\x80\x3f")}), safetensors({"w": ("BF16", b"\x81\x3f")}),
         Tolerance(ulp=1), EQUIVALENT),
        ("a.safetensors", safetensors({"w": ("BF16", b"\x80\x3f")}), safetensors({"w": ("BF16", b"\x81\x3f")}),
         Tolerance(absolute=0.0078125), EQUIVALENT),
        ("a.safetensors", safetensors({"w": ("F8_E4M3", b"\x01")}), safetensors({"w": ("F8_E4M3", b"\x02")}),
         Tolerance(absolute=9.0), DIFFERENT),
        ("a.json", b'{"x": [100.0, 1.0]}', b'{"x": [100.0, 1.5]}', Tolerance(norm=0.01), EQUIVALENT),
        ("a.json", b'{"x": [100.0], "y": [1.0]}', b'{"x": [100.0], "y": [1.5]}', Tolerance(norm=0.01), DIFFERENT),
        ("a.csv", b"x,y\n100,1\n1,1\n", b"x,y\n100,1\n1.5,1\n", Tolerance(norm=0.01), EQUIVALENT),
        ("a.jsonl", b'{"a": 1}\n{"a": 2.0}\n', b'{"a":1}\n{"a": 2.01}', Tolerance(absolute=0.1), EQUIVALENT),
        ("a.csv", b"x\nnan\n1\n", b"x\nnan\n1.0\n", None, DIFFERENT),
        ("a.csv", b"x\nnan\n1\n", b"x\nnan\n1.0\n", Tolerance(nan="equal"), EQUIVALENT),
        ("a.csv", b"x\n1\n", b"x\n1.0\n", Tolerance(mode="bytes"), DIFFERENT),
    ],
)  # fmt: skip
def test_rules(path: str, frozen: bytes, observed: bytes, tolerance: Tolerance | None, expected: Verdict) -> None:
    assert judge(path, [frozen], [observed], tolerance).verdict is expected
    assert judge(path, [frozen, frozen], [frozen, observed], tolerance).verdict is expected


def test_what_differs_in_an_array_is_told() -> None:
    detail = judge("a.npy", [npy([1, 2, 3, 4], shape=(2, 2))], [npy([1, 2, 3.5, 4], shape=(2, 2))]).detail
    assert detail.startswith("1 of 4 values differ, by at most 0.5 (0.125 of the largest); first")
    assert detail.endswith("the array: element [1, 0]: 3.0 became 3.5")


def test_python_objects_are_never_loaded() -> None:
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(117) + b"\n"
    hostile = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + b"cposix\nsystem\n."
    with pytest.raises(ValueError, match="Python objects"):
        read_npy(hostile)
    assert "only executing" in judge("a.npy", [ONE], [hostile]).detail


def test_frozen_archives_that_differ_only_in_their_dates_are_one() -> None:
    frozen = [archive({"x.npy": ONE}, year=year) for year in (2020, 2021)]
    assert judge("a.npz", frozen, [archive({"x.npy": ONE}, year=2022)]).verdict is EQUIVALENT
    assert judge("a.npz", frozen, [archive({"x.npy": npy([9.0])})]).verdict is DIFFERENT
    other = [archive({"x.npy": ONE}), archive({"x.npy": npy([1.0, 1.0, 1.0])})]
    assert judge("a.npz", other, [archive({"x.npy": ONE}, year=1999)]).verdict is INCONCLUSIVE


def test_above_the_limit_only_bytes_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elements, "MOST_ELEMENTS", 2)
    check = judge("a.npy", [ONE], [npy([1.5, 2.0, 3.01])], Tolerance(absolute=0.1))
    assert check.verdict is DIFFERENT
    assert "above 2 elements only bytes are compared" in check.detail


def test_a_small_archive_that_unpacks_to_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("envcap.compare.content.LARGEST", 1000)
    check = judge("a.zip", [archive({"a": b"1"})], [archive({"a": b"0" * 5000})], Tolerance(absolute=9.0))
    assert check.verdict is DIFFERENT
    assert "unpacks to more" in check.detail


def test_archives_within_one_count_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is beyond the limit is compared as bytes: there are no arrays of it."""
    array = npy([1.0] * 2000)
    with zipfile.ZipFile(stream := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as inner:
        inner.writestr("a.npy", array)
    monkeypatch.setattr("envcap.compare.content.LARGEST", int(2.5 * len(array)))
    values = read_zip(archive({f"{number}.npz": stream.getvalue() for number in range(3)}))
    kinds = [sorted(type(value).__name__ for name, value in values.items() if name.startswith(f"{n}.")) for n in "012"]
    assert kinds == [["Array"], ["Array"], ["bytes"]]


@given(content=st.binary(max_size=80))
def test_any_bytes_are_an_array_or_refused(content: bytes) -> None:
    for read, start in ((read_npy, b"\x93NUMPY\x01\x00"), (read_safetensors, b"")):
        for whole in (content, start + content, struct.pack("<Q", len(content)) + content):
            with suppress(ValueError):
                read(whole)


@given(value=st.floats(width=32, allow_nan=False, allow_infinity=False), steps=st.integers(-5, 5))
def test_units_in_the_last_place(value: float, steps: int) -> None:
    (bits,) = struct.unpack("<i", f32(value))
    moved = struct.unpack("<f", struct.pack("<i", bits + steps))[0] if 10 < bits & 0x7FFFFFFF < 0x7F000000 else value
    before, after = (Array(dtype="<f4", shape=(1,), data=memoryview(f32(one)), letter="f") for one in (value, moved))
    found = compare_arrays(before, after, Tolerance(ulp=5))
    assert found.outside == 0
    if moved != value:
        assert found.ulp == abs(steps)
        assert compare_arrays(before, after, Tolerance(ulp=abs(steps) - 1)).outside == 1


# Predictions


def table(predictions: list[int], margin: float = 0.5, *, moved: float = 0.0) -> bytes:
    rows = [f"{place},{place % 3},{one},{margin + moved}" for place, one in enumerate(predictions)]
    return "\n".join(["id,label,prediction,margin", *rows, ""]).encode()


BEFORE = [place % 3 for place in range(100)]
FLIPPED = [*BEFORE[:95], 9, 9, 9, 9, 9]


def test_a_table_of_predictions_is_known_by_its_header() -> None:
    assert is_table_of_samples(table(BEFORE))
    assert is_table_of_samples(b"sample_id,y_true,y_pred\n1,2,3\n")
    assert not is_table_of_samples(b"epoch,loss\n1,2\n")


@pytest.mark.parametrize(
    ("observed", "tolerance", "expected"),
    [
        (table(FLIPPED), None, DIFFERENT),
        (table(FLIPPED), Tolerance(mode="samples", absolute=0.25), EQUIVALENT),  # the margin is twice the shift
        (table(FLIPPED), Tolerance(mode="samples", absolute=0.24), DIFFERENT),
        (table(FLIPPED), Tolerance(mode="samples", agreement=0.95), EQUIVALENT),
        (table(FLIPPED), Tolerance(mode="samples", agreement=0.96), DIFFERENT),
        (table(BEFORE, moved=0.25), Tolerance(mode="samples", absolute=0.1), DIFFERENT),
        (table(BEFORE, moved=0.125), Tolerance(mode="samples", absolute=0.1), EQUIVALENT),
        (table(BEFORE[:99]), Tolerance(mode="samples", agreement=0.1), DIFFERENT),
        (table(BEFORE).replace(b"\n5,2,", b"\n5,1,"), Tolerance(mode="samples", agreement=0.1), DIFFERENT),
        (b"id,x\n1,2\n", Tolerance(mode="samples", agreement=0.1), DIFFERENT),
        (table(BEFORE).replace(b"\n5,", b"\n4,"), Tolerance(mode="samples", agreement=0.1), DIFFERENT),
    ],
)
def test_rules_for_predictions(observed: bytes, tolerance: Tolerance | None, expected: Verdict) -> None:
    assert judge("p.csv", [table(BEFORE)], [observed], tolerance).verdict is expected


def test_agreement_and_mcnemar_are_told_without_being_asked() -> None:
    detail = judge("p.csv", [table(BEFORE)], [table(FLIPPED)]).detail
    assert "95% of 100 predictions agree, 5 flipped, 0 of them explained" in detail
    assert "right before only 5, now only 0 (McNemar p = 0.0625)" in detail


def test_how_far_predictions_agree_can_be_drawn() -> None:
    frozen = [table(BEFORE)] * 3
    measured = judge("p.csv", frozen, [table(BEFORE), table(FLIPPED)]).measured
    assert (measured.frozen, measured.observed) == ([1.0, 1.0, 1.0], [1.0, 0.95])
    assert (measured.low, measured.high) == (1.0, 1.0)
    stated = judge("p.csv", frozen[:1], [table(FLIPPED)], Tolerance(mode="samples", agreement=0.9)).measured
    assert (stated.frozen, stated.observed, stated.low, stated.high) == ([1.0], [0.95], 0.9, 1.0)
    weighed = judge("p.csv", frozen[:1], [table(FLIPPED)], Tolerance(mode="samples", absolute=0.1)).measured
    assert weighed.low is None  # by flips and margins, not by a share


def test_a_nan_that_stayed_is_told() -> None:
    detail = judge("a.npy", [npy([math.nan, 1.0])], [npy([math.nan, 1.5])], Tolerance(absolute=9.0)).detail
    assert 'first the array: element [0]: nan on both sides, which nothing equals unless `nan = "equal"`' in detail


def test_the_order_of_samples_does_not_matter() -> None:
    rows = table(BEFORE).splitlines()
    turned = read_samples(b"\n".join([rows[0], *reversed(rows[1:])]), None)
    assert compare_samples(read_samples(table(BEFORE), None), turned, shift=0.0).agreement == 1


def retrained(seed: int, flips: int) -> bytes:
    return table([9 if (place * 7 + seed * 13) % 100 < flips else one for place, one in enumerate(BEFORE)])


def test_retrained_predictions_are_judged_by_how_the_frozen_agree() -> None:
    frozen = [retrained(seed, 5 + seed % 2) for seed in range(6)]
    check = judge("p.csv", frozen, [retrained(7, 5)], kind="retraining")
    assert (check.verdict, check.mode) == (EQUIVALENT, "samples")
    assert "the frozen runs agree in" in check.detail
    assert len(check.measured.frozen) == 6
    assert judge("p.csv", frozen, [retrained(7, 60)], kind="retraining").verdict is DIFFERENT
    assert judge("p.csv", frozen[:2], [retrained(7, 5)], kind="retraining").verdict is INCONCLUSIVE


# Generated texts

TEXTS = "\n".join(f"the answer to question {number} is yes" for number in range(20)).encode()
OTHER = TEXTS.replace(b"question 3 is yes", b"question 3 is not")


@pytest.mark.parametrize(
    ("observed", "tolerance", "expected"),
    [
        (TEXTS + b"\n", None, EQUIVALENT),
        (OTHER, None, DIFFERENT),
        (OTHER, Tolerance(agreement=0.95), EQUIVALENT),
        (OTHER, Tolerance(agreement=0.96), DIFFERENT),
        (TEXTS + b"\nmore", Tolerance(agreement=0.5), DIFFERENT),
        (TEXTS.replace(b"yes", b"yes and more"), Tolerance(agreement=0.0), DIFFERENT),
        (TEXTS.replace(b"yes", b"yes and more"), Tolerance(agreement=0.0, length=0.5), EQUIVALENT),
    ],
)
def test_rules_for_texts(observed: bytes, tolerance: Tolerance | None, expected: Verdict) -> None:
    check = judge("a.txt", [TEXTS], [observed], tolerance, kind="generation")
    assert (check.verdict, check.mode) == (expected, "generation")


@pytest.mark.parametrize(
    ("observed", "expected"),
    [
        (b'{"text": "a", "score": 0.5}\n', EQUIVALENT),
        (b'{"text": "a", "score": 0.25}', DIFFERENT),
        (b'{"text": "a"}', DIFFERENT),
        (b'{"text": "a", "score": 0.5, "more": 1}', DIFFERENT),
        (b'{"text": "a", "score": "0.5"}', DIFFERENT),
    ],
)
def test_no_value_beside_the_texts_may_hide(observed: bytes, expected: Verdict) -> None:
    frozen = b'{"text": "a", "score": 0.5}'
    assert judge("a.jsonl", [frozen], [observed], kind="generation").verdict is expected
    noisy = [frozen, frozen.replace(b"0.5", b"0.75")]
    if expected is EQUIVALENT:
        assert judge("a.jsonl", noisy, [b'{"text": "a", "score": 9.5}'], kind="generation").verdict is EQUIVALENT


def test_the_first_divergence_is_told() -> None:
    assert (
        "19 of 20 texts are equal, first parting at word 7 of line 4"
        in judge("a.txt", [TEXTS], [OTHER], kind="generation").detail
    )
    assert compare_texts({"a": "x y"}, {"a": "x y z"}).word == 3


def test_sampled_texts_are_judged_by_how_the_frozen_agree() -> None:
    def sampled(seed: int, share: int) -> bytes:
        lines = TEXTS.decode().splitlines()
        return "\n".join(f"{x} {seed}" if (n * 3 + seed) % 20 < share else x for n, x in enumerate(lines)).encode()

    frozen = [sampled(seed, 4) for seed in range(1, 7)]
    assert judge("a.txt", frozen, [sampled(9, 4)], kind="generation").verdict in {EQUIVALENT, INCONCLUSIVE}
    assert judge("a.txt", [*frozen[:5], sampled(2, 5)], [sampled(9, 20)], kind="generation").verdict is DIFFERENT
    never = [f"text {seed}".encode() for seed in range(4)]
    assert judge("a.txt", never, [b"text 9"], kind="generation").verdict is INCONCLUSIVE


def test_the_length_of_sampled_texts_is_judged_by_how_the_frozen_vary() -> None:
    def words(count: int) -> bytes:
        return ("a common first line\n" + " ".join(f"w{number}" for number in range(count))).encode()

    frozen = [words(6), words(10), words(8)]
    for again in frozen:
        check = judge("a.txt", frozen, [again], kind="generation")
        assert check.verdict is INCONCLUSIVE
        assert "the frozen runs have 10 to 14 words: state `length`" in check.detail
    assert "2 of 2 texts are equal" in judge("a.txt", frozen, [words(10)], kind="generation").detail
    told = judge("a.txt", frozen, [words(10)], Tolerance(length=0.5, agreement=0.3), kind="generation")
    assert told.verdict is EQUIVALENT
    assert "stated agreement; lengths may be off by 50%" in told.origin
    assert judge("a.txt", frozen, [words(60)], kind="generation").verdict is DIFFERENT
