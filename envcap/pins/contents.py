"""The digests of many files, read several at once."""

import base64
import hashlib
import os
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from envcap.model.progress import Progress, Tell
from envcap.pins.claims import Claimed, identity_of
from envcap.pins.record import encode_digest
from envcap.pins.scripts import with_plain_shebang
from envcap.threads import run_each

_READERS = 8  # cold disks answer eight readers faster than two
_BATCH = 16 << 20  # bytes of files that a thread takes at once
_MOST_FILES = 256  # the same, in files
_BUFFER = 1 << 18

Digests = dict[str, list[str]]  # path -> what its rows could state, as RECORD writes it


class Contents(msgspec.Struct, frozen=True):
    """The digests of each file that its rows could mean, none of one that cannot be read.

    `unsettled` are the paths of files that have changed since they were looked at.
    """

    digests: Digests
    unsettled: set[str]


def read_contents(files: Sequence[Claimed], *, tell: Tell) -> Contents:
    """Read the files."""
    found = Contents({}, set())
    batches = list(_batches(files))
    gate = _Gate(os.cpu_count() or 1)
    for done, (_, part) in enumerate(run_each(gate.read, batches, threads=_READERS), start=1):
        found.digests.update(part.digests)
        found.unsettled.update(part.unsettled)
        tell(Progress(kind="count", text="checking installed files", done=done, total=len(batches)))
    return found


class _Gate:
    """Lets as many threads read as there are cores, and more where they wait for the disk instead of computing.

    With files in memory each thread more only disturbs the others: eight take a fifth longer than two.
    """

    def __init__(self, readers: int) -> None:
        self._free = threading.Semaphore(readers)
        self._more = max(0, _READERS - readers)
        self._lock = threading.Lock()

    def read(self, batch: Sequence[Claimed]) -> Contents:
        """Read the files of a batch, as soon as there is room."""
        with self._free:
            started, computed = time.perf_counter(), time.thread_time()
            contents = _read_batch(batch)
            waiting = time.perf_counter() - started > 2 * (time.thread_time() - computed)
        with self._lock:
            if waiting and self._more:
                self._more -= 1
                self._free.release()
        return contents


def _batches(files: Sequence[Claimed]) -> Iterator[tuple[Claimed, ...]]:
    """Give the files in portions, the largest first, so that the last thread does not work alone for long."""
    sized = [(file.identity.size if file.identity else 0, file) for file in files]
    batch: list[Claimed] = []
    total = 0
    for size, file in sorted(sized, key=lambda pair: pair[0], reverse=True):
        batch.append(file)
        total += size
        if total >= _BATCH or len(batch) >= _MOST_FILES:
            yield tuple(batch)
            batch, total = [], 0
    if batch:
        yield tuple(batch)


def _read_batch(batch: Sequence[Claimed]) -> Contents:
    buffer = bytearray(_BUFFER)  # one for all: to get such a piece for each small file takes longer than to read it
    view = memoryview(buffer)
    contents = Contents({}, set())
    for file in batch:
        try:
            digests, settled = _read_file(file, buffer, view)
        except (OSError, ValueError):
            digests, settled = [], False
        contents.digests[file.path] = digests
        if not settled:
            contents.unsettled.add(file.path)
    return contents


def _read_file(file: Claimed, buffer: bytearray, view: memoryview) -> tuple[list[str], bool]:
    """Give the digests, and whether the file was all the time what had been looked at. Raises OSError."""
    if file.algorithms == "sha256" and (digest := _plain_digest(file, buffer, view)) is not None:
        return [encode_digest(digest)], True
    with Path(file.path).open("rb") as stream:
        content = stream.read()
        settled = identity_of(os.fstat(stream.fileno())) == file.identity
    algorithms = file.algorithms.split()
    versions = [content, with_plain_shebang(content)] if "script" in algorithms else [content]
    words = [algorithm for algorithm in algorithms if algorithm != "script"]
    return [_encoded(word, hashlib.new(word, version).digest()) for version in versions for word in words], settled


def _plain_digest(file: Claimed, buffer: bytearray, view: memoryview) -> bytes | None:
    """Give the sha256, or None where the file is not what had been looked at. Raises OSError."""
    digest = hashlib.sha256()
    left = max(1, file.identity.size if file.identity else 0)  # an empty one too may turn out not to be readable
    descriptor = os.open(file.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        while left > 0 and (count := os.readv(descriptor, [buffer])):
            digest.update(view[:count])
            left -= count
        return digest.digest() if identity_of(os.fstat(descriptor)) == file.identity else None
    finally:
        os.close(descriptor)


def _encoded(algorithm: str, digest: bytes) -> str:
    return f"{algorithm}=" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
