"""Every installed file against its RECORD. It reads the environment's files on this host and asks nobody.

Existence and size come first, then the digest, several files at once. The format of RECORD is that of PEP 376.
"""

import base64
import errno
import hashlib
import os
import stat
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from envcap.model.facts import Distribution
from envcap.model.progress import Progress, Tell
from envcap.model.struct import Data
from envcap.pins.damage import Damage
from envcap.pins.record import INSTALLER_FILES, installed_table
from envcap.pins.repack import made_scripts, with_plain_shebang
from envcap.pins.threads import run_each

_THREADS = 8  # cold disks answer eight readers faster than two; warm it makes no difference
_BATCH = 16 << 20  # bytes of files that a thread takes at once
_MOST_FILES = 256  # the same, in files
_BUFFER = 1 << 18
_ALGORITHMS = {"sha256", "sha384", "sha512"}
_DIGITS = 20  # of a size; more than 4300 are refused by int() with an error of its own
_MODULES = (".py", ".so")
_NOBODYS = {"_virtualenv.py"}  # virtualenv and uv put it into every environment


class _Row(Data, frozen=True, kw_only=True):
    owner: int
    path: str  # as RECORD spells it
    digest: str  # `algorithm=digest`, empty where nothing can be checked
    size: int | None


class _Claimed(Data, frozen=True, kw_only=True):
    """A file on disk, everybody's row for it, its size, None where it is gone or no regular file."""

    path: str
    rows: list[_Row]
    size: int | None
    hidden: bool = False  # it is there and cannot be looked at


