"""Copies of CUDA's and ROCm's libraries: made by a C compiler where the real ones are too large, real where not."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from envcap.machine.gpu_libraries import with_loaded
from envcap.probe.handover import probe_host, unlisted_libraries
from envcap.probe.target.amd import describe_amd_gpus, target_name
from envcap.probe.target.gpu_libraries import _version_of_toolkit, list_gpu_libraries, version_in_json, version_of

CUDNN = "unsigned long cudnnGetVersion(void) { return 92600; }"
NCCL = "int ncclGetVersion(int *version) { *version = 23007; return 0; }"
CRASHING = "unsigned long cublasLtGetVersion(void) { return *(volatile unsigned long *)0; }"
WITHOUT_GPU = "int hipRuntimeGetVersion(int *version) { return 100; }"


def compile_library(path: Path, source: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", path], input=source.encode(), check=True)


def test_each_copy_says_its_version_and_where_none_does_its_header(tmp_path: Path) -> None:
    site = tmp_path / "site-packages"
    compile_library(site / "nvidia/cudnn/lib/libcudnn.so.9", CUDNN)
    compile_library(site / "torch/lib/libcudnn-1a2b3c.so.9", "unsigned long cudnnGetVersion(void) { return 8902; }")
    compile_library(site / "nvidia/cublas/lib/libcublasLt.so.12", CRASHING)
    compile_library(site / "torch/lib/libamdhip64.so", WITHOUT_GPU)
    (site / "nvidia/nccl/lib").mkdir(parents=True)
    (site / "nvidia/nccl/lib/libnccl.so.2").write_bytes(b"no library")
    (site / "nvidia/nccl/include").mkdir()
    header = "/* x */\n#define NCCL_MAJOR 2\n#define NCCL_MINOR 30\n#define NCCL_PATCH 7\n"
    (site / "nvidia/nccl/include/nccl.h").write_text(header)
    found = [copy for copy in list_gpu_libraries([str(site)], []) if str(copy["path"]).startswith(str(tmp_path))]
    told = {str(Path(str(copy["path"])).relative_to(site)): (copy["version"], copy["told-by"]) for copy in found}
    assert told == {
        "nvidia/cublas/lib/libcublasLt.so.12": ("", "nothing"),
        "nvidia/cudnn/lib/libcudnn.so.9": ("9.26.0", "library"),
        "nvidia/nccl/lib/libnccl.so.2": ("2.30.7", "header"),
        "torch/lib/libamdhip64.so": ("", "nothing"),
        "torch/lib/libcudnn-1a2b3c.so.9": ("8.9.2", "library"),
    }


def test_a_copy_that_a_run_had_loaded_is_told_wherever_it_is(tmp_path: Path) -> None:
    site = tmp_path / "site-packages"
    compile_library(site / "nvidia/cudnn/lib/libcudnn.so.9", CUDNN)
    compile_library(site / "recogniser.libs/libcudnn-9a8b.so.8", "unsigned long cudnnGetVersion(void) { return 8902; }")
    compile_library(site / "recogniser.libs/libother.so", CUDNN)
    env = {**os.environ, "PYTHONPATH": str(site)}
    mapped = [str(path) for path in site.rglob("*.so*")]
    before = probe_host(Path(sys.executable), env=env)
    unlisted = unlisted_libraries(before, mapped)
    assert unlisted == [str(site / "recogniser.libs/libcudnn-9a8b.so.8")]
    facts = probe_host(Path(sys.executable), env=env, loaded=unlisted)
    assert unlisted_libraries(facts, mapped) == []
    loaded = with_loaded(facts, unlisted, watched=True).gpu_libraries
    assert {copy.path: (copy.version, copy.told_by, copy.loaded) for copy in loaded if "cudnn" in copy.path} == {
        "nvidia/cudnn/lib/libcudnn.so.9": ("9.26.0", "library", False),
        "recogniser.libs/libcudnn-9a8b.so.8": ("8.9.2", "library", True),
    }


@pytest.mark.parametrize(
    ("content", "version"),
    [
        ('{"cuda": {"version": "12.8.1"}, "libcublas": {"name": "CUDA cuBLAS", "version": "12.8.4.1"}}', "12.8.4"),
        ('{"cuda": {"version": "12.8.1"}}', ""),
        ('{"libcublas": {"version": "12.x"}}', ""),
        ('{"libcublas": {"version": 12}}', ""),
        ('{"libcublas": "12.8.4.1"}', ""),
        ("[]", ""),
        ("{", ""),
    ],
)
def test_a_toolkit_tells_of_libraries_that_do_not_themselves(content: str, version: str, tmp_path: Path) -> None:
    file = tmp_path / "cuda" / "targets" / "x86_64-linux" / "lib" / "libcublasLt.so.12.8.4.1"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"no library")
    (tmp_path / "cuda" / "version.json").write_text(content)
    told = [copy for copy in list_gpu_libraries([], [str(file)]) if copy["path"] == str(file)]
    assert [(copy["version"], copy["told-by"]) for copy in told] == [
        (version, "version.json" if version else "nothing")
    ]
    assert version_in_json("cudnn", str(file)) == ""


@pytest.mark.network
def test_the_real_cuda_runtime_answers_without_a_gpu(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(tmp_path)]
    subprocess.run([*pip, "nvidia-cuda-runtime-cu12==12.8.90"], check=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        wheel.extractall(tmp_path / "site")
    found = [copy for copy in list_gpu_libraries([str(tmp_path / "site")], []) if str(tmp_path) in str(copy["path"])]
    assert [(copy["name"], copy["version"], copy["told-by"]) for copy in found] == [("cuda runtime", "12.8", "library")]


@pytest.mark.parametrize(
    ("name", "numbers", "version"),
    [
        ("cuda runtime", [13020], "13.2"),
        ("cudnn", [92600], "9.26.0"),
        ("cudnn", [8902], "8.9.2"),
        ("cublas", [130401], "13.4.1"),
        ("nccl", [23007], "2.30.7"),
        ("nccl", [2804], "2.8.4"),
        ("nvrtc", [13, 2], "13.2"),
        ("hip", [60241134], "6.2.41134"),
        ("miopen", [3, 2, 0], "3.2.0"),
        ("nccl", [0], ""),
        ("nccl", [], ""),
    ],
)
def test_numbers_are_unpacked_as_each_maker_packs_them(name: str, numbers: list[int], version: str) -> None:
    assert version_of(name, numbers) == version


@pytest.mark.parametrize(
    ("name", "path", "version"),
    [
        ("cuda runtime", "/usr/local/cuda-12.8/targets/x86_64-linux/lib/libcudart.so.12.8.90", "12.8"),
        ("cublas", "/usr/local/cuda-12.8/lib64/libcublasLt.so.12", ""),
        ("cuda runtime", "/usr/local/cuda-extras/lib/libcudart.so.12", ""),
        ("cuda runtime", "/opt/cuda-12.8/lib/libcudart.so.12", ""),
    ],
)
def test_a_toolkits_folder_tells_the_runtime(name: str, path: str, version: str) -> None:
    assert _version_of_toolkit(name, path) == version


def test_amds_gpus_are_read_from_the_kernel(tmp_path: Path) -> None:
    nodes = tmp_path / "sys/class/kfd/kfd/topology/nodes"
    for node, lines in {
        "0": "cpu_cores_count 64\nsimd_count 0\ngfx_target_version 0\n",
        "1": "simd_count 440\nsimd_per_cu 4\ngfx_target_version 90010\ndrm_render_minor 128\nvendor_id 4098\n",
    }.items():
        (nodes / node / "mem_banks/0").mkdir(parents=True)
        (nodes / node / "properties").write_text(lines)
        (nodes / node / "name").write_text("aldebaran\n")
        (nodes / node / "mem_banks/0/properties").write_text("heap_type 1\nsize_in_bytes 68702699520\n")
    product = tmp_path / "sys/class/drm/renderD128/device"
    product.mkdir(parents=True)
    (product / "product_name").write_text("AMD Instinct MI250X\n")
    (tmp_path / "sys/module/amdgpu").mkdir(parents=True)
    (tmp_path / "sys/module/amdgpu/version").write_text("6.8.5\n")
    gpus, driver = describe_amd_gpus(str(tmp_path))
    assert driver == "6.8.5"
    assert gpus == [
        {
            "name": "AMD Instinct MI250X",
            "maker": "amd",
            "memory": 68702699520,
            "compute-capability": "gfx90a",
            "multiprocessors": 110,
            "visible": True,
        }
    ]
    assert describe_amd_gpus(str(tmp_path / "none")) == ([], None)


@pytest.mark.parametrize(("version", "name"), [(90010, "gfx90a"), (90402, "gfx942"), (110000, "gfx1100"), (0, "")])
def test_amds_targets(version: int, name: str) -> None:
    assert target_name(version) == name
