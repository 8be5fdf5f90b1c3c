"""Reading a file that an installed package or a stranger put there: a pipe or a device must not stop us."""

import errno
import os
import stat
from pathlib import Path

LARGEST_METADATA = 1 << 27  # bytes; of a list of files, of metadata, of a .pth file


def read_regular(path: Path, *, limit: int) -> bytes:
    """Give the bytes of a plain file of at most `limit` bytes.

    Raises OSError when it cannot be read, is larger, or is a folder, a pipe or a device.
    """
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        if status.st_size > limit:
            raise OSError(errno.EFBIG, f"it has {status.st_size} bytes", str(path))
        return file.read(limit)


def is_elf(path: str) -> bool:
    """Tell whether a file is compiled: an executable or a library (elf(5)). One that cannot be read is none."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        return os.read(handle, 4) == b"\x7fELF"
    except OSError:
        return False
    finally:
        os.close(handle)
