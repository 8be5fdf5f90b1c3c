"""Which variables may enter a lock, and what the reference run is started with."""

import os
from pathlib import Path

import pytest

from envcap.evaluate.environment import recordable, with_interpreter_first

CANARY = "c4n4ry"


def test_variables_that_change_numbers_are_recorded_unasked() -> None:
    environ = {
        "OMP_NUM_THREADS": "4",
        "PYTHONHASHSEED": "0",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        "CUDA_VISIBLE_DEVICES": "0",
        "MKL_CBWR": "COMPATIBLE",
        "NVIDIA_TF32_OVERRIDE": "0",
        "TF_ENABLE_ONEDNN_OPTS": "0",
        "TOKENIZERS_PARALLELISM": "false",
        "XLA_FLAGS": "--xla_gpu_deterministic_ops=true",
    }
    chosen, gaps = recordable(environ, named=[])
    assert chosen == environ
    assert list(chosen) == sorted(environ)
    assert gaps == []


def test_all_others_are_not() -> None:
    environ = {
        "HOME": "/home/user",
        "PATH": "/usr/bin",
        "USER": "user",
        "PYTHONPATH": "/x",
        "LD_LIBRARY_PATH": "/x",
        "CUDA_HOME": "/usr/local/cuda",
        "CUDA_VERSION": "12.4",
        "NVIDIA_VISIBLE_DEVICES": "all",
        "TORCH_HOME": "/x",
        "TRITON_CACHE_DIR": "/x",
        "XOMP_NUM_THREADS": "1",
        "OMP_": "1",
        "omp_num_threads": "1",
        "WANDB_API_KEY": CANARY,
        "HF_TOKEN": CANARY,
        "AWS_SECRET_ACCESS_KEY": CANARY,
    }
    assert recordable(environ, named=[]) == ({}, [])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TORCH_AUTH_TOKEN", CANARY),
        ("JAX_SECRET", CANARY),
        ("TF_PROXY", f"https://user:{CANARY}@example.org"),
        ("TF_PROXY", f"https://{CANARY}@example.org"),
        ("TF_PROXY", f"use https://user:{CANARY}@example.org now"),
        ("TF_PROXY", f"https://example.org/?token={CANARY}"),
        ("TF_PROXY", f"http://[:{CANARY}@"),
        ("TF_NOTE", f"two\n{CANARY}"),
        ("TF_NOTE", f"red \x1b[31m{CANARY}"),
        ("TF_NOTE", f"{CANARY}\0"),
        ("TF_NOTE", f"caf\udce9 {CANARY}"),
    ],
)
def test_a_value_that_may_be_a_secret_or_fits_no_line_is_left_out(name: str, value: str) -> None:
    assert recordable({name: value}, named=[]) == ({}, [])
    chosen, gaps = recordable({name: value}, named=[name])
    assert chosen == {}
    assert [gap.subject for gap in gaps] == [name]
    assert CANARY not in repr(gaps)


def test_a_named_variable_is_recorded() -> None:
    chosen, gaps = recordable({"RUN_LABEL": "a b", "CUDA_HOME": "/x", "OTHER": "1"}, named=["RUN_LABEL", "CUDA_HOME"])
    assert (chosen, gaps) == ({"CUDA_HOME": "/x", "RUN_LABEL": "a b"}, [])


@pytest.mark.parametrize(
    "name", ["MISSING", "PATH", "LD_PRELOAD", "PYTHONPATH", "my.setting", "BASH_FUNC_x%%", "", "A=B", "API_KEY"]
)
def test_a_named_variable_that_cannot_be_recorded_is_a_gap(name: str) -> None:
    environ = {"PATH": "/bin", "LD_PRELOAD": "/x.so", "PYTHONPATH": "/x", "my.setting": "1", "BASH_FUNC_x%%": "()"}
    chosen, gaps = recordable({**environ, "API_KEY": CANARY}, named=[name])
    assert chosen == {}
    assert [(gap.where, gap.subject) for gap in gaps] == [("system.environment", name)]


def test_the_frozen_interpreter_comes_first() -> None:
    environ = {"PATH": "/usr/bin", "HOME": "/h", "ENVCAP_JSON": "1", "PYTHONHOME": "/x", "VIRTUAL_ENV": "/other"}
    inside = with_interpreter_first(environ, programs=Path("/env/bin"), prefix=Path("/env"))
    assert inside == {"PATH": "/env/bin:/usr/bin", "HOME": "/h", "VIRTUAL_ENV": "/env"}
    outside = with_interpreter_first(environ, programs=Path("/opt/bin"), prefix=None)
    assert outside == {"PATH": "/opt/bin:/usr/bin", "HOME": "/h"}


def test_without_a_path_there_is_still_one() -> None:
    assert with_interpreter_first({}, programs=Path("/env/bin"), prefix=None)["PATH"] == f"/env/bin:{os.defpath}"
