"""What is known of files in a store, so that they need not be read again as long as they are what they were."""

import os
import time
from contextlib import suppress
from pathlib import Path

from envcap.atomic import write_cached

_OFTEN = 86_400  # seconds after which the use of a file is noted again


class Memory:
    """A folder that remembers with which inode, size and time a file had the digest that it is kept under.

    It is for folders that only this user's envcap writes to, and each file once: what was written is known from then
    on. Not the time of the inode's change: each link to a file changes it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def knows(self, sha256: str, path: Path) -> bool:
        """Tell whether the file is the one that had that digest. That it was wanted is noted: pruning goes by that."""
        try:
            status = path.stat()
            known = (self._folder / sha256).read_bytes() == _identity(path, status)
        except OSError:
            return False
        if known and status.st_atime < time.time() - _OFTEN:
            with suppress(OSError):  # it is another user's
                os.utime(path, ns=(time.time_ns(), status.st_mtime_ns))
        return known

    def note(self, sha256: str, path: Path, status: os.stat_result) -> None:
        """Remember that the file had that digest when it had this status. What cannot be written is read again."""
        with suppress(OSError):
            write_cached(self._folder / sha256, _identity(path, status))


def _identity(path: Path, status: os.stat_result) -> bytes:
    told = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, path.name)
    return " ".join(map(str, told)).encode(errors="surrogateescape")
