"""The fingerprint: taken under real interpreters, and read whatever is printed around it."""

import os
import subprocess
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from envcap.model.image import Outcome
from envcap.numerics.libraries import END, START
from envcap.numerics.measure import measure_host, numerics_task, read_numerics, read_outcome


def test_an_environment_with_nothing_to_compute_with(tmp_path: Path) -> None:
    import venv

    venv.create(tmp_path / "bare", with_pip=False)
    numerics, gaps = measure_host(tmp_path / "bare" / "bin" / "python", env=dict(os.environ), cwd=tmp_path)
    assert (numerics.operations, numerics.libraries, gaps) == ({}, [], [])


def test_a_library_that_fails_is_a_gap_with_its_words(tmp_path: Path) -> None:
    (tmp_path / "numpy.py").write_text("ndarray = 1\n")
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    numerics, gaps = measure_host(Path(sys.executable), env=env, cwd=tmp_path)
    assert numerics.operations == {}
    (gap,) = gaps
    assert gap.where == "numerics"
    assert "numpy: AttributeError" in gap.reason


def test_an_interpreter_that_is_none_is_a_gap(tmp_path: Path) -> None:
    _, (gap,) = measure_host(tmp_path / "python", env={}, cwd=tmp_path)
    assert "cannot be started" in gap.reason
    _, (gap,) = measure_host(Path("/bin/false"), env={}, cwd=tmp_path)
    assert gap.reason == "it ended with code 1"


def test_what_is_printed_around_it_does_not_matter() -> None:
    document = '{"operations": {"a": "1"}, "libraries": [], "features": [], "settings": {}, "problems": []}'
    outcome = Outcome(code=0, seconds=1.0, stdout=f"hello\n{START}\n{document}\n{END}\nbye\n", tail=[])
    numerics, gaps = read_outcome(outcome)
    assert (numerics.operations, gaps) == ({"a": "1"}, [])
    assert read_outcome(Outcome(code=3, seconds=1.0, stdout="", tail=[]))[1][0].reason == "it ended with code 3"


OPENBLAS = """
char *scipy_openblas_get_config64_(void) { return "OpenBLAS 0.3.29.dev USE64BITINT SkylakeX MAX_THREADS=64"; }
char *scipy_openblas_get_corename64_(void) { return "SkylakeX"; }
int scipy_openblas_get_num_threads64_(void) { return 7; }
"""
MKL = """
#include <string.h>
void mkl_get_version_string(char *text, int size)
{ strncpy(text, "Intel(R) oneAPI Math Kernel Library Version 2024.1-Product Build 20240215 for Intel(R) 64", size); }
int mkl_get_max_threads(void) { return 5; }
"""
BLIS = """
char *bli_info_get_version_str(void) { return "0.9.0"; }
int bli_arch_query_id(void) { return 3; }
char *bli_arch_string(int id) { return id == 3 ? "zen3" : "other"; }
long bli_thread_get_num_threads(void) { return -1; }
"""
FLEXIBLAS = """
#include <string.h>
void flexiblas_get_version(int *major, int *minor, int *patch) { *major = 3; *minor = 4; *patch = 2; }
int flexiblas_current_backend(char *name, unsigned long size) { strncpy(name, "OPENBLAS-OPENMP", size); return 15; }
"""
THREADS = "int omp_get_max_threads(void) { return 3; }"
CRASHING = "char *openblas_get_config(void) { return *(char *volatile *)0; }"


def test_each_library_that_a_run_had_loaded_is_asked_in_a_process_of_its_own(tmp_path: Path) -> None:
    """All of them under one interpreter: two of a kind, one that crashes, one that is none, and a library of others."""
    site = tmp_path / "site"
    sources = {
        "scipy.libs/libscipy_openblas64_-1a2b.so": OPENBLAS,
        "libmkl_rt.so.2": MKL,
        "libblis.so.4": BLIS,
        "libflexiblas.so.3": FLEXIBLAS,
        "one.libs/libgomp-1a.so.1.0.0": THREADS,
        "two.libs/libgomp-2b.so.1.0.0": THREADS,
        "other.libs/libopenblas.so.0": CRASHING,
        "other.libs/libother.so": THREADS,
    }
    for name, source in sources.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        words = ["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", str(site / name)]
        subprocess.run(words, input=source.encode(), check=True)
    (site / "libblas.so.3").write_bytes(b"no library")
    paths = [*map(str, site.rglob("*.so*")), str(site / "libgomp.so.1")]  # the last is gone since
    env = {**os.environ, "PYTHONPATH": str(site)}
    numerics, gaps = measure_host(Path(sys.executable), env=env, cwd=tmp_path, mapped=paths)
    assert gaps == []
    told = {one.path: (one.version, one.kernel, one.threads) for one in numerics.libraries}
    assert {path: words for path, words in told.items() if (site / path).exists()} == {
        "libblas.so.3": ("", "", 0),
        "libblis.so.4": ("BLIS 0.9.0", "zen3", 0),
        "libflexiblas.so.3": ("FlexiBLAS 3.4.2", "OPENBLAS-OPENMP", 0),
        "libmkl_rt.so.2": ("MKL 2024.1", "", 5),
        "one.libs/libgomp-1a.so.1.0.0": ("", "", 3),
        "other.libs/libopenblas.so.0": ("", "", 0),
        "scipy.libs/libscipy_openblas64_-1a2b.so": ("OpenBLAS 0.3.29.dev", "SkylakeX", 7),
        "two.libs/libgomp-2b.so.1.0.0": ("", "", 3),
    }


@given(st.text())
def test_any_other_output_is_a_gap(text: str) -> None:
    numerics, gaps = read_numerics(f"{START}\n{text}\n{END}")
    assert numerics.operations == {}
    assert len(gaps) == 1


def test_the_task_carries_the_program() -> None:
    task = numerics_task(gpus=[])
    for content in task.files.values():
        compile(content, "program", "exec")
    assert task.command[-1] in task.files
    assert task.gpus == []
