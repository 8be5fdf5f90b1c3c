"""Writing a file so that a reader sees the old one whole or the new one whole, never a part."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(target: Path) -> Iterator[BinaryIO]:
    """Give a new file beside `target` to write to; it takes `target`'s place when the block ends well.

    Raises OSError as the file system gives it; then `target` is untouched and the new file is gone.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f".{target.name}.{secrets.token_hex(4)}.new")
    try:
        with new.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        new.replace(target)
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the rename itself survives a power cut only when the folder is on disk
        finally:
            os.close(folder)
    finally:
        with suppress(FileNotFoundError):
            new.unlink()


def write_bytes(target: Path, content: bytes) -> None:
    """Write `content` to `target`, whole or not at all."""
    with replacing(target) as file:
        file.write(content)


def write_cached(target: Path, content: bytes) -> None:
    """Write what can be learned again, for this user's eyes, whole or not at all as long as the machine runs.

    After a power cut the file may be damaged, so its reader must check it: to wait for the disk takes some
    milliseconds a file, and seconds where much else is still to be written. Raises OSError.
    """
    new = f"{target}.{secrets.token_hex(4)}.new"
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileNotFoundError:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            file.write(content)
        Path(new).replace(target)
    except BaseException:
        with suppress(OSError):
            Path(new).unlink()
        raise
