"""One deterministic tar: fixed times and owners, and an entry for every folder.

Builders give a folder that an archive does not name the present time, and the layer is another one each time.
"""

import shutil
import tarfile
from pathlib import PurePosixPath
from typing import IO, Protocol

from envcap.model.layout import EPOCH

END = bytes(2 * tarfile.BLOCKSIZE)  # closes an archive (POSIX.1-1988, ustar)
_PIECE = 1 << 20


class Sink(Protocol):
    """What an archive is written to."""

    def write(self, piece: bytes, /) -> int:
        """Take `piece` whole."""


class LayerArchive:
    """Writes members as they come. Names are relative to the root of the image."""

    def __init__(self, sink: Sink, *, folders: bool = True) -> None:
        self._sink = sink
        self._with_folders = folders
        self._folders: set[PurePosixPath] = set()

    def add(self, name: str, content: IO[bytes], *, size: int, executable: bool = False) -> None:
        """Write one plain file of exactly `size` bytes, after the folders above it that are not written yet."""
        for folder in reversed(PurePosixPath(name).parents[:-1]) if self._with_folders else ():
            if folder not in self._folders:
                self._folders.add(folder)
                self._write_header(f"{folder}/", kind=tarfile.DIRTYPE, mode=0o755, size=0)
        self._write_header(name, kind=tarfile.REGTYPE, mode=0o755 if executable else 0o644, size=size)
        shutil.copyfileobj(content, self._sink, _PIECE)
        self._sink.write(bytes(-size % tarfile.BLOCKSIZE))

    def close(self) -> None:
        """Write the end: two blocks without the padding of tapes, so that archives can be joined by their bytes."""
        self._sink.write(END)

    def _write_header(self, name: str, *, kind: bytes, mode: int, size: int) -> None:
        member = tarfile.TarInfo(name)
        member.type, member.mode, member.mtime, member.size = kind, mode, EPOCH, size
        self._sink.write(member.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape"))


def join(archives: list[IO[bytes]], sink: Sink) -> None:
    """Write the members of several such archives as one. A folder may then stand in it twice, each time the same."""
    for archive in archives:
        left = archive.seek(0, 2) - len(END)
        archive.seek(0)
        while left:
            piece = archive.read(min(left, _PIECE))
            sink.write(piece)
            left -= len(piece)
    sink.write(END)
