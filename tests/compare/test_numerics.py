"""What a changed fingerprint points to."""

import msgspec
import pytest

from envcap.compare.numerics import compare_numerics, meaning_of
from envcap.model.lock import Lock
from envcap.model.numerics import Numerics


@pytest.mark.parametrize(
    ("changed", "meaning"),
    [
        (["numpy matmul float32", "numpy solve float64"], "another BLAS"),
        (["numpy exp float64", "numpy log float64"], "another instruction set"),
        (["torch cuda matmul float32"], "another GPU"),
        (["numpy exp float64", "numpy matmul float64"], "other builds"),
        (["numpy random", "numpy exp float64"], "another release of numpy"),
        (["numpy sum float32"], "other builds"),
    ],
)
def test_patterns(changed: list[str], meaning: str) -> None:
    assert meaning_of(changed).startswith(meaning)


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
