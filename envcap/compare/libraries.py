"""The system libraries that were loaded inside, and their owners' versions, against what the lock says. Pure."""

import re
from collections.abc import Iterable, Mapping

from envcap.model.lock import Executable, Library, Lock
from envcap.model.verdict import Finding

# Up to the first number after `.so`: what stays the same when a library gets a new minor version.
_STEM = re.compile(r"(?:.*/)?(?P<stem>[^/]+?\.so(?:\.[0-9]+)?)[^/]*")
# An interpreter's own modules are its affair; the second is where NVIDIA's image has CUDA.
_SYSTEM = re.compile(r"/(usr/)?lib(32|64|x32)?/(?!python3[.0-9]*/)|/usr/local/cuda-[0-9.]+/")


def compare_libraries(lock: Lock, *, loaded: Iterable[str], versions: Mapping[str, str] | None) -> list[Finding]:
    """List the differences; none is fatal, because the outputs are what is judged.

    `loaded` are the paths of shared objects that the run mapped; empty when nothing was watched, and then nothing is
    said of loading. `versions` are those of the OS packages inside; None where they could not be read.
    """
    return [*_compare_loaded(lock, set(loaded)), *(_compare_versions(lock, versions) if versions else [])]


def _compare_loaded(lock: Lock, loaded: set[str]) -> list[Finding]:
    stems = {_stem(path) for path in loaded if _SYSTEM.match(path)}
    if not stems:
        return []
    programs = {item.name for item in lock.executables}
    known = {_stem(text) for item in lock.libraries for text in (item.path, item.name) if text}
    missing = [
        _finding(item.name, "loaded", "not loaded")
        for item in lock.libraries
        if _is_for_python(item, programs) and not {_stem(item.path), _stem(item.name)} & stems
    ]
    return [
        *missing,
        *(_finding(stem, "not loaded", "loaded") for stem in sorted(stems - known)),
        *_compare_toolkit(lock, loaded),
    ]


def _compare_toolkit(lock: Lock, loaded: set[str]) -> list[Finding]:
    """Compare the libraries that come from NVIDIA's image by the full version that their files are called after."""
    inside = {_stem(path): path.rpartition("/")[2] for path in loaded}
    copied = lock.toolkit.libraries if lock.toolkit is not None else []
    frozen = {item.name: item.path.rpartition("/")[2] for item in lock.libraries if item.name in copied}
    return [
        _finding(name, file, inside[_stem(name)])
        for name, file in sorted(frozen.items())
        if file != name and inside.get(_stem(name), file) not in {file, name}
    ]


def _is_for_python(item: Library, programs: set[str]) -> bool:
    """Tell whether a Python process mapped it: only those are watched inside. The interpreter's own are the base's."""
    by_programs = bool(item.needed_by) and set(item.needed_by) <= programs
    return ".so" in item.name and item.seen in ("loaded", "both") and not item.interpreter and not by_programs


def _compare_versions(lock: Lock, versions: Mapping[str, str]) -> list[Finding]:
    frozen: dict[str, str] = {}
    copied = lock.toolkit.libraries if lock.toolkit is not None else []  # these have no package inside
    owned: list[Library | Executable] = [*lock.executables, *lock.libraries]
    for item in owned:
        if isinstance(item, Library) and (item.interpreter or item.name in copied):
            continue
        if item.package is not None and item.version is not None:
            frozen[item.package] = item.version
    return [
        Finding(where="os-packages", subject=name, frozen=version, observed=versions.get(name, "missing"))
        for name, version in sorted(frozen.items())
        if versions.get(name) != version
    ]


def _stem(path: str) -> str:
    match = _STEM.fullmatch(path)
    return match["stem"] if match else path.rpartition("/")[2]


def _finding(name: str, frozen: str, observed: str) -> Finding:
    return Finding(where="libraries", subject=name, frozen=frozen, observed=observed)
