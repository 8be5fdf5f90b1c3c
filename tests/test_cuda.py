"""Which CUDA packages bring, and what can run it."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envcap.cuda import Stack, complaints, cuda_of, stack_of
from envcap.model.facts import Gpu, Hardware
from envcap.model.lock import Base, CondaPackage, Lock, Package, Toolkit, Wheel

replace = msgspec.structs.replace


def package(name: str, version: str, *, machine: str = "x86_64") -> Package:
    wheel = Wheel(name=f"{name}-1-cp311-cp311-manylinux_2_28_{machine}.whl", sha256="0" * 64)
    return Package(name=name, version=version, wheel=wheel)


def machine(driver: str | None, *capabilities: str) -> Hardware:
    gpus = [Gpu(name="Example", memory=1, compute_capability=capability) for capability in capabilities]
    return Hardware(cpu="x", cores=1, memory=1, gpus=gpus, driver=driver)


@pytest.mark.parametrize(
    ("packages", "cuda"),
    [
        ([], None),
        ([package("numpy", "2.0.0")], None),
        ([package("torch", "2.13.0+cpu")], None),
        ([package("torch", "2.7.0+cu128")], "12.8"),
        ([package("torch", "2.0.1+cu117")], "11.7"),
        ([package("torch", "1.7.1+cu101")], "10.1"),
        ([package("torch", "2.7.0"), package("nvidia-cuda-runtime-cu12", "12.6.77")], "12.6"),
        ([package("nvidia-cuda-runtime", "13.0.48"), package("torch", "2.7.0+cu128")], "13.0"),
    ],
)
def test_the_cuda_of_packages(packages: list[Package], cuda: str | None) -> None:
    stack = cuda_of(packages)
    assert (stack.cuda if stack else None) == cuda


def test_the_system_tells_where_the_packages_do_not(sample_lock: Lock) -> None:
    assert stack_of(sample_lock) is None
    toolkit = Toolkit(release="12.4", image=Base(reference="nvidia/cuda:12.4.1"), libraries=["libcudart.so.12"])
    of_system = replace(sample_lock, toolkit=toolkit)
    assert stack_of(of_system) == Stack(cuda="12.4", told_by="the system's toolkit")
    wheels = stack_of(replace(of_system, packages=[package("nvidia-cuda-runtime-cu12", "12.6.77")]))
    assert wheels is not None
    assert wheels.cuda == "12.6"


@pytest.mark.parametrize(
    ("name", "version", "cuda"),
    [
        ("cuda-version", "12.8", "12.8"),
        ("cudatoolkit", "11.8.0", "11.8"),
        ("cuda-cudart", "12.4.127", "12.4"),
        ("cuda-version", "12", None),
        ("cuda-nvcc-tools", "12.4.127", None),
        ("zlib", "1.3.1", None),
    ],
)
def test_the_cuda_of_conda_packages(name: str, version: str, cuda: str | None, sample_lock: Lock) -> None:
    one = CondaPackage(name=name, version=version, build="0", subdir="linux-64", channel="x", file="x", sha256="0" * 64)
    stack = stack_of(replace(sample_lock, conda=[one]))
    assert (stack.cuda if stack else None) == cuda


@pytest.mark.parametrize(
    ("cuda", "driver", "capability", "words"),
    [
        ("12.8", "570.86.10", "9.0", None),
        ("12.8", "525.60.13", "9.0", None),  # any release of a major version runs on its first driver
        ("12.8", "520.61.05", "9.0", "the driver `520.61.05` is too old for CUDA 12.8"),
        ("13.0", "570.86.10", "9.0", "needs 580.65.06 or newer"),
        ("13.0", "595.58.03", "7.0", "has no code for `Example`, compute capability 7.0: it begins at 7.5"),
        ("12.6", "595.58.03", "12.0", "compute capability 12.0, which came with CUDA 12.8"),
        ("11.7", "595.58.03", "9.0", "which came with CUDA 11.8"),
        ("11.8", "595.58.03", "8.9", None),
        ("11.7", "595.58.03", "8.9", None),  # it runs the code for 8.6
        ("10.1", "418.39", "7.5", None),
        ("10.2", "418.39", "7.5", "needs 440.33 or newer"),
        ("12.8", None, "9.0", None),
        ("99.0", "1.0", "99.0", None),  # unknown says nothing
        ("12.8", "570.86.10", "", None),
    ],
)
def test_what_can_run_it(cuda: str, driver: str | None, capability: str, words: str | None) -> None:
    found = complaints(Stack(cuda=cuda, told_by="torch"), machine(driver, capability))
    assert len(found) == (words is not None)
    assert all(words is not None and words in one for one in found)


# What torch 2.9.1 of PyPI comes with, and others that differ in one thing.
TORCH = {"release": "2.9.1", "cuda": "12.8", "driver": "580.65.06", "capability": "9.0"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, None),
        ({"capability": "7.0"}, None),
        (
            {"capability": "6.1"},
            "torch 2.9.1 has no code for `Example`, compute capability 6.1: it was compiled for 7.0",
        ),
        ({"capability": "8.9"}, None),  # it runs the code for 8.6
        ({"capability": "12.1"}, None),
        ({"capability": "13.0"}, "compute capability 13.0: it was compiled for 7.0, 7.5, 8.0, 8.6, 9.0, 10.0, 12.0"),
        ({"release": "2.7.1", "capability": "7.0"}, "torch 2.7.1 has no code"),  # between 6.0 and 8.0 it differs
        ({"release": "2.6.0", "cuda": "12.4", "capability": "6.1"}, None),
        ({"release": "2.6.0", "cuda": "12.6", "capability": "12.0"}, "which came with CUDA 12.8"),  # said once
        ({"cuda": "13.0", "capability": "13.0"}, None),  # of its PTX
        ({"cuda": "13.0", "capability": "13.0", "driver": "590.44.01"}, None),
        (
            {"release": "2.12.0", "cuda": "13.2", "capability": "13.0"},
            "compiles none of CUDA 13.2: that needs 595.45.04",
        ),
        ({"release": "2.3.0", "cuda": "12.1", "capability": "13.0"}, None),  # not in the table
        ({"release": "2.0.1", "cuda": "11.7", "capability": "8.9"}, None),
        ({"release": "2.0.1", "cuda": "11.7", "capability": "3.5"}, "it was compiled for 3.7, 5.0"),
        ({"release": "9.9.9", "capability": "13.0"}, None),
        ({"machine": "aarch64", "capability": "6.1"}, None),
    ],
)
def test_what_torch_was_compiled_for(changes: dict[str, str], words: str | None) -> None:
    said = {**TORCH, **changes}
    torch = package("torch", said["release"], machine=said.get("machine", "x86_64"))
    stack = cuda_of([torch, package("nvidia-cuda-runtime-cu12", f"{said['cuda']}.1")])
    assert stack is not None
    found = complaints(stack, machine(said["driver"], said["capability"]))
    assert len(found) == (words is not None)
    assert all(words is not None and words in one for one in found)


def test_every_gpu_is_looked_at() -> None:
    found = complaints(Stack(cuda="13.0", told_by="torch"), machine("580.95.05", "9.0", "6.1", "5.2"))
    assert len(found) == 2


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_any_text_is_taken(version: str, driver: str, capability: str) -> None:
    stack = cuda_of([package("torch", version), package("nvidia-cuda-runtime-cu12", version)])
    complaints(stack or Stack(cuda=version, told_by="x"), machine(driver, capability))
