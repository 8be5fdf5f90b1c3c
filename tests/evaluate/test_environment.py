"""Which variables may enter a lock, and what the reference run is started with."""

import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from envcap.evaluate.environment import locale_gaps, recordable, with_interpreter_first
from envcap.evaluate.observe import inner_settings
from envcap.model.lock import Lock

CANARY = "c4n4ry"
UUID = "8932f937-d72c-4106-c12f-20bd9faed9f6"


def test_variables_that_change_numbers_are_recorded_unasked() -> None:
    environ = {
        "OMP_NUM_THREADS": "4",
        "PYTHONHASHSEED": "0",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        "CUDA_VISIBLE_DEVICES": "",
        "HIP_VISIBLE_DEVICES": "-1",
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
        "CUDA_VISIBLE_DEVICES": "3",
        "HIP_VISIBLE_DEVICES": "0",
        "ROCR_VISIBLE_DEVICES": f"GPU-{UUID}",
        "NCCL_SOCKET_IFNAME": "eth0",
        "NCCL_IB_HCA": "mlx5_0",
        "TF_CONFIG": '{"cluster": {"worker": ["192.0.2.1:12345"]}}',
        "JAX_COORDINATOR_ADDRESS": "192.0.2.1:1234",
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
        ("TORCH_API", f"hf_{CANARY}AbCdEfGhIjKlMnOp"),
        ("XLA_FLAGS", f"--a=1 --key=ghp_{CANARY}0123456789abcdef"),
        ("TORCH_RUN", f"{CANARY}0123456789abcdef0123456789abcdef"),
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


def test_a_device_is_never_named_by_its_identifier() -> None:
    for value in (f"GPU-{UUID}", "GPU-8932f937", f"MIG-{UUID}", f"MIG-GPU-{UUID}/1/0", f"0,GPU-{UUID}"):
        for name in ("CUDA_VISIBLE_DEVICES", "JAX_DEVICE"):
            chosen, gaps = recordable({name: value}, named=[name])
            assert (chosen, [gap.subject for gap in gaps]) == ({}, [name])
            assert UUID not in repr(gaps)
    assert recordable({"CUDA_VISIBLE_DEVICES": "1"}, named=["CUDA_VISIBLE_DEVICES"])[0] == {"CUDA_VISIBLE_DEVICES": "1"}


def test_settings_of_a_process_are_held_to_the_same_rules() -> None:
    texts = [
        "OMP_NUM_THREADS=4",
        "OMP_NUM_THREADS=8",
        f"CUDA_VISIBLE_DEVICES=GPU-{UUID}",
        "ROCR_VISIBLE_DEVICES=2",
        "NCCL_SOCKET_IFNAME=eth0",
        f"TORCH_API=hf_{CANARY}AbCdEfGhIjKlMnOp",
        f"torch seed=https://user:{CANARY}@example.org/",
        "torch threads=4",
    ]
    assert inner_settings(texts) == {"OMP_NUM_THREADS": "4, 8", "torch threads": "4"}


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


def test_only_locales_that_the_image_lacks_are_gaps(sample_lock: Lock) -> None:
    several = {"LC_COLLATE": "sv_SE.utf8", "LC_NUMERIC": "C", "LC_TIME": "de_CH.ISO-8859-1"}
    system = replace(sample_lock.system, locale="de_DE.UTF-8", locale_categories=several)
    found = {gap.subject: gap.reason for gap in locale_gaps(system, ["de_DE.UTF-8"])}
    assert found.keys() == {"sv_SE.utf8", "de_CH.ISO-8859-1"}
    assert "no package" in found["sv_SE.utf8"]
    assert "only locales in UTF-8" in found["de_CH.ISO-8859-1"]
    assert locale_gaps(replace(system, locale="POSIX", locale_categories={"LC_TIME": "C.utf8"}), ()) == []
