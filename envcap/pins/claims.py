"""Which file each RECORD claims, and what is on disk in its place: existence and size, not yet contents.

The format of RECORD is that of PEP 376. An environment has fifty thousand rows, so what is done for each is little.
"""

import errno
import os
import stat
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from envcap.model.facts import Distribution
from envcap.pins.record import INSTALLER_FILES, installed_table, is_byte_code
from envcap.pins.scripts import made_scripts

_ALGORITHMS = {"sha256", "sha384", "sha512"}
_DIGITS = 20  # of a size; more than 4300 are refused by int() with an error of its own
_OUTSIDE = ("../", "/")
_UNPLAIN_ENDS = ("/..", "/.")


class Row(msgspec.Struct, frozen=True, gc=False):
    """One row of a RECORD. `path` is spelt as there, `digest` is `algorithm=digest` or empty where none can be checked.

    `owner` is the number of the distribution; `size` is what the row states, in bytes.
    """

    owner: int
    path: str
    digest: str
    size: int | None

    @property
    def script(self) -> bool:
        """Whether it is a script, whose first line installers rewrite."""
        return self.path.startswith(_OUTSIDE) and self.path.rpartition("/")[0].endswith("/bin")


class Identity(msgspec.Struct, frozen=True, gc=False):
    """What changes whenever a file does: its inode, size in bytes, and the times of its last changes in ns."""

    inode: int
    size: int
    modified: int
    changed: int


class Claimed(msgspec.Struct, frozen=True, gc=False):
    """A file, everybody's row for it, and its identity, None where it is gone or no regular file.

    `algorithms` are those of its rows, in one word; with `script` where its first line may have been rewritten. What
    is `hidden` is there and cannot be looked at.
    """

    path: str
    rows: list[Row]
    identity: Identity | None
    algorithms: str
    hidden: bool = False

    @property
    def worth_reading(self) -> bool:
        """Whether a row could still be right; a script's size is that of another first line."""
        if self.identity is None:
            return False
        size = self.identity.size
        return any(row.digest and (row.size is None or row.size == size or row.script) for row in self.rows)


def read_claims(distributions: Sequence[Distribution]) -> list[Claimed]:
    """Give the files that the RECORDs claim, in their order. Byte code, and what installers write, is left aside."""
    rows: dict[str, list[Row]] = defaultdict(list)
    for owner, distribution in enumerate(distributions):
        for path, row in _rows(owner, Path(distribution.path)).items():
            rows[path].append(row)
    return [Claimed(path, claims, *_look(path, _algorithms(claims))) for path, claims in rows.items()]


def identity_of(status: os.stat_result) -> Identity:
    """Give the identity in what stat told."""
    return Identity(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _rows(owner: int, metadata: Path) -> dict[str, Row]:
    """Give the row of each path on disk; of a path that occurs twice, the last."""
    site, made = str(metadata.parent), None
    last: dict[str, Row] = {}
    for path, digest, size in _read(metadata):
        if is_byte_code(path) or "\0" in path:
            continue
        if path.startswith(_OUTSIDE):
            made = made_scripts(metadata) if made is None else made
            if path.rpartition("/")[2] in made:
                continue
        elif ".dist-info/" in path and _is_installers(path):
            continue
        on_disk = path if path.startswith("/") else f"{site}/{path}"
        if "./" in path or "//" in path or path.endswith(_UNPLAIN_ENDS):
            on_disk = os.path.normpath(on_disk)
        known = digest.partition("=")[0] in _ALGORITHMS
        stated = int(size) if size.isascii() and size.isdecimal() and len(size) < _DIGITS else None
        last[on_disk] = Row(owner, path, digest if known else "", stated)
    return last


def _algorithms(rows: Sequence[Row]) -> str:
    if len(rows) == 1 and rows[0].digest.startswith("sha256=") and not rows[0].path.startswith(_OUTSIDE):
        return "sha256"  # as nearly all
    words = {row.digest.partition("=")[0] for row in rows if row.digest}
    return " ".join(sorted(words | {"script"} if any(row.script for row in rows) else words))


def _read(metadata: Path) -> Iterator[tuple[str, str, str]]:
    for row in installed_table(metadata):
        path, digest, size, *_ = row if len(row) > 2 else [*row, "", ""]
        yield path, digest, size


def _is_installers(path: str) -> bool:
    folder, _, name = path.rpartition("/")
    return folder.endswith(".dist-info") and name in INSTALLER_FILES


def _look(path: str, algorithms: str) -> tuple[Identity | None, str, bool]:
    try:
        status = os.stat(path)  # noqa: PTH116  (a Path for each of 50,000 files costs more than the look)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None, algorithms, False
    except OSError as error:
        return None, algorithms, error.errno != errno.ENAMETOOLONG
    return identity_of(status) if stat.S_ISREG(status.st_mode) else None, algorithms, False
