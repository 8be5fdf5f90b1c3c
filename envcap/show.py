"""Show: read a lock and give it for people to look at. Changes nothing, asks nobody."""

from pathlib import Path

from envcap import lockfile
from envcap.model.lock import Lock
from envcap.model.struct import Data


class Shown(Data, frozen=True, kw_only=True):
    """A lock, where it is, and the sha256 of its bytes."""

    lock: Lock
    path: Path
    sha256: str


def show(project: Path, *, name: str) -> Shown:
    """Give the lock `name` of a project.

    Raises WrongUsageError when there is none, RefusedError when it cannot be believed.
    """
    path = lockfile.lock_path(project, name)
    lock, sha256 = lockfile.read(path)
    return Shown(lock=lock, path=path, sha256=sha256)
