"""What this user wrote, built or confirmed here: locks and images, one small private file each, named by a key."""

import os
import stat
from contextlib import suppress
from pathlib import Path

from envcap.atomic import write_cached


def remember(key: str, *, how: str, folder: Path) -> bool:
    """Note that something is this user's own (`how` says why); give False where that cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_cached(folder / key, f"{how}\n".encode())
    except OSError:
        return False
    return True


def forget(key: str, *, folder: Path) -> None:
    """Take a note away. One that is not there, or cannot be taken away, is well."""
    with suppress(OSError):
        (folder / key).unlink()


def is_known(key: str, *, folder: Path) -> bool:
    """Tell whether that was noted, by this user: what others could have put there vouches for nothing."""
    with suppress(OSError):
        place, note = folder.stat(), (folder / key).lstat()
        return stat.S_ISREG(note.st_mode) and all(
            one.st_uid == os.geteuid() and not one.st_mode & (stat.S_IWGRP | stat.S_IWOTH) for one in (place, note)
        )
    return False
