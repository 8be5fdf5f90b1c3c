"""Wheels that pip has built on this machine and kept, each with an `origin.json` that says what it was built from.

The layout is that of `SimpleWheelCache` in pip's cache.py: any folders below `wheels`, the wheel and its origin in one.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from envcap.pins.pages import Wanted
from envcap.pins.record import Rows, compare_records, wheel_rows
from envcap.redact import strip_credentials


class PipWheels:
    """What pip has kept below the folder `wheels` of its cache."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def built_from(self, wanted: Wanted, installed: Rows) -> str | None:
        """Give what the installed wheel was built from, for the reason of a Gap; None where no kept one is it."""
        for path in self._wheels(wanted):
            try:
                with path.open("rb") as file:
                    is_it = compare_records(wheel_rows(file), installed).proves
            except OSError:
                continue
            if is_it:
                return _origin(path.with_name("origin.json")) or "a source that pip did not note down"
        return None

    def _wheels(self, wanted: Wanted) -> Iterator[Path]:
        for path in sorted(self._folder.glob("*/*/*/*/*.whl")):
            with suppress(InvalidWheelFilename, InvalidVersion):
                name, version, _, _ = parse_wheel_filename(path.name)
                if name == wanted.name and version == Version(wanted.version):
                    yield path


def _origin(path: Path) -> str | None:
    try:
        document = json.loads(path.read_bytes())
        url = strip_credentials(str(document["url"]))
        sha256 = document.get("archive_info", {}).get("hashes", {}).get("sha256")
        commit = document.get("vcs_info", {}).get("commit_id")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    stated = f" (sha256 {sha256})" if sha256 else f" at commit {commit}" if commit else ""
    return f"{url}{stated}"
