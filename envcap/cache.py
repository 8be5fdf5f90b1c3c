"""Cache: what the user's cache holds, and the removal of what was not used for a while."""

import fcntl
import os
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from envcap.errors import WrongUsageError
from envcap.model.cache import CacheContents
from envcap.places import cache_root

_DAY = 86_400  # seconds
# Nothing else is looked at: whoever points ENVCAP_CACHE to a folder of their own keeps what is theirs.
_PARTS = ("answers", "assembled", "digests", "files", "known", "podman", "records", "verified")
_CONTEXTS = "contexts"


def look_at_cache(environ: Mapping[str, str], *, days: int | None) -> CacheContents:
    """Add up the cache's files; with `days`, remove those that were neither read nor written for as many days.

    A file that a process has at hand stays readable for it, and is fetched again by the next. Raises WrongUsageError
    for a negative number.
    """
    if days is not None and days < 0:
        raise WrongUsageError(f"`--older-than` is `{days}`; it counts days, and 0 means everything.")
    root = cache_root(environ)
    before = time.time() - days * _DAY if days is not None else None
    sizes: dict[str, int] = {}
    removed = 0
    for part in _PARTS:
        kept, gone = _walk(root / part, before)
        sizes.update({part: kept} if kept else {})
        removed += gone
    kept, gone = _look_at_contexts(root / _CONTEXTS, prune=days is not None)
    sizes.update({_CONTEXTS: kept} if kept else {})
    removed += gone
    return CacheContents(folder=str(root), sizes=dict(sorted(sizes.items())), removed=removed)


def _walk(part: Path, before: float | None) -> tuple[int, int]:
    """Give the bytes that stay and those that were removed; `before` is in seconds since 1970."""
    kept = removed = 0
    for folder, _, names in os.walk(part, topdown=False):
        for name in names:
            path = Path(folder, name)
            with suppress(FileNotFoundError):  # another process removes too
                found = path.lstat()
                if before is not None and max(found.st_atime, found.st_mtime) <= before and not _is_held(path):
                    path.unlink()
                    removed += found.st_size
                else:
                    kept += found.st_size
        if before is not None:
            with suppress(OSError):
                Path(folder).rmdir()  # fails, rightly, when something is left in it
    return kept, removed


def _look_at_contexts(part: Path, *, prune: bool) -> tuple[int, int]:
    """Give the bytes that stay and those that were removed of the folders that images are built from.

    One that no build has locked was left by a build that was killed, however young it is. What is linked from other
    parts takes no room here.
    """
    kept = removed = 0
    for folder in sorted(part.iterdir()) if part.is_dir() else []:
        with suppress(FileNotFoundError, NotADirectoryError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                files = [path.lstat() for path in folder.rglob("*") if not path.is_dir()]
                size = sum(file.st_size for file in files if file.st_nlink == 1)
                if prune and _is_free(descriptor):
                    shutil.rmtree(folder)
                    removed += size
                else:
                    kept += size
            finally:
                os.close(descriptor)
    return kept, removed


def _is_free(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_held(path: Path) -> bool:
    """Tell whether the file belongs to a process that is at work: locks, and files on their way."""
    lock = path.parent.with_name("locks") / path.stem
    return path.parent.name in {"locks", "incoming"} or (path.parent.name == "partial" and lock.exists())
