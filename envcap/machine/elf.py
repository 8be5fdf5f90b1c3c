"""Read of an ELF file what the loader needs to find its libraries. Headers and the dynamic section only.

Source: System V ABI, "Object Files" and "Dynamic Linking"; symbol versions: Linux Standard Base, "Symbol Versioning".
"""

import os
import struct
from collections.abc import Iterator
from pathlib import Path

from envcap.model.struct import Data

_LOAD, _DYNAMIC, _INTERPRETER = 1, 2, 3  # p_type
_NEEDED, _STRINGS, _SONAME, _RPATH, _RUNPATH = 1, 5, 14, 15, 29  # d_tag
_VERSIONS, _VERSION_COUNT = 0x6FFFFFFE, 0x6FFFFFFF
_LONGEST = 4096  # bytes of one string: a path of this system is no longer
_LARGEST_TABLE = 1 << 20  # bytes of program headers or of the dynamic section
_MOST_VERSIONS = 4096


class BrokenElfError(ValueError):
    """It begins as an ELF file does, and goes on as none can."""


class Elf(Data, frozen=True, kw_only=True):
    """What one object asks of the loader. `rpath` and `runpath` as written, split at colons, `$ORIGIN` still in."""

    machine: int  # e_machine: 62 for x86_64, 183 for aarch64
    bits: int
    needed: list[str] = []
    soname: str | None = None
    rpath: list[str] = []
    runpath: list[str] = []
    interpreter: str | None = None  # the loader that a program names; None for a library
    versions: list[str] = []  # symbol versions asked of its libraries, e.g. `GLIBC_2.34`


def read_elf(path: Path) -> Elf | None:
    """Give what an ELF file asks for, None for any other file.

    Raises BrokenElfError for a damaged one and OSError when it cannot be read.
    """
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        head = os.pread(handle, 64, 0)
        if head[:4] != b"\x7fELF":
            return None
        return _Reader(handle, head).read()
    except (struct.error, OverflowError) as error:
        raise BrokenElfError(f"`{path}` is a damaged ELF file") from error
    finally:
        os.close(handle)


class _Reader:
    def __init__(self, handle: int, head: bytes) -> None:
        self._handle = handle
        self._head = head
        if head[4:5] not in (b"\1", b"\2") or head[5:6] not in (b"\1", b"\2"):
            raise BrokenElfError("its class or byte order is none")
        self._bits = 64 if head[4] == 2 else 32
        self._order = "<" if head[5] == 1 else ">"
        self._segments: list[tuple[int, int, int]] = []  # address, size in the file, offset

    def read(self) -> Elf:
        machine = self._unpack("H", self._head[18:20])[0]
        dynamic, interpreter = self._program_headers()
        entries: list[tuple[int, int]] = [] if dynamic is None else list(self._dynamic(*dynamic))
        tags = dict(reversed(entries))
        if not entries or _STRINGS not in tags:
            return Elf(machine=machine, bits=self._bits, interpreter=interpreter)
        strings = self._offset(tags[_STRINGS])
        return Elf(
            machine=machine,
            bits=self._bits,
            needed=[self._text(strings + value) for tag, value in entries if tag == _NEEDED],
            soname=self._text(strings + tags[_SONAME]) if _SONAME in tags else None,
            rpath=_split(self._text(strings + tags[_RPATH])) if _RPATH in tags else [],
            runpath=_split(self._text(strings + tags[_RUNPATH])) if _RUNPATH in tags else [],
            interpreter=interpreter,
            versions=sorted(set(self._versions(tags, strings))),
        )

    def _program_headers(self) -> tuple[tuple[int, int] | None, str | None]:
        if self._bits == 64:
            offset, size, count = *self._unpack("Q", self._head[32:40]), *self._unpack("HH", self._head[54:58])
            form = "IIQQQQQQ"
        else:
            offset, size, count = *self._unpack("I", self._head[28:32]), *self._unpack("HH", self._head[42:46])
            form = "IIIIIIII"
        if size < struct.calcsize(self._order + form):
            if count:
                raise BrokenElfError("its program headers are too short")
            return None, None
        table = self._take(offset, min(size * count, _LARGEST_TABLE))
        dynamic, interpreter = None, None
        for at in range(0, len(table) - size + 1, size):
            fields = self._unpack(form, table[at : at + struct.calcsize(self._order + form)])
            if self._bits == 64:
                kind, _, start, address, _, length, *_ = fields
            else:
                kind, start, address, _, length, *_ = fields
            if kind == _LOAD:
                self._segments.append((address, length, start))
            elif kind == _DYNAMIC:
                dynamic = (start, min(length, _LARGEST_TABLE))
            elif kind == _INTERPRETER:
                interpreter = self._text(start)
        return dynamic, interpreter

    def _dynamic(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        form = self._order + ("qQ" if self._bits == 64 else "iI")
        table = self._take(offset, length)
        whole = len(table) - len(table) % struct.calcsize(form)
        for tag, value in struct.iter_unpack(form, table[:whole]):
            if tag == 0:
                return
            yield tag, value

    def _versions(self, tags: dict[int, int], strings: int) -> Iterator[str]:
        """Follow the chains of Verneed and Vernaux; both are of one size in both classes."""
        if _VERSIONS not in tags:
            return
        need, seen = self._offset(tags[_VERSIONS]), 0
        for _ in range(min(tags.get(_VERSION_COUNT, 0), _MOST_VERSIONS)):
            _, count, _, first, following = self._unpack("HHIII", self._take(need, 16))
            at = need + first
            for _ in range(count):
                seen += 1
                if seen > _MOST_VERSIONS:
                    raise BrokenElfError("its symbol versions do not end")
                _, _, _, name, step = self._unpack("IHHII", self._take(at, 16))
                yield self._text(strings + name)
                at += step
            if not following:
                return
            need += following

    def _offset(self, address: int) -> int:
        for start, length, offset in self._segments:
            if start <= address < start + length:
                return address - start + offset
        raise BrokenElfError(f"no segment holds its address {address:#x}")

    def _text(self, offset: int) -> str:
        text, end, _ = self._take(offset, _LONGEST).partition(b"\0")
        if not end:
            raise BrokenElfError("one of its strings does not end")
        return os.fsdecode(text)

    def _take(self, offset: int, length: int) -> bytes:
        if offset >= 1 << 62:
            raise BrokenElfError("it points outside itself")
        return os.pread(self._handle, length, offset)

    def _unpack(self, form: str, content: bytes) -> tuple[int, ...]:
        return struct.unpack(self._order + form, content)


def _split(path: str) -> list[str]:
    return [part for part in path.split(":") if part]
