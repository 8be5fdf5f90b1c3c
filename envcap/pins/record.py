"""Proving by content which wheel was installed: the RECORD inside a wheel against the RECORD that is installed.

The format of RECORD is that of the binary distribution format (PEP 427) and of PEP 376. Nothing here asks the network:
a wheel is any seekable binary file.
"""

import base64
import csv
import io
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import IO

from envcap.model.struct import Data
from envcap.regular import read_regular

# Written by installers beside what the wheel holds.
INSTALLER_FILES = {"INSTALLER", "REQUESTED", "RECORD", "direct_url.json", "uv_cache.json", "uv_build.json"}
_SIGNATURES = {"RECORD.jws", "RECORD.p7s"}
_LIBRARY, _OUTSIDE = {"purelib", "platlib"}, ("../", "/")
_DATA = re.compile(r"[^/]+\.data/(?P<scheme>[^/]+)/(?P<path>.*)")

LARGEST_RECORD = 1 << 27  # bytes: more than a million rows
# What `zipfile` and its decompressors raise for archives that are damaged or lie about themselves.
BROKEN_ZIP = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError),
    *(ValueError, LookupError, ArithmeticError, NotImplementedError, RuntimeError),
)

Rows = dict[str, str]  # path -> `algorithm=digest`, empty where the RECORD states none


def parse_record(text: str) -> Rows:
    """Give path and hash of each row, of a path that occurs twice the last; none where the text is no CSV."""
    return {row[0]: row[1] if len(row) > 1 else "" for row in _table(text)}


def installed_table(metadata: Path) -> list[list[str]]:
    """Give the rows of the RECORD in the .dist-info folder `metadata` as they are, each with a path.

    None where there is no RECORD, or one that cannot be read.
    """
    try:
        content = read_regular(metadata / "RECORD", limit=LARGEST_RECORD)
    except OSError:
        return []
    return _table(content.decode("utf-8", errors="surrogateescape"))


def installed_rows(metadata: Path) -> Rows:
    """Give path and hash of each row of `installed_table`, of a path that occurs twice the last."""
    return {row[0]: row[1] if len(row) > 1 else "" for row in installed_table(metadata)}


def _table(text: str) -> list[list[str]]:
    try:
        return [row for row in csv.reader(io.StringIO(text)) if row and row[0]]
    except csv.Error:  # a field of more than 128 KiB, a lone carriage return, NUL for old readers
        return []