def check_files(distributions: Sequence[Distribution], *, tell: Tell) -> dict[str, Damage]:
    """Give the damage of each distribution that has any, by the path of its metadata.

    A file that belongs to several is in order when one of their rows says so. Byte code, scripts that installers
    make, and first lines that they rewrite are left aside.
    """
    claimed = _claimed(distributions)
    contents: dict[str, set[str] | None] = {}
    batches = list(_batches([file for file in claimed if file.size is not None and _is_worth_reading(file)]))
    for done, (_, digests) in enumerate(run_each(_read, batches, threads=_THREADS), start=1):
        contents.update(digests)
        tell(Progress(kind="count", text="checking installed files", done=done, total=len(batches)))
    found: dict[int, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for file in claimed:
        for row in file.rows:
            state = _state(row, file, contents.get(file.path, set()))
            if state:
                found[row.owner][state].add(row.path)
    for owner, path in _unowned(distributions, {file.path: file.rows[0].owner for file in claimed}):
        found[owner]["unowned"].add(path)
    return {
        distributions[owner].path: Damage(**{state: sorted(paths) for state, paths in states.items()})
        for owner, states in sorted(found.items())
    }


def _claimed(distributions: Sequence[Distribution]) -> list[_Claimed]:
    rows: dict[str, list[_Row]] = defaultdict(list)
    for owner, distribution in enumerate(distributions):
        for path, row in _rows(owner, Path(distribution.path)):
            rows[path].append(row)
    return [_look(path, claims) for path, claims in rows.items()]


def _rows(owner: int, metadata: Path) -> Iterator[tuple[str, _Row]]:
    """Give path on disk and row for all that is worth a look; of a path that occurs twice, the last."""
    site, made = str(metadata.parent), made_scripts(metadata)
    last: dict[str, _Row] = {}
    for row in installed_table(metadata):
        if row[0].endswith(".pyc") or "\0" in row[0]:
            continue
        path, digest, size, *_ = [*row, "", ""]
        folder, _, name = path.rpartition("/")
        outside = path.startswith(("../", "/"))
        if (folder.endswith(".dist-info") and name in INSTALLER_FILES) or (outside and name in made):
            continue
        on_disk = os.path.normpath(f"{site}/{path}" if not path.startswith("/") else path)
        known = digest.partition("=")[0] in _ALGORITHMS
        stated = int(size) if size.isascii() and size.isdecimal() and len(size) < _DIGITS else None
        last[on_disk] = _Row(owner=owner, path=path, digest=digest if known else "", size=stated)
    yield from last.items()


def _look(path: str, rows: list[_Row]) -> _Claimed:
    try:
        status = os.stat(path)  # noqa: PTH116  (a Path for each of 50,000 files costs more than the look)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return _Claimed(path=path, rows=rows, size=None)
    except OSError as error:
        return _Claimed(path=path, rows=rows, size=None, hidden=error.errno != errno.ENAMETOOLONG)
    return _Claimed(path=path, rows=rows, size=status.st_size if stat.S_ISREG(status.st_mode) else None)


def _is_worth_reading(file: _Claimed) -> bool:
    """Tell whether a row could still be right; a script's size is that of another first line."""
    return any(row.digest and (_is_script(row) or row.size in {None, file.size}) for row in file.rows)


def _is_script(row: _Row) -> bool:
    return row.path.startswith(("../", "/")) and row.path.rpartition("/")[0].endswith("/bin")


def _batches(files: Sequence[_Claimed]) -> Iterator[tuple[_Claimed, ...]]:
    """Give the files in portions, the largest first, so that the last thread does not work alone for long."""
    batch: list[_Claimed] = []
    total = 0
    for file in sorted(files, key=lambda file: file.size or 0, reverse=True):
        batch.append(file)
        total += file.size or 0
        if total >= _BATCH or len(batch) >= _MOST_FILES:
            yield tuple(batch)
            batch, total = [], 0
    if batch:
        yield tuple(batch)


def _read(batch: Sequence[_Claimed]) -> dict[str, set[str] | None]:
    """Give the digests of each file that its rows could mean, None where it cannot be read."""
    return {file.path: _digests(file) for file in batch}


def _digests(file: _Claimed) -> set[str] | None:
    algorithms = sorted({row.digest.partition("=")[0] for row in file.rows if row.digest})
    found = set()
    try:
        for algorithm in algorithms:
            digest = hashlib.new(algorithm)
            with open(file.path, "rb", buffering=0) as stream:  # noqa: PTH123  (as above)
                while piece := stream.read(_BUFFER):
                    digest.update(piece)
            found.add(_encoded(algorithm, digest.digest()))
        if any(_is_script(row) for row in file.rows):
            plain = with_plain_shebang(Path(file.path).read_bytes())
            found |= {_encoded(algorithm, hashlib.new(algorithm, plain).digest()) for algorithm in algorithms}
    except OSError:
        return None
    return found


def _encoded(algorithm: str, digest: bytes) -> str:
    return f"{algorithm}=" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _state(row: _Row, file: _Claimed, contents: set[str] | None) -> str:
    """Give the kind of damage, or nothing where the row is right or cannot tell."""
    if file.hidden or contents is None:
        return "unreadable" if row.digest else ""
    if file.size is None:
        return "missing"
    if not row.digest or row.digest.rstrip("=") in contents:
        return ""
    theirs = any(other.digest.rstrip("=") in contents for other in file.rows if other.owner != row.owner)
    return "replaced" if theirs else "edited"


def _unowned(distributions: Sequence[Distribution], owners: dict[str, int]) -> Iterator[tuple[int, str]]:
    """Give the modules that nobody's RECORD has, each with the owner of its folder, as RECORD would spell them.

    A site directory where some distribution left no list of its files is passed over: they might be its.
    """
    sites = {os.path.dirname(one.path) for one in distributions}  # noqa: PTH120
    silent = {os.path.dirname(one.path) for one in distributions if not one.record}  # noqa: PTH120
    for site in sorted(sites - silent):
        folders: dict[str, int] = {}
        for path, owner in owners.items():
            first, below, _ = path.removeprefix(f"{site}/").partition("/")
            if path.startswith(f"{site}/") and below and not first.endswith(".dist-info"):
                folders[first] = min(owner, folders.get(first, owner))
        for first, owner in sorted(folders.items()):
            for folder, below_it, files in os.walk(f"{site}/{first}"):
                below_it[:] = [name for name in below_it if name != "__pycache__"]
                for name in files:
                    path = f"{folder}/{name}"
                    if name.endswith(_MODULES) and name not in _NOBODYS and path not in owners:
                        yield owner, path.removeprefix(f"{site}/")
