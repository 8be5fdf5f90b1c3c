"""The digests of one data file, made in one reading of it; never from a file that changes meanwhile."""

import errno
import hashlib
import os
import stat
from pathlib import Path

from envcap.errors import NotRunError
from envcap.model.struct import Data
from envcap.pointers import Keeper, pointer_of

_PIECE = 1 << 20  # bytes
_HEAD = 200  # bytes by which a pointer is known

# What changes when a file is written or replaced: device, inode, both times in ns, size in bytes.
Identity = tuple[int, int, int, int, int]


class Digests(Data, frozen=True, kw_only=True):
    """What one reading of a file gave; `lines` and `sha256` as in the manifest, `pointer` whose pointer it is."""

    identity: Identity
    size: int
    sha256: str
    with_lines: bool  # whether its lines were wanted
    lines: str | None
    pointer: Keeper | None


def identity_of(status: os.stat_result) -> Identity:
    """Give what stays the same as long as nobody writes or replaces the file."""
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size


def read_digests(path: Path, *, with_lines: bool) -> Digests:
    """Read a plain file once; `with_lines` for the digest of its lines, which takes some fifty times as long.

    Raises NotRunError when it cannot be read, is none, or changes while it is read.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(handle, "rb", buffering=0) as file:
            before = os.fstat(handle)
            _require_plain(before)
            digest = hashlib.sha256()
            lines = Lines() if with_lines else None
            head = b""
            while piece := file.read(_PIECE):
                digest.update(piece)
                head = head or piece[:_HEAD]
                if lines is not None:
                    lines.update(piece)
            after = os.fstat(handle)
    except OSError as error:
        raise NotRunError(
            f"The data file `{path}` cannot be read: {error.strerror}.",
            hint="Make it readable for this user, or declare the files that the evaluation reads one by one.",
        ) from error
    if identity_of(before) != identity_of(after):
        raise NotRunError(
            f"The data file `{path}` changed while it was read.",
            hint="Wait until whatever writes it is done, then try again.",
        )
    size = before.st_size
    return Digests(
        identity=identity_of(before),
        size=size,
        sha256=digest.hexdigest(),
        with_lines=with_lines,
        lines=lines.digest() if lines is not None else None,
        pointer=pointer_of(head, size=size) if head else None,
    )


def _require_plain(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file")


class Lines:
    """The sum of the digests of lines, which is the same in any order of them, and nothing is kept to be sorted."""

    def __init__(self) -> None:
        self._sum = 0
        self._rest: list[bytes] = []  # of a line that goes on in the next piece
        self._is_text = True

    def update(self, piece: bytes) -> None:
        """Take the next piece of the file."""
        if not self._is_text or b"\0" in piece:
            self._is_text = False
            return
        first, *more = piece.split(b"\n")
        self._rest.append(first)
        if more:
            self._add([b"".join(self._rest), *more[:-1]])
            self._rest = [more[-1]]

    def digest(self) -> str | None:
        """Give it as hexadecimal digits; None for what is no text."""
        if not self._is_text:
            return None
        self._add([b"".join(self._rest)])
        return f"{self._sum % (1 << 256):064x}"

    def _add(self, lines: list[bytes]) -> None:
        self._sum += sum([int.from_bytes(hashlib.sha256(line).digest(), "little") for line in lines])
