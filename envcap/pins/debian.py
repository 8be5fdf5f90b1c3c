"""Which files dpkg installed with a distribution, as dpkg's own lists tell it. Reads them, asks no program.

The lists are those of dpkg-query(1), `--listfiles`: one path a line, folders among them.
"""

import os
from pathlib import Path

from packaging.utils import canonicalize_name

from envcap.regular import LARGEST_METADATA, read_regular

_LISTS = Path("/var/lib/dpkg/info")
_METADATA = (".dist-info", ".egg-info")


class InstalledByDpkg:
    """The lists of one machine. They are read when the first distribution is asked for."""

    def __init__(self, lists: Path = _LISTS) -> None:
        self._lists = lists
        self._held: dict[str, Path] | None = None

    def files_of(self, metadata: Path) -> list[str] | None:
        """Give the paths of the package that brought the metadata, with those of no other distribution in it.

        None where no package owns it, or where the package holds several distributions and it cannot be told which
        file is whose.
        """
        if self._held is None:
            self._held = self._read()
        found = self._held.get(str(metadata))
        if found is None:
            return None
        paths = _lines(found)
        others = {path for path in paths if path.endswith(_METADATA) and _project(path) != _project(str(metadata))}
        return _share(paths, metadata) if others else paths

    def _read(self) -> dict[str, Path]:
        """Give the list that names each metadata folder or file."""
        held: dict[str, Path] = {}
        for path in sorted(self._lists.glob("*.list")) if self._lists.is_dir() else []:
            for line in _lines(path, only="-packages/"):
                if line.endswith(_METADATA):
                    held[line] = path
        return held


def _lines(path: Path, *, only: str = "") -> list[str]:
    try:
        text = os.fsdecode(read_regular(path, limit=LARGEST_METADATA))
    except OSError:
        return []
    return text.split("\n") if only in text else []


def _project(path: str) -> str:
    """Give the name in that of a metadata folder: `PyYAML-6.0.dist-info` is of `pyyaml`."""
    return canonicalize_name(path.rpartition("/")[2].rpartition(".")[0].partition("-")[0])


def _share(paths: list[str], metadata: Path) -> list[str] | None:
    """Give the files below what top_level.txt names, None where there is none."""
    try:
        names = read_regular(metadata / "top_level.txt", limit=LARGEST_METADATA).decode("utf-8").split()
    except (OSError, UnicodeDecodeError):
        return None
    site = f"{metadata.parent}/"
    own = (*(f"{site}{name}/" for name in names), *(f"{site}{name}." for name in names), f"{metadata}/")
    return [path for path in paths if path.startswith(own)]
