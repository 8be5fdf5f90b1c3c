"""Reading small files whole and cheaply. Knows no format."""

import errno
import os
import stat

_CHUNK = 1 << 16


def read(path: str, *, limit: int = 1 << 24) -> bytes:
    """Give the first `limit` bytes of a file. Raises OSError when it cannot be read, or is a pipe or a device.

    `open` costs three times as much, and a large environment has more than a thousand of them.
    """
    # A pipe that nobody writes to would otherwise be waited for without end.
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", path)
        pieces = []
        size = 0
        while size < limit:
            piece = os.read(handle, min(_CHUNK, limit - size))
            if not piece:
                break
            pieces.append(piece)
            size += len(piece)
        return b"".join(pieces)
    finally:
        os.close(handle)


def read_text(path: str, *, limit: int = 1 << 24) -> str:
    """Give the text of a file; what is not UTF-8 becomes U+FFFD. Raises OSError when it cannot be read."""
    return read(path, limit=limit).decode("utf-8", "replace")


def text_or_none(path: str) -> "str | None":
    """Give the text of a file, or None when it is not there or cannot be read."""
    try:
        return read_text(path)
    except OSError:
        return None


def is_regular(path: str) -> bool:
    """Tell whether a path leads to a plain file."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return False
