"""Which GPUs a container is given, and what doctor says of them: NVIDIA's through the small NVML, AMD's as facts."""

import sys
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from envcap.doctor import examine_gpus
from envcap.errors import NotRunError, WrongUsageError
from envcap.gpus import chosen_gpus
from envcap.model.examination import Examination
from envcap.model.facts import Facts, Gpu
from envcap.model.lock import Lock
from envcap.probe.handover import probe_host

AMD = Gpu(name="AMD Instinct MI210", maker="amd", memory=64 << 30, compute_capability="gfx90a")
APPLE = Gpu(name="Apple M2 GPU", maker="apple", memory=16 << 30, compute_capability="")
NVIDIA = Gpu(name="NVIDIA H100 80GB HBM3", memory=80 << 30, compute_capability="9.0")
HIDDEN = replace(NVIDIA, visible=False)


@pytest.mark.parametrize(
    ("gpus", "chosen"),
    [([], None), ([NVIDIA], []), ([HIDDEN], None), ([AMD], None), ([APPLE], None), ([AMD, NVIDIA], []),
     ([AMD, HIDDEN], None), ([replace(NVIDIA, visible=None)], [])],
)  # fmt: skip
def test_only_nvidias_gpus_are_asked_for_by_default(gpus: list[Gpu], chosen: Any, sample_lock: Lock) -> None:
    lock = replace(sample_lock, hardware=replace(sample_lock.hardware, gpus=gpus))
    assert chosen_gpus("auto", lock) == chosen
    assert chosen_gpus("none", lock) is None
    assert chosen_gpus("all", lock) == []


def test_some_gpus(sample_lock: Lock) -> None:
    assert chosen_gpus("0, 2", sample_lock) == ["0", "2"]
    assert chosen_gpus("GPU-0a-1,MIG-2b", sample_lock) == ["GPU-0a-1", "MIG-2b"]
    for asked in ("", "first", "0;1", "0,", "-1"):
        with pytest.raises(WrongUsageError):
            chosen_gpus(asked, sample_lock)


def points(facts: Facts, *runtimes: str) -> dict[str, Examination]:
    return {point.subject: point for point in examine_gpus(facts, runtimes=lambda: [*runtimes])}


def machine(nvml: Path, **settings: str) -> Facts:
    return probe_host(Path(sys.executable), env={"LD_LIBRARY_PATH": str(nvml), **settings})


def test_doctor_with_a_gpu_of_nvidia(nvml: Path) -> None:
    facts = machine(nvml, FAKE_CONSUMER="1")
    found = points(facts, "nvidia", "runc")
    assert {point.state for point in found.values()} == {"good"}
    assert found["GPU"].found == "NVIDIA GeForce RTX 4090; driver 570.86.10; up to CUDA 12.8"
    without = points(facts, "runc")["GPU runtime"]
    assert (without.state, without.found) == ("missing", "the engine has only `runc`")
    assert "nvidia-container-toolkit" in without.hint

    def nothing() -> list[str]:
        raise NotRunError("No engine answers.")

    assert examine_gpus(facts, runtimes=nothing)[1].found == "No engine answers."


def test_doctor_with_a_driver_that_cannot_be_asked_or_with_no_gpu(nvml: Path) -> None:
    (failed,) = points(machine(nvml, FAKE_INIT="18")).values()
    assert (failed.subject, failed.state) == ("GPU", "failed")
    assert "version mismatch" in failed.found
    (missing,) = points(machine(nvml, FAKE_COUNT="0")).values()
    assert (missing.subject, missing.state) == ("GPU", "missing")


@pytest.mark.parametrize(
    ("gpu", "driver", "words"), [(AMD, "6.7.0", f"{AMD.name}; driver 6.7.0"), (APPLE, None, APPLE.name)]
)
def test_doctor_with_a_gpu_of_another_maker(gpu: Gpu, driver: str | None, words: str, nvml: Path) -> None:
    facts = machine(nvml)
    hardware = replace(facts.hardware, gpus=[gpu], driver=driver, cuda_driver=None)
    found = points(replace(facts, hardware=hardware), "nvidia", "runc")
    assert found["GPU"].found == words
    assert found["GPU runtime"].state == "missing"
    assert "NVIDIA's GPUs only" in found["GPU runtime"].found


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ([], None),
        ([True], []),
        ([True, True], []),
        ([False, False, True, False], ["0"]),
        ([True, False, True], ["0", "1"]),
        ([False, False], None),
        ([None, None], []),
    ],
)
def test_as_many_as_the_frozen_run_saw(seen: list[bool | None], expected: list[str] | None, sample_lock: Lock) -> None:
    gpus = [replace(NVIDIA, visible=visible) for visible in seen]
    hardware = replace(sample_lock.hardware, gpus=gpus)
    assert chosen_gpus("auto", replace(sample_lock, hardware=hardware)) == expected
