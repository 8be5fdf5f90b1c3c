"""Every installed file of a conda prefix against its record, and the archive of those that were changed since."""

import hashlib
import os
import stat
import tarfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

import msgspec
from packaging.utils import canonicalize_name

from envcap.model.facts import CondaRecord, Facts
from envcap.model.layout import CONDA_EDITS
from envcap.model.progress import Progress, Tell
from envcap.model.struct import Data
from envcap.pins.record import installed_rows
from envcap.store import Store
from envcap.threads import run_each

_THREADS = 8
_PORTION = 200  # files that a thread takes at once
_BUFFER = 1 << 18
# 1980-01-02 03:04:05: a time that no packaging tool gives. Byte code is told from its source by time and size alone,
# so an edited file with the time of the original would be ignored.
_EDITED_AT = 315630245
_METADATA = ("RECORD", "INSTALLER", "METADATA")


class Contradictions(Data, frozen=True, kw_only=True):
    """Files that are not as their records say, by package and below the prefix, without those that pip put there.

    `replaced` holds the metadata folders of distributions that pip has installed over conda's own.
    """

    edited: dict[str, list[str]] = {}
    missing: dict[str, list[str]] = {}
    replaced: list[str] = []


class _Path(msgspec.Struct):
    path: str = msgspec.field(name="_path", default="")
    path_type: str = "hardlink"
    sha256: str | None = None
    sha256_in_prefix: str | None = None
    prefix_placeholder: str | None = None


class _Paths(msgspec.Struct):
    paths: list[_Path] = []


class _Record(msgspec.Struct):
    paths_data: _Paths | None = None
    files: list[str] = []


class _Claim(Data, frozen=True, kw_only=True):
    package: str
    path: str
    sha256: str


def check_conda_files(facts: Facts, *, tell: Tell) -> Contradictions:
    """Read every file that a record states a digest of, on this host, and tell which differ or are gone.

    Byte code is left aside: interpreters write it anew. A file is in order when one of its records says so.
    """
    prefix = Path(facts.prefix)
    claims = (
        [claim for record in facts.conda.records for claim in _claims(record.name, Path(record.record))]
        if facts.conda
        else []
    )
    wanted: dict[str, set[str]] = defaultdict(set)
    for claim in claims:
        wanted[claim.path].add(claim.sha256)
    paths = sorted(wanted)
    portions = [tuple(paths[start : start + _PORTION]) for start in range(0, len(paths), _PORTION)]
    found: dict[str, str | None] = {}

    def read(portion: Sequence[str]) -> dict[str, str | None]:
        return {path: _digest(prefix / path) for path in portion}

    for done, (_, digests) in enumerate(run_each(read, portions, threads=_THREADS), start=1):
        found.update(digests)
        tell(Progress(kind="count", text="checking conda's files", done=done, total=len(portions)))
    wrong = [claim for claim in claims if found[claim.path] not in wanted[claim.path]]
    return _sorted_out(facts, wrong, found)


def files_of_records(records: Sequence[CondaRecord]) -> set[str]:
    """Give every path below the prefix that a record names as its package's, whatever is there now."""
    found: set[str] = set()
    for record in records:
        read = _read_record(Path(record.record))
        found.update(read.files, (entry.path for entry in read.paths_data.paths) if read.paths_data else ())
    return found


def _read_record(record: Path) -> _Record:
    """Read what a record states of its files. One of another shape states nothing."""
    try:
        return msgspec.json.decode(record.read_bytes(), type=_Record)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return _Record()


def _claims(package: str, record: Path) -> Iterator[_Claim]:
    paths = _read_record(record).paths_data
    for entry in paths.paths if paths is not None else []:
        digest = entry.sha256_in_prefix or (None if entry.prefix_placeholder else entry.sha256)
        pure = PurePosixPath(entry.path)
        inside = bool(pure.parts) and not pure.is_absolute() and ".." not in pure.parts
        if digest and inside and entry.path_type in {"hardlink", "unix_python_entry_point"} and pure.suffix != ".pyc":
            yield _Claim(package=package, path=entry.path, sha256=digest)


def _digest(path: Path) -> str | None:
    """Give the sha256 of a regular file, None where there is none."""
    digest = hashlib.sha256()
    try:
        with path.open("rb", buffering=0) as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                return None
            while piece := stream.read(_BUFFER):
                digest.update(piece)
    except (OSError, ValueError):
        return None
    return digest.hexdigest()


def _sorted_out(facts: Facts, wrong: Sequence[_Claim], found: dict[str, str | None]) -> Contradictions:
    real = os.path.realpath(facts.prefix)
    edited_paths = {claim.path for claim in wrong}
    owned = {one.path: os.path.relpath(os.path.realpath(one.path), real) for one in facts.distributions}
    replaced = [
        one.path
        for one in facts.distributions
        if one.conda is not None and any(f"{owned[one.path]}/{name}" in edited_paths for name in _METADATA)
    ]
    foreign = [one for one in facts.distributions if one.conda is None or one.path in replaced]
    theirs = {path for one in foreign for path in _files_of(Path(one.path), real)}
    names = {str(canonicalize_name(one.name)) for one in foreign}
    edited: dict[str, list[str]] = defaultdict(list)
    missing: dict[str, list[str]] = defaultdict(list)
    for claim in wrong:
        if claim.path in theirs:
            continue
        if found[claim.path] is not None:
            edited[claim.package].append(claim.path)
        elif not ("site-packages/" in claim.path and claim.package in names):
            missing[claim.package].append(claim.path)  # pip takes away what it replaces, here and in the image
    return Contradictions(
        edited={name: sorted(set(paths)) for name, paths in edited.items()},
        missing={name: sorted(set(paths)) for name, paths in missing.items()},
        replaced=replaced,
    )


def _files_of(info: Path, real: str) -> Iterator[str]:
    """Give the files of a distribution by its RECORD, below the prefix."""
    for path in installed_rows(info):
        yield os.path.relpath(os.path.realpath(info.parent / path), real)


def keep_edits(prefix: Path, found: Contradictions, store: Store, *, unowned: Sequence[str] = ()) -> str | None:
    """Put the changed files, and others that no package owns, into one deterministic archive in the store.

    Gives its sha256, None without any.
    """
    paths = sorted({*unowned, *(path for paths in found.edited.values() for path in paths)})
    paths = [path for path in paths if (prefix / path).is_file()]  # the runs may have taken one away
    if not paths:
        return None
    with store.receive(CONDA_EDITS) as incoming:
        with tarfile.open(fileobj=cast("BinaryIO", incoming), mode="w|", format=tarfile.GNU_FORMAT) as archive:
            for path in paths:
                member = tarfile.TarInfo(path)
                status = (prefix / path).stat()
                member.size, member.mtime = status.st_size, _EDITED_AT
                member.mode = 0o755 if status.st_mode & 0o100 else 0o644
                with (prefix / path).open("rb") as stream:
                    archive.addfile(member, stream)
        return incoming.sha256
