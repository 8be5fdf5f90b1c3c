"""Reading small files whole and cheaply. Knows no format."""

import os

_CHUNK = 1 << 16


def read(path: str, *, limit: int = 1 << 24) -> bytes:
    """Give the first `limit` bytes of a file. Raises OSError when it cannot be read.

    `open` costs three times as much, and a large environment has more than a thousand of them.
    """
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
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
