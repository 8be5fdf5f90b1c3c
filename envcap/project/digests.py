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
    lines: str | None
    pointer: Keeper | None


def identity_of(status: os.stat_result) -> Identity:
    """Give what stays the same as long as nobody writes or replaces the file."""
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size


def read_digests(path: Path, *, with_lines: bool) -> Digests:
    """Read a plain file once; `with_lines` keeps it in memory meanwhile, to sort its lines.

    Raises NotRunError when it cannot be read, is none, or changes while it is read.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(handle, "rb", buffering=0) as file:
            before = os.fstat(handle)
            _require_plain(before)
            digest = hashlib.sha256()
            kept: list[bytes] = []
            while piece := file.read(_PIECE):
                digest.update(piece)
                if with_lines or not kept:
                    kept.append(piece)
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
        lines=_digest_of_lines(b"".join(kept)) if with_lines else None,
        pointer=pointer_of(kept[0][:_HEAD], size=size) if kept else None,
    )


def _require_plain(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file")


def _digest_of_lines(content: bytes) -> str | None:
    if b"\0" in content:
        return None
    return hashlib.sha256(b"\n".join(sorted(content.split(b"\n")))).hexdigest()
