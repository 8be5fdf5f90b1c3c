"""Where envcap keeps files: beside a lock, and in the user's cache and state."""

from collections.abc import Mapping
from pathlib import Path

from envcap.store import STORE_FOLDER, Store
from envcap.store_memory import Memory

INPUTS_FOLDER = ".envcap/inputs"  # beside a lock that came in a capsule: what would else be downloaded
BASE_FOLDER = ".envcap/base"  # there too: the base image as an OCI layout


def lock_store(project: Path) -> Store:
    """Give the store that belongs to the locks of a project."""
    return Store(project / STORE_FOLDER)


def cache_root(environ: Mapping[str, str]) -> Path:
    """Tell where the user's cache is: `$ENVCAP_CACHE` or the platform's usual place."""
    import platformdirs

    chosen = environ.get("ENVCAP_CACHE")
    return Path(chosen) if chosen else platformdirs.user_cache_path("envcap", appauthor=False)


def download_cache(environ: Mapping[str, str], *, project: Path | None = None) -> Store:
    """Give the user's cache of downloaded files; with `project`, one that finds what came with its capsule too."""
    inputs = project / INPUTS_FOLDER if project is not None else None
    beneath = Store(inputs) if inputs is not None and inputs.is_dir() else None
    return Store(cache_root(environ) / "files", beneath=beneath, memory=_memory(environ, "files"))


def assembled_cache(environ: Mapping[str, str]) -> Store:
    """Give the user's cache of wheels in the form of layers, beside the downloaded files."""
    return Store(cache_root(environ) / "assembled", memory=_memory(environ, "assembled"))


def _memory(environ: Mapping[str, str], part: str) -> Memory:
    return Memory(cache_root(environ) / "known" / part)


def context_folders(environ: Mapping[str, str]) -> Path:
    """Give the place of the folders that images are built from, where files can be linked from the cache."""
    return cache_root(environ) / "contexts"


def podman_cache(environ: Mapping[str, str]) -> Path:
    """Give the folder of the user's cache that remembers what podman made of a context."""
    return cache_root(environ) / "podman"


def digest_cache(environ: Mapping[str, str]) -> Path:
    """Give the folder of the user's cache that remembers digests of data files."""
    return cache_root(environ) / "digests"


def base_layout(project: Path) -> Path | None:
    """Give the folder of the base image that came in a capsule, or None where there is none."""
    folder = project / BASE_FOLDER
    return folder if (folder / "index.json").is_file() else None


def known_locks(environ: Mapping[str, str]) -> Path:
    """Give the folder that remembers this user's own locks."""
    return _state(environ) / "locks"


def own_images(environ: Mapping[str, str]) -> Path:
    """Give the folder that remembers the images and environments that this user built here."""
    return _state(environ) / "images"


def _state(environ: Mapping[str, str]) -> Path:
    """Tell where the user's state is: `$ENVCAP_STATE` or the platform's usual place."""
    import platformdirs

    chosen = environ.get("ENVCAP_STATE")
    return Path(chosen) if chosen else platformdirs.user_state_path("envcap", appauthor=False)
