"""What a wheel requires, read from the metadata inside it."""

import zipfile
from pathlib import Path

from envcap.regular import LARGEST_METADATA


def requirements_of(wheel: Path) -> list[str]:
    """Give its `Requires-Dist` lines (core metadata), none for a file whose metadata cannot be read."""
    from packaging.metadata import parse_email

    try:
        with zipfile.ZipFile(wheel) as archive:
            members = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
            member = min(members, key=lambda name: name.count("/"), default=None)
            if member is None or archive.getinfo(member).file_size > LARGEST_METADATA:
                return []
            metadata, _ = parse_email(archive.read(member))
    except (OSError, ValueError, zipfile.BadZipFile):
        return []
    return metadata.get("requires_dist", [])
