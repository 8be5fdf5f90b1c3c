"""Libraries loaded inside against those that were loaded when the environment was frozen."""

from typing import Any

import msgspec
import pytest

from envcap.compare.libraries import compare_libraries
from envcap.model.lock import Executable, Library, Lock, Toolkit

replace = msgspec.structs.replace
GOMP = "/usr/lib/x86_64-linux-gnu/libgomp.so.1.0.0"
INSIDE = {"libgomp1": "12.2.0-14", "file": "1:5.44-3"}


def short(lock: Lock, loaded: list[str], versions: dict[str, str] | None) -> list[tuple[str, str, str, str]]:
    findings = compare_libraries(lock, loaded=loaded, versions=versions)
    assert not any(finding.fatal for finding in findings)
    return [(item.where, item.subject, item.frozen, item.observed) for item in findings]


@pytest.mark.parametrize(
    ("loaded", "expected"),
    [
        ([GOMP], []),
        (["/lib/aarch64-linux-gnu/libgomp.so.1.2", "/opt/env/lib/python3.11/x.so"], []),
        ([], []),  # nothing was watched
        (["/opt/env/lib/python3.11/x.so"], []),
        (["/usr/lib/libz.so.1"], [("libgomp.so.1", "loaded", "not loaded"), ("libz.so.1", "not loaded", "loaded")]),
        (
            ["/usr/lib/libgomp.so.2"],
            [("libgomp.so.1", "loaded", "not loaded"), ("libgomp.so.2", "not loaded", "loaded")],
        ),
        ([GOMP, "/usr/lib/libssl.so.3"], []),  # linked when it was frozen: known, if not loaded
    ],
)
def test_what_is_loaded(loaded: list[str], expected: list[tuple[str, str, str]], sample_lock: Lock) -> None:
    assert short(sample_lock, loaded, INSIDE) == [("libraries", *item) for item in expected]


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        ({"libgomp1": "12.2.0-15"}, [("libgomp1", "12.2.0-14", "12.2.0-15")]),
        ({"libgomp1": None}, [("libgomp1", "12.2.0-14", "missing")]),
        ({"file": "1:5.45"}, [("file", "1:5.44-3", "1:5.45")]),
        ({"libssl3": "9"}, []),  # the interpreter's own come with the base
    ],
)
def test_versions_of_the_owners(versions: dict[str, Any], expected: list[Any], sample_lock: Lock) -> None:
    inside = {name: version for name, version in {**INSIDE, **versions}.items() if version is not None}
    assert short(sample_lock, [GOMP], inside) == [("os-packages", *item) for item in expected]
    assert short(sample_lock, [GOMP], None) == []


def test_libraries_of_nvidias_image_have_no_package_inside(sample_lock: Lock, toolkit: Toolkit) -> None:
    cudart = Library(
        name="libcudart.so.12",
        path="/opt/cuda-12.8/lib64/libcudart.so.12.8.90",
        seen="loaded",
        package="cuda-cudart-12-8",
        version="12.8.90-1",
    )
    lock = replace(sample_lock, libraries=[*sample_lock.libraries, cudart], toolkit=toolkit)
    there = "/usr/local/cuda-12.8/targets/x86_64-linux/lib/libcudart.so.12.8.90"
    assert short(lock, [GOMP, there], INSIDE) == []
    assert short(lock, [GOMP], INSIDE) == [("libraries", "libcudart.so.12", "loaded", "not loaded")]
    other = there.replace("12.8.90", "12.8.57")
    expected = ("libraries", "libcudart.so.12", "libcudart.so.12.8.90", "libcudart.so.12.8.57")
    assert short(lock, [GOMP, other], INSIDE) == [expected]
    without = replace(lock, toolkit=None)
    assert short(without, [GOMP, there], INSIDE) == [("os-packages", "cuda-cudart-12-8", "12.8.90-1", "missing")]


def test_what_only_a_program_loads_is_not_looked_for_in_python(sample_lock: Lock) -> None:
    magic = Library(name="libmagic.so.1", path="/usr/lib/libmagic.so.1.0.0", seen="both", needed_by=["file"])
    program = Executable(name="file", path="/usr/bin/file")
    assert (
        short(replace(sample_lock, libraries=[*sample_lock.libraries, magic], executables=[program]), [GOMP], None)
        == []
    )
