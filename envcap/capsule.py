"""The capsule: one archive with a lock and everything that its image is built from. Nothing of it is believed.

Format 1 is a tar (GNU form, as `tar` reads it) of plain files, uncompressed because nearly all of them are compressed
already; times, owners and modes are fixed, so that the same lock gives the same bytes. The members are:

- `.envcap/capsule.json`, the first: `format`, `lock` (the lock's file name) and `files`, each with `path`, `size` in
  bytes and `sha256`, sorted by path. The other members follow in that order, and there are no others.
- `pylock.NAME.toml`: the lock.
- `.envcap/store/SHA256/NAME`: what belongs to the lock.
- `.envcap/inputs/SHA256/NAME`: wheels, `.deb` files and conda archives as they were downloaded.
- `.envcap/base/`: the images that it is made from, of one platform, as an OCI image layout (OCI image specification,
  "Image Layout").

Unpacked, it is a project: `envcap build` and `envcap verify` run in it, without a network.
"""

import hashlib
import re
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import msgspec

from envcap.errors import NotRunError, RefusedError, WrongUsageError
from envcap.model.progress import Progress, Tell
from envcap.model.struct import Data
from envcap.places import BASE_FOLDER, INPUTS_FOLDER
from envcap.store import STORE_FOLDER, file_sha256

FORMAT = 1
MANIFEST = ".envcap/capsule.json"
_LARGEST_MANIFEST = 16 << 20  # bytes; that of a thousand files has a fifth of a MiB
_LARGEST_FILE = 64 << 30
_LARGEST_LOCK = 64 << 20
_MOST_FILES = 50_000
_PIECE = 1 << 20
_BLOCK = tarfile.BLOCKSIZE
_LOCK = re.compile(r"pylock\.[A-Za-z0-9_-]+\.toml")
_NAME = r"(?!\.\.?$)[^/\\\x00-\x1f\x7f]{1,255}"
_KEPT = re.compile(rf"({re.escape(STORE_FOLDER)}|{re.escape(INPUTS_FOLDER)})/(?P<sha256>[0-9a-f]{{64}})/{_NAME}")
_BLOB = re.compile(rf"{re.escape(BASE_FOLDER)}/blobs/sha256/(?P<sha256>[0-9a-f]{{64}})")
_LAYOUT = (f"{BASE_FOLDER}/index.json", f"{BASE_FOLDER}/oci-layout")
_TAKE_AGAIN = "Take the capsule from its source again."


