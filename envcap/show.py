"""Show: read a lock and give it for people to look at. Changes nothing, asks nobody."""

from pathlib import Path

from packaging.utils import canonicalize_name

from envcap import lockfile
from envcap.errors import WrongUsageError
from envcap.model.lock import Lock
from envcap.model.struct import Data
from envcap.places import lock_store


class Shown(Data, frozen=True, kw_only=True):
    """A lock, where it is, and the sha256 of its bytes."""

    lock: Lock
    path: Path
    sha256: str


def read_patch(project: Path, lock: Lock, *, package: str) -> str:
    """Give what was changed in a package: by hand after its installation, or in its checkout and not committed.

    Raises WrongUsageError where it is not in the lock or nothing was changed, RefusedError where the patch is gone.
    """
    name = canonicalize_name(package)
    found = next((one for one in lock.packages if one.name == name), None)
    if found is None:
        raise WrongUsageError(f"The lock has no package `{name}`.", hint="`envcap show` lists its packages.")
    patches = [one.patch for one in (found.edits, found.checkout) if one is not None and one.patch is not None]
    if not patches:
        raise WrongUsageError(
            f"Of `{name}` {found.version} the lock has no patch.",
            hint="Where nothing was changed there is none, nor where the wheel that it came from is not known.",
        )
    store = lock_store(project)
    held = sorted((store.root / patches[0]).glob("*"))
    path = store.require(patches[0], held[0].name if held else "patch", what=f"What was changed in `{name}`:")
    return path.read_text(encoding="utf-8", errors="replace")


def show(project: Path, *, name: str) -> Shown:
    """Give the lock `name` of a project.

    Raises WrongUsageError when there is none, RefusedError when it cannot be believed.
    """
    path = lockfile.lock_path(project, name)
    lock, sha256 = lockfile.read(path)
    return Shown(lock=lock, path=path, sha256=sha256)
