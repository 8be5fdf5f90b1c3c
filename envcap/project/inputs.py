"""The declared data: measured at freeze, checked again before it is used."""

import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

from envcap.errors import NotRunError, WrongUsageError
from envcap.model.gap import Gap
from envcap.model.lock import DataInput
from envcap.model.progress import Progress, Tell, say_nothing
from envcap.model.struct import Data
from envcap.pointers import fetching, is_annex_link
from envcap.project.digests import Digests, Identity, identity_of, read_digests
from envcap.project.dvc import DvcOutputs
from envcap.project.known import KnownDigests
from envcap.project.manifest import MANIFEST, DataFile, dump_manifest, parse_manifest, tell_changes
from envcap.project.mounts import link_gaps
from envcap.store import Store

_MOST_TEXT = 32 << 20  # bytes of an input whose lines are told apart: that takes fifty times as long as sha256 does
_LONG = 256 << 20  # bytes whose reading takes long enough to be told
_READERS = 4  # hashing releases the interpreter lock; cold reads gain from several readers


class MeasuredData(Data, frozen=True, kw_only=True):
    """The declared inputs as they go into the lock, and what of them is not there to be measured."""

    inputs: list[DataInput]
    gaps: list[Gap]


class _Measured(Data, frozen=True, kw_only=True):
    input: DataInput
    files: list[DataFile]
    gaps: list[Gap]


def measure_data(
    project: Path, paths: list[str], store: Store, *, known: KnownDigests | None = None, tell: Tell = say_nothing
) -> MeasuredData:
    """Measure each declared input and keep the list of its files in the store; files in `known` are not read again.

    Raises WrongUsageError for one that is not there or leaves the project by `..`, NotRunError for a file that
    cannot be read or changes while it is read.
    """
    measured = [_measure(project, path, known=known, tell=tell) for path in paths]
    for one in measured:
        store.add_bytes(dump_manifest(one.files), MANIFEST)
    gaps = [gap for one in measured for gap in one.gaps]
    return MeasuredData(inputs=[one.input for one in measured], gaps=gaps + list(link_gaps(project, paths)))


def changed_data(
    project: Path,
    data: list[DataInput],
    store: Store,
    *,
    known: KnownDigests | None = None,
    tell: Tell = say_nothing,
) -> list[str]:
    """Tell in words which inputs are not what was frozen, with their files where the store has the list of them.

    Empty where all are. Raises NotRunError for a file that cannot be read or changes while it is read.
    """
    changes = []
    for frozen in data:
        try:
            measured = _measure(project, frozen.path, known=known, tell=tell)
        except WrongUsageError:
            fetch = DvcOutputs(project, frozen.path).fetching
            changes.append(f"`{frozen.path}` is not there" + (f"; {fetch} fetches it" if fetch else ""))
            continue
        now = measured.input
        if (now.sha256, now.files, now.size) != (frozen.sha256, frozen.files, frozen.size):
            changes.append(
                f"`{frozen.path}` was changed: {frozen.files} files, {frozen.size:,} bytes, {frozen.sha256[:12]}… "
                f"then; {now.files} files, {now.size:,} bytes, {now.sha256[:12]}… now"
                + "".join(f"; {words}" for words in _changed_files(frozen, measured.files, store))
            )
    return changes


def _changed_files(frozen: DataInput, now: list[DataFile], store: Store) -> list[str]:
    """Name the files that differ; none where an older lock has no list, or it is gone: the totals say enough."""
    path = store.find(frozen.manifest, MANIFEST) if frozen.manifest is not None else None
    if path is None:
        return []
    try:
        return tell_changes(parse_manifest(path.read_bytes()), now)
    except ValueError:
        return []


def _measure(project: Path, path: str, *, known: KnownDigests | None, tell: Tell) -> _Measured:
    dvc = DvcOutputs(project, path)
    root = _require_there(project, path, dvc)
    gaps: list[Gap] = []
    paths = sorted(_files_below(root, path, gaps)) if root.is_dir() else [root]
    gaps += dvc.gaps(paths)
    files: list[DataFile] = []
    digest = hashlib.sha256()
    for file, read in zip(paths, _read_all(root, paths, path=path, known=known, tell=tell), strict=True):
        name = file.relative_to(root).as_posix() if file != root else ""
        # In the order of the paths' parts, as older locks have it.
        digest.update(os.fsencode(name) + b"\0" + read.sha256.encode() + b"\n")
        files.append(DataFile(path=name, size=read.size, sha256=read.sha256, lines=read.lines))
        gaps += _pointer_gaps(Path(path, name).as_posix(), read)
    measured = DataInput(
        path=path,
        size=sum(file.size for file in files),
        files=len(files),
        sha256=digest.hexdigest(),
        manifest=hashlib.sha256(dump_manifest(files)).hexdigest(),
        dvc=dvc.md5,
    )
    return _Measured(input=measured, files=files, gaps=gaps)