class Entry(Data, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file: its path below the project, its bytes' number and digest."""

    path: str
    sha256: str
    size: int


class Manifest(Data, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a capsule says that it holds."""

    format: int
    lock: str
    files: list[Entry]


def write_capsule(stream: BinaryIO, lock: str, files: Mapping[str, Path], *, tell: Tell) -> Manifest:
    """Write the files, given by their paths in the capsule; give what the capsule says of itself."""
    entries = [
        Entry(path=path, sha256=file_sha256(file), size=file.stat().st_size) for path, file in sorted(files.items())
    ]
    manifest = Manifest(format=FORMAT, lock=lock, files=entries)
    _check(manifest, source="the new capsule")
    described = msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"
    stream.write(_header(MANIFEST, len(described)) + described + _padding(len(described)))
    for number, entry in enumerate(entries, start=1):
        stream.write(_header(entry.path, entry.size))
        with files[entry.path].open("rb") as file:
            _copy(file, stream, entry, source="the new capsule")
        stream.write(_padding(entry.size))
        tell(Progress(kind="count", text="packing", done=number, total=len(entries)))
    stream.write(_end(stream.tell()))
    return manifest


def unpack(capsule: Path, folder: Path, *, tell: Tell) -> Manifest:
    """Write the capsule's files below `folder`, which is empty; give what it says of itself.

    Every byte of the archive must be one that `write_capsule` writes for such a manifest: so there are no links, no
    devices, no other names and nothing besides. Raises RefusedError else, WrongUsageError when there is no such file.
    """
    source = capsule.name
    try:
        stream = capsule.open("rb")
    except OSError as error:
        raise WrongUsageError(f"The capsule `{capsule}` cannot be read: {error.strerror}.") from error
    with stream:
        manifest = _read_manifest(stream, source)
        _check(manifest, source=source)
        _require_size(stream, manifest, capsule.stat().st_size, source)
        for number, entry in enumerate(manifest.files, start=1):
            target = folder / entry.path
            target.parent.mkdir(parents=True, exist_ok=True)
            _expect(stream, _header(entry.path, entry.size), source)
            with target.open("xb") as file:
                _copy(stream, file, entry, source=source)
            _expect(stream, _padding(entry.size), source)
            tell(Progress(kind="count", text="unpacking", done=number, total=len(manifest.files)))
        _expect(stream, _end(stream.tell()), source)
    (folder / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")
    return manifest


def _read_manifest(stream: BinaryIO, source: str) -> Manifest:
    head = stream.read(_BLOCK)
    try:
        size = tarfile.TarInfo.frombuf(head, "utf-8", "strict").size
    except (tarfile.HeaderError, ValueError) as error:
        raise RefusedError(f"`{source}` is not a capsule: {error}.", hint="`envcap pack` writes one.") from error
    if not 0 < size <= _LARGEST_MANIFEST or head != _header(MANIFEST, size):
        raise RefusedError(f"`{source}` is not a capsule of envcap.", hint="`envcap pack` writes one.")
    described = stream.read(size)
    _expect(stream, _padding(size), source)
    try:
        written = msgspec.json.decode(described, type=dict[str, msgspec.Raw]).get("format")
        if written is not None and bytes(written).isdigit() and int(bytes(written)[:9]) > FORMAT:
            raise RefusedError(
                f"`{source}` has format `{int(bytes(written)[:9])}`; this envcap reads formats up to `{FORMAT}`.",
                hint="It comes from a newer envcap: `pip install --upgrade envcap`.",
            )
        manifest = msgspec.json.decode(described, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RefusedError(f"`{source}` has no valid list of its files: {error}.", hint=_TAKE_AGAIN) from error
    if msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n" != described:
        raise RefusedError(f"`{source}` has a list of its files that envcap did not write.", hint=_TAKE_AGAIN)
    return manifest


def _check(manifest: Manifest, *, source: str) -> None:
    """Raise RefusedError for a name, a size or a digest that no capsule has."""

    def refuse(complaint: str) -> RefusedError:
        return RefusedError(f"`{source}`: {complaint}.", hint=_TAKE_AGAIN)

    if manifest.format != FORMAT:
        raise refuse(f"it has format `{manifest.format}`, which never was one")
    if _LOCK.fullmatch(manifest.lock) is None:
        raise refuse(f"its lock is called {manifest.lock[:200]!r}, which is no name of a lock")
    if len(manifest.files) > _MOST_FILES:
        raise refuse(f"it names {len(manifest.files):,} files, more than {_MOST_FILES:,}")
    paths = [entry.path for entry in manifest.files]
    if paths != sorted(set(paths)) or manifest.lock not in paths:
        raise refuse("its files are not in order, or one is there twice, or its lock is not among them")
    for entry in manifest.files:
        known = _KEPT.fullmatch(entry.path) or _BLOB.fullmatch(entry.path)
        if known is None and entry.path != manifest.lock and entry.path not in _LAYOUT:
            raise refuse(f"it holds {entry.path[:200]!r}, which has no place in a capsule")
        if re.fullmatch(r"[0-9a-f]{64}", entry.sha256) is None or (known and known["sha256"] != entry.sha256):
            raise refuse(f"`{entry.path}` has the sha256 {entry.sha256[:70]!r}, which cannot be")
        largest = _LARGEST_FILE if known else _LARGEST_LOCK
        if not 0 <= entry.size <= largest:
            raise refuse(f"`{entry.path}` has {entry.size:,} bytes, and {largest:,} are the most")


def _require_size(stream: BinaryIO, manifest: Manifest, size: int, source: str) -> None:
    """Raise RefusedError before anything is written when the archive is shorter or longer than its list says."""
    after = stream.tell() + sum(
        len(_header(entry.path, entry.size)) + entry.size + len(_padding(entry.size)) for entry in manifest.files
    )
    expected = after + len(_end(after))
    if size != expected:
        was = "cut off" if size < expected else "followed by something else"
        raise RefusedError(
            f"`{source}` is {was}: it should have {expected:,} bytes and has {size:,}.", hint=_TAKE_AGAIN
        )


def _copy(origin: BinaryIO, target: BinaryIO, entry: Entry, *, source: str) -> None:
    digest = hashlib.sha256()
    left = entry.size
    while left:
        piece = origin.read(min(left, _PIECE))
        if not piece:
            break
        digest.update(piece)
        try:
            target.write(piece)
        except OSError as error:
            raise NotRunError(f"`{entry.path}` cannot be written: {error.strerror}.") from error
        left -= len(piece)
    if left or digest.hexdigest() != entry.sha256:
        raise RefusedError(
            f"`{entry.path}` in `{source}` is damaged: its sha256 should be {entry.sha256} and is "
            f"{digest.hexdigest()}.",
            hint=_TAKE_AGAIN,
        )


def _expect(stream: BinaryIO, expected: bytes, source: str) -> None:
    if stream.read(len(expected)) != expected:
        raise RefusedError(f"`{source}` is not put together as envcap does it.", hint=_TAKE_AGAIN)


def _header(path: str, size: int) -> bytes:
    """Give the tar header of a plain file with fixed time, owner and mode."""
    member = tarfile.TarInfo(path)
    member.size = size
    return member.tobuf(tarfile.GNU_FORMAT, "utf-8", "strict")


def _padding(size: int) -> bytes:
    return b"\0" * (-size % _BLOCK)


def _end(position: int) -> bytes:
    """Give what follows the last member: two empty blocks, then up to a whole record."""
    return b"\0" * (2 * _BLOCK + -(position + 2 * _BLOCK) % tarfile.RECORDSIZE)
