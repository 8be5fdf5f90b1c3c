"""Where the loader finds the libraries that an object names. Follows ld.so(8), "The dynamic linker searches …"."""

import os
import struct
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

from envcap.machine.elf import BrokenElfError, Elf, read_elf

_CACHE = "/etc/ld.so.cache"
_MAGIC = b"glibc-ld.so.cache1.1"
_TRUSTED = ("/lib64", "/usr/lib64", "/lib", "/usr/lib")
_PLATFORMS = {62: "x86_64", 183: "aarch64", 3: "i686"}


def read_cache(content: bytes) -> dict[str, list[str]]:
    """Give the paths of each name in an ld.so.cache, in its order; empty for one of another format.

    Source: glibc, sysdeps/generic/dl-cache.h: a header of 48 bytes, then entries of 24; offsets count from its start.
    """
    start = content.find(_MAGIC)
    if start < 0:
        return {}
    content = content[start:]
    found: dict[str, list[str]] = {}
    try:
        (count,) = struct.unpack_from("<I", content, 20)
        for number in range(min(count, len(content) // 24)):
            _, name, path = struct.unpack_from("<III", content, 48 + 24 * number)
            texts = [os.fsdecode(content[at : content.index(b"\0", at)]) for at in (name, path)]
            if "/glibc-hwcaps/" not in texts[1]:
                found.setdefault(texts[0], []).append(texts[1])
    except (struct.error, ValueError):
        return found
    return found


class Loader:
    """Answers for one machine and one set of variables. Files are read once."""

    def __init__(self, *, environ: Mapping[str, str]) -> None:
        self._library_path = [part for part in environ.get("LD_LIBRARY_PATH", "").replace(";", ":").split(":") if part]
        try:
            self._cached = read_cache(Path(_CACHE).read_bytes())
        except OSError:
            self._cached = {}
        self.read = cache(self._read)

    def find(self, name: str, path: str, elf: Elf, *, above: tuple[str, ...]) -> str | None:
        """Give the path of the library that the object at `path` names, links not followed; None when there is none.

        `above` are the RPATH folders, already expanded, of the objects that loaded this one.
        """
        if "/" in name:
            return name if os.path.exists(name) else None  # noqa: PTH110  (thousands of them)
        for folder in self._folders(path, elf, above=above):
            candidate = f"{folder}/{name}"
            if self._fits(candidate, elf):
                return candidate
        candidates = [*self._cached.get(name, []), *(f"{folder}/{name}" for folder in _TRUSTED)]
        return next((candidate for candidate in candidates if self._fits(candidate, elf)), None)

    def named(self, name: str) -> list[str]:
        """Give where a name that is asked for while a program runs can be: itself, or as the cache has it."""
        if "/" in name:
            return [name] if name.startswith("/") else []
        places = [f"{folder}/{name}" for folder in (*self._library_path, *_TRUSTED)]
        return [*self._cached.get(name, []), *filter(os.path.exists, places)]

    def inherited(self, path: str, elf: Elf, *, above: tuple[str, ...]) -> tuple[str, ...]:
        """Give the RPATH folders that hold for what this object loads: its own, unless it has a RUNPATH, and above."""
        own = () if elf.runpath else tuple(expand(elf.rpath, path, elf))
        return tuple(dict.fromkeys((*own, *above)))

    def _folders(self, path: str, elf: Elf, *, above: tuple[str, ...]) -> Iterator[str]:
        if not elf.runpath:
            yield from self.inherited(path, elf, above=above)
        yield from self._library_path
        yield from expand(elf.runpath, path, elf)

    def _fits(self, candidate: str, elf: Elf) -> bool:
        found = self.read(candidate)
        return found is not None and (found.machine, found.bits) == (elf.machine, elf.bits)

    def _read(self, path: str) -> Elf | None:
        try:
            return read_elf(Path(path))
        except (OSError, BrokenElfError):
            return None


def expand(folders: Iterable[str], path: str, elf: Elf) -> Iterator[str]:
    """Give RPATH folders with `$ORIGIN`, `$LIB` and `$PLATFORM` filled in; `path` is the object that holds them."""
    origin = os.path.dirname(os.path.realpath(path))  # noqa: PTH120  (thousands of them)
    tokens = {
        "ORIGIN": origin,
        "LIB": "lib64" if elf.bits == 64 else "lib",
        "PLATFORM": _PLATFORMS.get(elf.machine, ""),
    }
    for folder in folders:
        text = folder
        for token, value in tokens.items():
            text = text.replace(f"${{{token}}}", value).replace(f"${token}", value)
        yield os.path.normpath(text)
