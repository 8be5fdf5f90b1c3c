"""Archives from elsewhere: unpacked so that nothing leaves the folder, or looked at without being unpacked."""

import hashlib
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from envcap.errors import EnvcapError, RefusedError

_PIECE = 1 << 20  # bytes


class Link(NamedTuple):
    """A link that was not unpacked: a hard one names another member, a symbolic one a path from its own folder."""

    name: str
    target: str
    is_hard: bool


def unpack(archive: IO[bytes], folder: Path, *, links: bool, named: str | None = None) -> list[Link]:
    """Unpack files and folders into `folder`. Symbolic links are kept where `links` is true and they stay below it.

    With `named`, whatever is at the top of the archive is called that here. Gives the links that were left out. Raises
    RefusedError for a member that would leave the folder (PEP 706 tells how they try), and for what is no archive.
    """
    root = folder.resolve()
    left: list[Link] = []
    try:
        with tarfile.open(fileobj=archive) as members:
            # Each member is checked, against what is on disk at that moment, before it is extracted.
            members.extraction_filter = _as_it_is
            for member in members:
                if named is not None:
                    member.name = _with_top(member.name, named)
                    member.linkname = _with_top(member.linkname, named) if member.islnk() else member.linkname
                if member.isfile() or member.isdir() or (links and member.issym()):
                    _check(member, root)
                    members.extract(member, root, set_attrs=not member.isdir())
                elif member.issym() or member.islnk():
                    left.append(Link(member.name, member.linkname, member.islnk()))
    except tarfile.TarError as error:
        raise RefusedError(f"An archive cannot be read: {error}.") from error
    return left


def _with_top(name: str, top: str) -> str:
    return "/".join([top, *name.removeprefix("./").split("/")[1:]])


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


class Pieces:
    """What comes piece by piece, as a file to read from; it raises `too_large` when more than `most` bytes come."""

    def __init__(self, pieces: Iterable[bytes], *, most: int, too_large: EnvcapError) -> None:
        self._pieces = iter(pieces)
        self._rest = b""
        self._too_large = too_large
        self.left = most

    def read(self, size: int) -> bytes:
        """Give the next bytes, at most `size` of them; none at the end."""
        if not self._rest:
            self._rest = next(self._pieces, b"")
            self.left -= len(self._rest)
            if self.left < 0:
                raise self._too_large
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece


def fingerprints(archive: Pieces) -> dict[str, str]:
    """Give what each file of an archive of one folder is, by its path below that folder.

    Raises RefusedError for what is no archive, and what `archive` raises.
    """
    found: dict[str, str] = {}
    try:
        with tarfile.open(fileobj=cast("IO[bytes]", archive), mode="r|") as members:
            for member in members:
                name = _below(member.name)
                if name and not member.isdir():
                    held = found.get(_below(member.linkname)) if member.islnk() else None
                    found[name] = held or fingerprint_of(members, member)
    except tarfile.TarError as error:
        raise RefusedError(f"An archive cannot be read: {error}.") from error
    return found


def _below(name: str) -> str:
    return name.removeprefix("./").partition("/")[2]


def fingerprint_of(archive: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    """Give `-` or `x` (it is a program) and the sha256 of a file, `link:` and where a link leads, else what it is."""
    if member.issym():
        return f"link:{member.linkname}"
    stream: Any = archive.extractfile(member) if member.isfile() else None
    if stream is None:
        return "special"
    digest = hashlib.sha256()
    while piece := stream.read(_PIECE):
        digest.update(piece)
    return f"{'x' if member.mode & 0o100 else '-'}{digest.hexdigest()}"