def wheel_rows(file: IO[bytes]) -> Rows:
    """Give the rows of the RECORD inside a wheel; none where it has no readable RECORD or is not a zip."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = [name for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/RECORD", name)]
            # Of a bomb no more is unpacked than what it admits to.
            if len(names) != 1 or archive.getinfo(names[0]).file_size > LARGEST_RECORD:
                return {}
            return parse_record(archive.read(names[0]).decode("utf-8", errors="replace"))
    except BROKEN_ZIP:
        return {}


class Comparison(Data, frozen=True, kw_only=True):
    """What a wheel's RECORD and an installed one say of the same files.

    `differing` are the paths that only one has, or with another hash, sorted; `unstated` those without any hash in the
    wheel, of which nothing is known; `files` is how many were compared.
    """

    files: int
    differing: list[str] = []
    unstated: list[str] = []

    @property
    def proves(self) -> bool:
        """Whether the installed files are those of the wheel."""
        return self.files > 0 and not self.differing and not self.unstated


def compare_records(
    wheel: Mapping[str, str],
    installed: Mapping[str, str],
    *,
    rewritten: Mapping[str, Collection[str]] | None = None,
) -> Comparison:
    """Compare what the wheel holds with what is installed. Hashes are compared as each RECORD states them.

    What installers add is left aside: their own metadata files, byte code, scripts that they make. What is outside
    the site directory is compared where `rewritten` tells which scripts got another first line, by their rows, and
    which digests each may have had before; an empty one may have had any.
    """
    held, here = _comparable(wheel), _comparable(installed)
    moved = _moved(wheel)
    for path in here.keys() - held.keys():
        if here[path] and (path.rpartition("/")[2], here[path]) in moved:
            candidates = moved[path.rpartition("/")[2], here[path]]
            if any(candidate.endswith(f"/{path}") for candidate in candidates):
                held[path] = here[path]
    every = held.keys() | here.keys()
    outside = {} if rewritten is None else _outside(wheel, installed, rewritten)
    wrong = [path for path, is_same in outside.items() if not is_same]
    return Comparison(
        files=len(every) + len(outside),
        differing=sorted([*(path for path in every if held.get(path) != here.get(path)), *wrong]),
        unstated=sorted(path for path, digest in held.items() if not digest),
    )


def _outside(
    wheel: Mapping[str, str], installed: Mapping[str, str], rewritten: Mapping[str, Collection[str]]
) -> dict[str, bool]:
    """Tell of each script, header and data file of the wheel, where it can be told, whether it is what is installed."""
    told: dict[str, bool] = {}
    placed = {row.replace("../", ""): row for row in installed if row.startswith(_OUTSIDE)}
    for path, digest in wheel.items():
        match = _DATA.fullmatch(path)
        if match is None or match["scheme"] in _LIBRARY or not digest:
            continue
        row = _row_of(match["scheme"], match["path"], placed)
        stated = installed[row] if row is not None else ""
        if row is None or digest.partition("=")[0] != stated.partition("=")[0]:
            continue
        before = rewritten.get(row)
        told[path] = stated == digest or (before is not None and (not before or digest in before))
    return told


def _row_of(scheme: str, path: str, placed: Mapping[str, str]) -> str | None:
    """Give the row of what a wheel puts outside the site directory; None where it is not found."""
    match scheme:
        case "scripts":
            ends = f"bin/{path}"
        case "data":
            ends = path
        case "headers":  # in a folder of the distribution, below one of the interpreter
            return next(
                (row for place, row in placed.items() if "include/" in place and place.endswith(f"/{path}")), None
            )
        case _:
            return None
    if ends in placed:
        return placed[ends]
    return next((row for place, row in placed.items() if place.startswith("/") and place.endswith(f"/{ends}")), None)


def same_contents(wheel: Mapping[str, str], installed: Mapping[str, str]) -> bool:
    """Tell whether every file that the wheel puts below the site directory is installed, and no other is."""
    return compare_records(wheel, installed).proves


def _moved(wheel: Mapping[str, str]) -> dict[tuple[str, str], list[str]]:
    """Give what is in the wheel's `.data` folder by file name and hash: it may have been put anywhere."""
    found: dict[tuple[str, str], list[str]] = {}
    for held, digest in wheel.items():
        if _DATA.fullmatch(held):
            found.setdefault((held.rpartition("/")[2], digest), []).append(held)
    return found


def _comparable(rows: Mapping[str, str]) -> Rows:
    """Give the rows of files below the site directory, as they are named there."""
    compared: Rows = {}
    for path, digest in rows.items():
        match = _DATA.fullmatch(path)
        if match is not None and match["scheme"] not in _LIBRARY:
            continue
        inside = match["path"] if match is not None else path
        if not _is_generated(inside):
            compared[inside] = digest
    return compared


def _is_generated(path: str) -> bool:
    folder, _, name = path.rpartition("/")
    if folder.endswith(".dist-info") and (name in INSTALLER_FILES or name in _SIGNATURES):
        return True
    return path.startswith(_OUTSIDE) or is_byte_code(path)


def is_byte_code(path: str) -> bool:
    """Tell whether a file is made anew from its source; byte code elsewhere may be all there is of a module."""
    return "__pycache__/" in path


def encode_digest(digest: bytes) -> str:
    """Give a sha256 digest as RECORD writes it: urlsafe base64 without padding (PEP 376)."""
    return "sha256=" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
