"""The GPU libraries that the runs loaded and the settings that they ended with, frozen and inside. Pure."""

from collections.abc import Iterable, Mapping

from envcap.model.facts import GpuLibrary
from envcap.model.lock import Lock
from envcap.model.verdict import Finding


def compare_settings(lock: Lock, *, gpu_libraries: Iterable[GpuLibrary], settings: Mapping[str, str]) -> list[Finding]:
    """Give a Finding for each GPU library that is loaded in other versions, and each setting with another value.

    What the frozen run did not load is not missed: a copy elsewhere on the machine has no part in the result. Settings
    that differed between processes or runs already are not held against the image, nor is a run that was not watched.
    """
    if not settings:  # every watched process tells some
        return []
    copies = list(gpu_libraries)
    names = sorted({copy.name for copy in lock.hardware.gpu_libraries if copy.loaded})
    loaded = {name: (_used(lock.hardware.gpu_libraries, name), _used(copies, name)) for name in names}
    stable = {name: value for name, value in lock.settings.items() if ", " not in value}
    values = {name: (value, settings.get(name, "not set")) for name, value in stable.items()}
    return [
        Finding(where=where, subject=subject, frozen=frozen, observed=inside)
        for where, pairs in (("hardware", loaded), ("settings", values))
        for subject, (frozen, inside) in pairs.items()
        if frozen != inside
    ]


def _used(copies: Iterable[GpuLibrary], name: str) -> str:
    versions = {copy.version or "of unknown version" for copy in copies if copy.name == name and copy.loaded}
    return ", ".join(sorted(versions)) or "not loaded"
