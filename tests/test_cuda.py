"""Which CUDA packages bring, and what can run it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envcap.cuda import Stack, complaints, cuda_of
from envcap.model.facts import Gpu, Hardware
from envcap.model.lock import Package, Wheel

WHEEL = Wheel(name="x-1-py3-none-any.whl", sha256="0" * 64)


def package(name: str, version: str) -> Package:
    return Package(name=name, version=version, wheel=WHEEL)


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
        ("12.8", None, "9.0", None),
        ("99.0", "1.0", "99.0", None),  # unknown says nothing
        ("12.8", "570.86.10", "", None),
    ],
)
def test_what_can_run_it(cuda: str, driver: str | None, capability: str, words: str | None) -> None:
    found = complaints(Stack(cuda=cuda, told_by="torch"), machine(driver, capability))
    assert len(found) == (words is not None)
    assert all(words is not None and words in one for one in found)


def test_every_gpu_is_looked_at() -> None:
    found = complaints(Stack(cuda="13.0", told_by="torch"), machine("580.95.05", "9.0", "6.1", "5.2"))
    assert len(found) == 2


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_any_text_is_taken(version: str, driver: str, capability: str) -> None:
    stack = cuda_of([package("torch", version), package("nvidia-cuda-runtime-cu12", version)])
    complaints(stack or Stack(cuda=version, told_by="x"), machine(driver, capability))
