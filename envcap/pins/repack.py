"""Installed files back into a wheel, the same bytes each time. It reads the environment and writes one file.

The format is PEP 427. Scripts that an installer makes from entry points, byte code and what installers note down are
left out: the next installer makes them anew.
"""

import hashlib
import os
import re
import stat
import tempfile
import zipfile
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import IO

from packaging.utils import canonicalize_name, parse_wheel_filename

from envcap.model.facts import Distribution
from envcap.model.struct import Data
from envcap.pins.identify import expand, is_reasonable
from envcap.pins.record import INSTALLER_FILES, encode_digest, installed_rows, is_byte_code
from envcap.pins.scripts import made_scripts, with_plain_shebang
from envcap.redact import strip_exposed
from envcap.store import Store
from envcap.trust.lock import is_wheel_name

_LARGEST_METADATA = 1 << 24  # bytes
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip can hold
_SITE = re.compile(r"lib(64)?/(python|pypy)[\d.]+/(site|dist)-packages")
_NAMES_LEFT_OUT = INSTALLER_FILES | {"RECORD.jws", "RECORD.p7s", "provenance_url.json"}


class CannotRepackError(Exception):
    """The files cannot be made into a wheel; the text says why, as the reason of a Gap."""


class Repacked(Data, frozen=True, kw_only=True):
    """A wheel that was put into a store. `size` in bytes."""

    name: str
    sha256: str
    size: int


class Member(Data, frozen=True, kw_only=True):
    """One file of a wheel: its name in there, where it is read from, and whether it is a script."""

    name: str
    source: Path
    script: bool = False

    @property
    def metadata(self) -> bool:
        """Whether it is one of the .dist-info."""
        return self.name.partition("/")[0].endswith(".dist-info")


def repack(
    distribution: Distribution,
    *,
    prefix: Path,
    store: Store,
    missing: Collection[str] = (),
    added: Collection[str] = (),
) -> Repacked:
    """Make a wheel of the files that `distribution` has installed and add it to `store`.

    `prefix` is sys.prefix of the environment; of `missing`, as RECORD spells paths, it is known that they are gone, and
    `added` are as good as its own.
    Raises CannotRepackError when a file is gone, lies outside the prefix,
    or the metadata does not say what there is to take.
    """
    stem = stem_of(distribution)
    members = list(_members(distribution, stem=stem, prefix=prefix, missing=missing, added=added))
    return keep(members, name=wheel_name_of(distribution, stem), record=f"{stem}.dist-info/RECORD", store=store)


def keep(members: Iterable[Member], *, name: str, record: str, store: Store) -> Repacked:
    """Write a wheel of that name with `members`, sorted, and its RECORD last; put it into `store`.

    Raises CannotRepackError when a file cannot be read or has a name that no wheel can hold.
    """
    store.root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="repack", dir=store.root) as folder:
        path = Path(folder) / name
        try:
            _write(path, sorted(members, key=lambda member: member.name), record=record)
        except UnicodeEncodeError as error:
            raise CannotRepackError("the name of one of its files is not UTF-8, as a wheel needs it") from error
        size = path.stat().st_size
        return Repacked(name=path.name, sha256=store.add_file(path), size=size)


def wheel_file_name(distribution: Distribution) -> str:
    """Give the name of a wheel with what is installed. Raises CannotRepackError when no wheel can have it."""
    return wheel_name_of(distribution, stem_of(distribution))


def stem_of(distribution: Distribution) -> str:
    """Give `name-version` as the wheel's file and folder names begin: as installed where that is well-formed."""
    installed = re.fullmatch(r"([\w.]+-[\w.+!]+)\.dist-info", Path(distribution.path).name)
    if installed:
        return installed[1]
    return f"{canonicalize_name(distribution.name).replace('-', '_')}-{distribution.version.replace('-', '_')}"


def wheel_name_of(distribution: Distribution, stem: str) -> str:
    """Give the wheel's file name with all the tags that the installed metadata states."""
    tags = expand(distribution.tags)
    if not tags:
        raise CannotRepackError("its metadata has no WHEEL file that says what it runs on")
    interpreters = ".".join(sorted({tag.interpreter for tag in tags}))
    abis = ".".join(sorted({tag.abi for tag in tags}))
    platforms = ".".join(sorted({tag.platform for tag in tags}))
    build = f"-{distribution.build_tag}" if distribution.build_tag else ""
    name = f"{stem}{build}-{interpreters}-{abis}-{platforms}.whl"
    try:
        if is_reasonable(name):
            parse_wheel_filename(name)
    except ValueError as error:  # InvalidWheelFilename, InvalidTag
        raise CannotRepackError(f"no wheel can have its name and version: {error}") from error
    if not (is_reasonable(name) and is_wheel_name(name)):
        raise CannotRepackError("no wheel can have the name that its metadata gives it")
    return name


def metadata_members(distribution: Distribution, *, stem: str) -> Iterator[Member]:
    """Give the files of the .dist-info, without those that an installer writes."""
    metadata = Path(distribution.path)
    for path in sorted(metadata.rglob("*")):
        if path.is_file() and not _is_left_out(path, metadata):
            yield Member(name=f"{stem}.dist-info/{path.relative_to(metadata).as_posix()}", source=path)


