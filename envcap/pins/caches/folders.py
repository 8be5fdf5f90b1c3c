"""Where pip and uv keep their caches, as each of them would tell."""

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from envcap.errors import NotRunError
from envcap.process import capture


def pip_cache_folder(environ: Mapping[str, str]) -> Path:
    """Give the folder that pip's `cache dir` names, by variable, configuration or custom."""
    told = _ask([sys.executable, "-m", "pip", "cache", "dir"], environ, "Asking pip for its cache")
    return told or _user_cache(environ) / "pip"


def uv_cache_folder(environ: Mapping[str, str]) -> Path:
    """Give the folder that `uv cache dir` names, or without uv the one that its variables and custom name."""
    program = shutil.which("uv", path=environ.get("PATH"))
    told = _ask([program, "cache", "dir"], environ, "Asking uv for its cache") if program else None
    return told or Path(environ.get("UV_CACHE_DIR") or _user_cache(environ) / "uv")


def _ask(command: list[str], environ: Mapping[str, str], purpose: str) -> Path | None:
    try:
        done = capture(command, purpose=purpose, env={**environ, "PIP_QUIET": "0", "NO_COLOR": "1"}, check=False)
    except NotRunError:
        return None
    lines = done.stdout.decode(errors="surrogateescape").strip().splitlines()
    return Path(lines[-1]) if done.returncode == 0 and lines else None


def _user_cache(environ: Mapping[str, str]) -> Path:
    """Give the user's folder of caches (XDG base directory specification)."""
    return Path(environ.get("XDG_CACHE_HOME") or Path(environ.get("HOME") or "~", ".cache").expanduser())