def _require_there(project: Path, path: str, dvc: DvcOutputs) -> Path:
    """Give the place of an input."""
    root = project / path
    if ".." in Path(path).parts:
        raise WrongUsageError(
            f"The data `{path}` leaves the project by `..`.",
            hint="Give it as an absolute path, or link it below.",
        )
    if not root.exists():
        raise WrongUsageError(
            f"The declared data `{path}` is not there.",
            hint=f"DVC knows it, and {dvc.fetching} fetches it."
            if dvc.fetching
            else "Correct `data` in the configuration, or fetch it first.",
        )
    return root


def _read_all(root: Path, paths: list[Path], *, path: str, known: KnownDigests | None, tell: Tell) -> Iterator[Digests]:
    """Give the digests of all files of an input in their order; what is known and did not change is not read."""
    looked_at = time.time()
    now = [_look(file) for file in paths]
    with_lines = _smallest(now)
    real = root.resolve()
    kept = known.recall(real) if known is not None else {}
    held = {one: there for one, there in kept.items() if there.with_lines == (one in with_lines)}
    unread = sum(one[-1] for one in now if one and one not in held)
    if unread >= _LONG:
        tell(Progress(kind="step", text=f"reading the data `{path}` ({unread / 1e9:.1f} GB)"))

    def read(file: Path, identity: Identity | None) -> Digests:
        there = held.get(identity) if identity is not None else None
        return there or read_digests(file, with_lines=identity in with_lines)

    found = []
    with ThreadPoolExecutor(_READERS) as readers:
        for one in readers.map(read, paths, now):
            found.append(one)
            yield one
    if known is not None and (unread or len(held) != len(found)):
        known.remember(real, found, looked_at=looked_at)


def _smallest(files: Iterable[Identity | None]) -> set[Identity]:
    """Give the files of an input whose lines are told apart: from the smallest on, as many as do not take long."""
    found: set[Identity] = set()
    size = 0
    for identity in sorted(filter(None, files), key=lambda one: one[-1]):
        size += identity[-1]
        if size > _MOST_TEXT:
            break
        found.add(identity)
    return found


def _look(path: Path) -> Identity | None:
    """Give what a file is now; one that is gone by now is none, its reading will tell."""
    try:
        return identity_of(path.stat())
    except OSError:
        return None


def _pointer_gaps(subject: str, read: Digests) -> Iterator[Gap]:
    if read.pointer is not None:
        yield _gap(
            subject,
            f"it is a pointer of {read.pointer} whose content was not fetched",
            f"only the pointer is recorded; {fetching(read.pointer, subject)} fetches the content",
        )


def _files_below(root: Path, declared: str, gaps: list[Gap]) -> Iterator[Path]:
    for folder, folders, files in os.walk(root, followlinks=True, onerror=_refuse_folder):
        folders[:] = sorted(name for name in folders if not _leads_back(Path(folder, name), root))
        for name in sorted(files, key=os.fsencode):
            path = Path(folder, name)
            if _is_plain(path):
                yield path
            else:
                gaps.append(_left_out(path, Path(declared, path.relative_to(root)).as_posix()))


def _is_plain(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:  # its folder can be listed, and not entered
        _refuse_folder(error)


def _refuse_folder(error: OSError) -> NoReturn:
    raise NotRunError(
        f"The data folder `{error.filename}` cannot be read: {error.strerror}.",
        hint="Make it readable for this user, or declare the files that the evaluation reads one by one.",
    ) from error


def _left_out(path: Path, subject: str) -> Gap:
    """Say why something that a folder lists cannot be measured."""
    consequence = "it is not part of the recorded data; a change of it is not seen"
    if path.is_symlink() and is_annex_link(str(path.readlink())):
        reason = "git-annex has not fetched its content"
        consequence += f"; {fetching('git-annex', subject)} fetches it"
    elif path.is_symlink():
        reason = "the link leads nowhere, or to no plain file"
    else:
        reason = "it is a socket, a pipe or a device"
    return _gap(subject, reason, consequence)


def _gap(subject: str, reason: str, consequence: str) -> Gap:
    return Gap(where="data", subject=subject, reason=reason, consequence=consequence)


def _leads_back(path: Path, root: Path) -> bool:
    """Tell whether a link leads to a folder that it is in: following it would never end."""
    if not path.is_symlink():
        return False
    above = [folder for folder in path.parents if folder == root or folder.is_relative_to(root)]
    return path.resolve() in {folder.resolve() for folder in above}
