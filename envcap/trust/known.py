"""Which locks this user wrote here or has confirmed: one small private file each, named by the lock's sha256."""

import os
import stat
from contextlib import suppress
from pathlib import Path

from envcap.atomic import write_cached


def remember(sha256: str, *, how: str, folder: Path) -> bool:
    """Note that a lock is this user's own (`how` says from what); give False where that cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_cached(folder / sha256, f"{how}\n".encode())
    except OSError:
        return False
    return True


def is_known(sha256: str, *, folder: Path) -> bool:
    """Tell whether that lock was noted, by this user: what others could have put there vouches for nothing."""
    with suppress(OSError):
        place, note = folder.stat(), (folder / sha256).lstat()
        return stat.S_ISREG(note.st_mode) and all(
            one.st_uid == os.geteuid() and not one.st_mode & (stat.S_IWGRP | stat.S_IWOTH) for one in (place, note)
        )
    return False
