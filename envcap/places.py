"""Where envcap keeps files: beside a lock, and in the user's cache."""

from collections.abc import Mapping
from pathlib import Path

from envcap.store import STORE_FOLDER, Store


def lock_store(project: Path) -> Store:
    """Give the store that belongs to the locks of a project."""
    return Store(project / STORE_FOLDER)


def download_cache(environ: Mapping[str, str]) -> Store:
    """Give the user's cache of downloaded files, in `$ENVCAP_CACHE` or the platform's usual place."""
    return Store(_cache(environ) / "files")


def assembled_cache(environ: Mapping[str, str]) -> Store:
    """Give the user's cache of wheels in the form of layers, beside the downloaded files."""
    return Store(_cache(environ) / "assembled")


def _cache(environ: Mapping[str, str]) -> Path:
    import platformdirs

    chosen = environ.get("ENVCAP_CACHE")
    return Path(chosen) if chosen else platformdirs.user_cache_path("envcap", appauthor=False)
