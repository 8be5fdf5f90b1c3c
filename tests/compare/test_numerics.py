"""What a changed fingerprint points to."""

import msgspec
import pytest

from envcap.compare.causes import rank_causes
from envcap.compare.clues import clues_of_numerics
from envcap.compare.numerics import compare_numerics, meaning_of, suspects_of_gpu
from envcap.model.lock import Lock
from envcap.model.numerics import Numerics


@pytest.mark.parametrize(
    ("changed", "meaning"),
    [
        (["numpy matmul float32", "numpy solve float64"], "another BLAS"),
        (["numpy exp float64", "numpy log float64"], "another instruction set"),
        (["torch cuda matmul float32"], "another GPU or CUDA library or another precision mode (TF32)"),
        (["numpy exp float64", "numpy matmul float64"], "other builds"),
        (["numpy random", "numpy exp float64"], "another release of numpy"),
        (["numpy sum float32"], "other builds"),
    ],
)
def test_patterns(changed: list[str], meaning: str) -> None:
    assert meaning_of(changed).startswith(meaning)


PRODUCTS = ["torch cuda matmul float32", "torch cuda conv2d float32"]
WITH, WITHOUT = "torch cuda matmul with TF32", "torch cuda matmul without TF32"
ON_THE_GPU = [*PRODUCTS, WITH, WITHOUT, "torch cuda exp float32"]


@pytest.mark.parametrize(
    ("changed", "suspects"),
    [
        (PRODUCTS[:1], ["tf32"]),  # another default of the library
        ([PRODUCTS[1], WITH], ["tf32"]),  # NVIDIA_TF32_OVERRIDE=0, where products had none and convolutions had
        ([PRODUCTS[0], WITHOUT], ["tf32"]),  # and =1
        ([*PRODUCTS, WITH, WITHOUT], ["gpu"]),
        (ON_THE_GPU, ["gpu"]),
        (["torch cuda exp float32"], ["gpu"]),
    ],
)
def test_a_precision_mode_is_told_from_another_gpu(changed: list[str], suspects: list[str]) -> None:
    assert suspects_of_gpu(changed, known=ON_THE_GPU) == suspects
    assert suspects_of_gpu(changed, known=changed[:1]) == ["gpu", "tf32"]  # of a lock that lacks the two
    assert ("TF32" in meaning_of(changed, known=ON_THE_GPU)) is (suspects == ["tf32"])
    numerics = Numerics(operations=dict.fromkeys(ON_THE_GPU, "0" * 16))
    first = rank_causes(clues_of_numerics(numerics, numerics, changed=changed))[0]
    assert (first.key, first.strength) == (suspects[0], "likely")


def test_the_same_fingerprint_says_nothing(sample_lock: Lock) -> None:
    assert sample_lock.numerics.operations
    assert compare_numerics(sample_lock.numerics, sample_lock.numerics) == []
    assert compare_numerics(sample_lock.numerics, Numerics()) == []


def test_what_changed_is_named_and_is_not_fatal(sample_lock: Lock) -> None:
    frozen = sample_lock.numerics
    library = msgspec.structs.replace(frozen.libraries[0], kernel="Haswell", name="libopenblas-another.so")
    other = msgspec.structs.replace(
        frozen, operations={**frozen.operations, "numpy matmul float64": "f" * 16}, libraries=[library]
    )
    findings = compare_numerics(frozen, other)
    assert [item.subject for item in findings] == ["libraries", "fingerprint"]
    assert "Haswell" in findings[0].observed
    assert "numpy matmul float64" in findings[1].observed
    assert not any(item.fatal for item in findings)
    assert [item.subject for item in compare_numerics(msgspec.structs.replace(frozen, operations={}), other)] == [
        "libraries"
    ]  # a run may load such a library where neither numpy nor torch is
    renamed = msgspec.structs.replace(
        frozen,
        libraries=[msgspec.structs.replace(frozen.libraries[0], name="libopenblas-another.so"), *frozen.libraries[1:]],
    )
    assert compare_numerics(frozen, renamed) == []
