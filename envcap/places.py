"""Where envcap keeps files: beside a lock, and in the user's cache and state."""

from collections.abc import Mapping
from pathlib import Path

from envcap.store import STORE_FOLDER, Store


def lock_store(project: Path) -> Store:
    """Give the store that belongs to the locks of a project."""
    return Store(project / STORE_FOLDER)


def download_cache(environ: Mapping[str, str]) -> Store:
    """Give the user's cache of downloaded files, in `$ENVCAP_CACHE` or the platform's usual place."""
    import platformdirs

    chosen = environ.get("ENVCAP_CACHE")
    root = Path(chosen) if chosen else platformdirs.user_cache_path("envcap", appauthor=False)
    return Store(root / "files")


def known_locks(environ: Mapping[str, str]) -> Path:
    """Give the folder that remembers this user's own locks, in `$ENVCAP_STATE` or the platform's usual place."""
    import platformdirs

    chosen = environ.get("ENVCAP_STATE")
    return (Path(chosen) if chosen else platformdirs.user_state_path("envcap", appauthor=False)) / "locks"
