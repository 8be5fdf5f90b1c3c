"""The fingerprint of a real numpy: which knob changes which operations."""

import os
from pathlib import Path

import pytest

from envcap.compare.numerics import changed_operations, meaning_of
from envcap.numerics.measure import measure_host


@pytest.mark.network
@pytest.mark.xdist_group("digits")
def test_another_kernel_changes_products_and_another_variable_nothing(digits_environment: Path, tmp_path: Path) -> None:
    python = digits_environment / "bin" / "python"
    frozen, gaps = measure_host(python, env=dict(os.environ), cwd=tmp_path)
    assert gaps == []
    assert len(frozen.operations) == 14
    assert [library.version.startswith("OpenBLAS") for library in frozen.libraries] == [True]
    kernel, _ = measure_host(python, env={**os.environ, "OPENBLAS_CORETYPE": "Prescott"}, cwd=tmp_path)
    changed = changed_operations(frozen, kernel)
    assert "numpy matmul float64" in changed
    assert meaning_of(changed) == "another BLAS, or another kernel of it"
    label, _ = measure_host(python, env={**os.environ, "RUN_LABEL": "2"}, cwd=tmp_path)
    assert changed_operations(frozen, label) == []
