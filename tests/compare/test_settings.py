import msgspec

from envcap.compare.settings import compare_settings
from envcap.model.facts import GpuLibrary
from envcap.model.lock import Lock


def copy(name: str, version: str, *, loaded: bool = True) -> GpuLibrary:
    return GpuLibrary(name=name, version=version, path=f"nvidia/{name}", told_by="library", loaded=loaded)


def test_what_was_loaded_or_set_otherwise_is_named(sample_lock: Lock) -> None:

    hardware = msgspec.structs.replace(
        sample_lock.hardware, gpu_libraries=[copy("cudnn", "9.1"), copy("nccl", "2", loaded=False)]
    )
    settings = {"OMP_NUM_THREADS": "1", "torch threads": "2", "torch seed": "3, 4", "MKL_CBWR": "AVX2"}
    lock = msgspec.structs.replace(sample_lock, hardware=hardware, settings=settings)
    inside = {"OMP_NUM_THREADS": "1", "torch threads": "8", "torch seed": "5"}
    found = compare_settings(
        lock, gpu_libraries=[copy("cudnn", "8.9"), copy("cudnn", "9.1", loaded=False)], settings=inside
    )
    assert [(item.where, item.subject, item.frozen, item.observed) for item in found] == [
        ("hardware", "cudnn", "9.1", "8.9"),
        ("settings", "torch threads", "2", "8"),
        ("settings", "MKL_CBWR", "AVX2", "not set"),
    ]
    assert not any(item.fatal for item in found)


def test_a_run_that_was_not_watched_tells_nothing(sample_lock: Lock) -> None:
    lock = msgspec.structs.replace(sample_lock, settings={"OMP_NUM_THREADS": "1"})
    assert compare_settings(lock, gpu_libraries=[], settings={}) == []
