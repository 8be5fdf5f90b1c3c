"""GPUs, through the real binding and a small C library that answers as NVML does."""

import hashlib
import os
import sys
from pathlib import Path

import msgspec
import pytest

from envcap.model.facts import Facts, Gpu, GpuSlice
from envcap.model.gap import Gap
from envcap.probe.handover import probe_host
from envcap.probe.target.gaps import Gaps
from envcap.probe.target.gpus import cuda_version, describe_gpus


def _probe(python: Path, folder: Path, **settings: int) -> Facts:
    """Describe a machine whose only NVML is the one in `folder`."""
    env = {"LD_LIBRARY_PATH": str(folder), **{name: str(value) for name, value in settings.items()}}
    return probe_host(python, env=env)


def _gaps(facts: Facts) -> list[Gap]:
    return [gap for gap in facts.gaps if gap.where == "hardware"]


def test_an_h100_in_slices_under_every_python(interpreter: Path, nvml: Path) -> None:
    facts = _probe(interpreter, nvml)
    hardware = facts.hardware
    assert (hardware.driver, hardware.cuda_driver) == ("570.86.10", "12.8")
    piece = GpuSlice(profile="1g.10gb", memory=9984 << 20, multiprocessors=16)
    digest = hashlib.sha256(b"GPU-0001-canary").hexdigest()[:12]
    assert hardware.gpus == [
        Gpu(
            name="NVIDIA H100 80GB HBM3",
            memory=85520809984,
            compute_capability="9.0",
            mig=True,
            ecc=True,
            uuid_digest=digest,
            multiprocessors=132,
            compute_mode="exclusive-process",
            power_limit=700,
            graphics_clock=1980,
            memory_clock=2619,
            pcie_generation=5,
            pcie_width=16,
            vbios="96.00.74.00.01",
            slices=[piece, piece],
        )
    ]
    assert _gaps(facts) == []
    assert b"canary" not in msgspec.json.encode(facts)  # an identifier names one machine


def test_a_card_for_consumers_has_neither_ecc_nor_slices(nvml: Path) -> None:
    facts = _probe(Path(sys.executable), nvml, FAKE_CONSUMER=1)
    assert facts.hardware.gpus == [
        Gpu(
            name="NVIDIA GeForce RTX 4090",
            memory=25757220864,
            compute_capability="8.9",
            mig=False,
            ecc=None,
            uuid_digest=hashlib.sha256(b"GPU-0001-canary").hexdigest()[:12],
            multiprocessors=128,
            compute_mode="default",
            power_limit=450,
            graphics_clock=3105,
            memory_clock=10501,
            pcie_generation=4,
            pcie_width=16,
            vbios="96.00.74.00.01",
        )
    ]
    assert _gaps(facts) == []


@pytest.mark.parametrize(
    ("setting", "visible"),
    [
        ("1", [False, True]),
        ("-1", [False, False]),
        ("GPU-0002", [False, True]),
        ("MIG-0101", None),
        ("0,1", [True, True]),
    ],
)
def test_what_cuda_would_show(setting: str, visible: list[bool] | None, nvml: Path) -> None:
    env = {"LD_LIBRARY_PATH": str(nvml), "FAKE_COUNT": "2", "CUDA_VISIBLE_DEVICES": setting}
    gpus = probe_host(Path(sys.executable), env=env).hardware.gpus
    # The small library gives both cards slices of the same names, so that one of them names neither.
    assert [gpu.visible for gpu in gpus] == (visible or [False, False])


def test_an_old_driver_that_knows_only_the_main_facts(nvml: Path) -> None:
    facts = _probe(Path(sys.executable), nvml, FAKE_MORE=13, FAKE_UUID=3, FAKE_SLICES=0)
    assert facts.hardware.gpus == [
        Gpu(name="NVIDIA H100 80GB HBM3", memory=85520809984, compute_capability="9.0", mig=True, ecc=True)
    ]
    assert _gaps(facts) == []


def test_a_library_that_does_not_fit_the_driver_is_a_gap(nvml: Path) -> None:
    facts = _probe(Path(sys.executable), nvml, FAKE_INIT=18)
    assert (facts.hardware.gpus, facts.hardware.driver) == ([], None)
    assert [gap.reason for gap in _gaps(facts)] == ["NVML does not start: RM has detected an NVML/RM version mismatch."]


def test_an_error_that_the_binding_does_not_know_is_told_in_the_librarys_words(nvml: Path) -> None:
    (gap,) = _gaps(_probe(Path(sys.executable), nvml, FAKE_INIT=4242))
    assert gap.reason == "NVML does not start: words of the fake library"


def test_what_the_hardware_lacks_is_no_gap(nvml: Path) -> None:
    facts = _probe(Path(sys.executable), nvml, FAKE_MIG=3, FAKE_ECC=3)
    assert (facts.hardware.gpus[0].mig, facts.hardware.gpus[0].ecc) == (False, None)
    assert _gaps(facts) == []


def test_what_nvml_refuses_is_a_gap(nvml: Path) -> None:
    facts = _probe(Path(sys.executable), nvml, FAKE_MEMORY=4, FAKE_ECC=4, FAKE_COUNT=2)
    assert len(facts.hardware.gpus) == 2
    assert facts.hardware.gpus[0].ecc is None
    assert [gap.subject for gap in _gaps(facts)] == ["gpu 0 memory", "gpu 0 ecc", "gpu 1 memory", "gpu 1 ecc"]
    assert _gaps(facts)[0].reason == "NVML answers: Insufficient Permissions"


def test_a_driver_without_gpus_is_no_gap(nvml: Path) -> None:
    facts = _probe(Path(sys.executable), nvml, FAKE_COUNT=0)
    assert (facts.hardware.gpus, facts.hardware.driver, _gaps(facts)) == ([], "570.86.10", [])


def test_a_library_that_cannot_be_loaded_is_a_gap(tmp_path: Path) -> None:
    (tmp_path / "libnvidia-ml.so.1").write_bytes(b"no library")
    (gap,) = _gaps(_probe(Path(sys.executable), tmp_path))
    assert gap.reason.startswith("NVML cannot be used: ")
    assert "libnvidia-ml.so.1" in gap.reason


def test_devices_without_the_library_are_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str, _: int) -> int:
        raise OSError(f"{name}: cannot open shared object file: No such file or directory")

    import _ctypes

    gaps = Gaps()
    monkeypatch.setattr(_ctypes, "dlopen", absent)
    for present in (False, True):  # as on a machine without GPUs, then as in a container that got only the devices
        monkeypatch.setattr(os.path, "exists", lambda _, answer=present: answer)
        assert describe_gpus(gaps)["gpus"] == []
        assert len(gaps.found) == int(present)


@pytest.mark.parametrize(
    ("number", "text"), [(12080, "12.8"), (11040, "11.4"), (13000, "13.0"), (0, None), (None, None)]
)
def test_cuda_versions(number: object, text: str | None) -> None:
    assert cuda_version(number) == text