def _members(
    distribution: Distribution, *, stem: str, prefix: Path, missing: Collection[str], added: Collection[str]
) -> Iterator[Member]:
    metadata = Path(distribution.path)
    site = metadata.parent
    rows = installed_rows(metadata)
    if not rows:
        raise CannotRepackError("it has no RECORD of its files")
    root = _root(site, prefix)
    made = made_scripts(metadata)
    taken: set[str] = set()
    for row in [*rows, *added]:
        if row in missing:
            continue
        path = Path(os.path.normpath(site / row))
        if _is_left_out(path, metadata) or (path.parent == root / "bin" and path.name in made):
            continue
        name, script = _place(path, metadata=metadata, root=root, stem=stem)
        if name in taken:
            continue
        taken.add(name)
        yield Member(name=name, source=_readable(path, root), script=script)


def _root(site: Path, prefix: Path) -> Path:
    """Give the folder under which the packages of `site` put their scripts and data files."""
    if _SITE.fullmatch("/".join(site.parts[-3:])):
        return site.parents[2]
    return prefix


def _is_left_out(path: Path, metadata: Path) -> bool:
    if is_byte_code(str(path)):
        return True
    return path.parent == metadata and (
        path.name in _NAMES_LEFT_OUT or re.fullmatch(r"uv_\w+\.json", path.name) is not None
    )


def _place(path: Path, *, metadata: Path, root: Path, stem: str) -> tuple[str, bool]:
    """Give where a file goes in the wheel, and whether it is a script."""
    if path.is_relative_to(metadata):
        return f"{stem}.dist-info/{path.relative_to(metadata).as_posix()}", False
    if path.is_relative_to(metadata.parent):
        return path.relative_to(metadata.parent).as_posix(), False
    if path.parent == root / "bin":
        return f"{stem}.data/scripts/{path.name}", True
    if path.is_relative_to(root):
        return f"{stem}.data/data/{path.relative_to(root).as_posix()}", False
    raise CannotRepackError(f"its file `{path}` lies outside the environment")


def _readable(path: Path, root: Path) -> Path:
    """Give the file to read for `path`. A link counts only where it stays inside the environment."""
    try:
        source = path.resolve(strict=True)
    except (OSError, RuntimeError, ValueError) as error:  # ValueError: NUL in the name
        raise CannotRepackError(f"its file `{path}` is gone") from error
    if not source.is_relative_to(root.resolve()):
        raise CannotRepackError(f"its file `{path}` is a link out of the environment")
    if not source.is_file():
        raise CannotRepackError(f"`{path}` is not a regular file")
    return source


def _write(path: Path, members: list[Member], *, record: str) -> None:
    rows: list[str] = []
    with zipfile.ZipFile(path, "w") as archive:
        for member in members:
            digest, size = _add(archive, member)
            rows.append(f"{_quoted(member.name)},{encode_digest(digest)},{size}\n")
        rows.append(f"{_quoted(record)},,\n")
        archive.writestr(_entry(record, executable=False), "".join(rows))


def _add(archive: zipfile.ZipFile, member: Member) -> tuple[bytes, int]:
    """Add one file; give the sha256 and the size of what was added."""
    status = _status(member.source)
    if member.metadata and status.st_size <= _LARGEST_METADATA:
        return _add_metadata(archive, member)
    entry = _entry(member.name, executable=member.script or bool(status.st_mode & stat.S_IXUSR))
    entry.file_size = status.st_size
    digest = hashlib.sha256()
    size = 0
    with _open(member.source) as file, archive.open(entry, "w", force_zip64=status.st_size >= 1 << 31) as target:
        for piece in _pieces(file, script=member.script):
            digest.update(piece)
            size += target.write(piece)
    return digest.digest(), size


def _add_metadata(archive: zipfile.ZipFile, member: Member) -> tuple[bytes, int]:
    """Add a file of the .dist-info; in addresses that its maker wrote there may be logins, of `Requires-Dist` say."""
    with _open(member.source) as file:
        content = strip_exposed(file.read())
    archive.writestr(_entry(member.name, executable=False), content)
    return hashlib.sha256(content).digest(), len(content)


def _status(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except OSError as error:
        raise CannotRepackError(f"its file `{path}` cannot be read: {error.strerror}") from error


def _open(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        raise CannotRepackError(f"its file `{path}` cannot be read: {error.strerror}") from error


def _pieces(file: IO[bytes], *, script: bool) -> Iterator[bytes]:
    first = file.read(1 << 20)
    yield with_plain_shebang(first) if script else first
    while piece := file.read(1 << 20):
        yield piece


def _entry(name: str, *, executable: bool) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, date_time=_EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.create_system = 3  # Unix, so that the permissions below count
    entry.external_attr = (stat.S_IFREG | (0o755 if executable else 0o644)) << 16
    return entry


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"' if any(mark in name for mark in ',"\r\n') else name
