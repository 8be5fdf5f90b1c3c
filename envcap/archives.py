"""Unpacking tar archives from elsewhere: nothing leaves the folder, and nothing but files, folders and links comes."""

import tarfile
from pathlib import Path
from typing import IO

from envcap.errors import RefusedError


def unpack(archive: IO[bytes], folder: Path, *, links: bool) -> None:
    """Unpack into `folder`. Links are kept where `links` is true and they stay below it, and left out otherwise.

    Raises RefusedError for a member that would leave the folder (PEP 706 tells how they try), and for what is no
    archive.
    """
    root = folder.resolve()
    try:
        with tarfile.open(fileobj=archive) as members:
            # Each member is checked, against what is on disk at that moment, before it is extracted.
            members.extraction_filter = _as_it_is
            for member in members:
                if not (member.isfile() or member.isdir() or (links and member.issym())):
                    continue
                _check(member, root)
                members.extract(member, root, set_attrs=not member.isdir())
    except tarfile.TarError as error:
        raise RefusedError(f"An archive cannot be read: {error}.") from error


def _as_it_is(member: tarfile.TarInfo, path: str) -> tarfile.TarInfo:
    del path
    return member


def _check(member: tarfile.TarInfo, root: Path) -> None:
    target = (root / member.name).resolve()
    if not target.is_relative_to(root):
        raise RefusedError(f"The archive holds `{member.name}`, which would leave its folder.")
    if member.issym() and not (target.parent / member.linkname).resolve().is_relative_to(root):
        raise RefusedError(f"The archive holds the link `{member.name}`, which leads out of its folder.")
    member.uid = member.gid = 0  # the files belong to whoever unpacks them
    member.uname = member.gname = ""
    member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
