"""The project's code as one deterministic archive, and what has changed in a working tree since."""

import contextlib
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, cast, get_args

import msgspec

from envcap.archives import fingerprint_of
from envcap.errors import RefusedError, WrongUsageError
from envcap.model.evaluation import Declaration
from envcap.model.gap import Gap
from envcap.model.layout import CHANGES_PATCH, CODE_ARCHIVE, CODE_FOLDER, EPOCH, OWNER
from envcap.model.lock import Code, LeftOut, LeftWhy
from envcap.model.struct import Data
from envcap.project.notebooks import find_notebooks
from envcap.repository import head_of, read_submodules
from envcap.sources import SourceFiles, is_secret_file, leads_out, left_by_rule, list_files
from envcap.store import Store, file_sha256

_MOST_LEFT_OUT = 20  # paths of each reason in the lock; of the rest the count
_MOST_SOURCES, _LARGEST_SOURCE = 500, 1 << 20  # files, bytes: what can be read through in a moment


class Captured(Data, frozen=True, kw_only=True):
    """The code as it goes into the lock, and what could not be taken along."""

    code: Code
    gaps: list[Gap]


def fingerprints(project: Path, declaration: Declaration) -> dict[str, str]:
    """Give the sha256 of every code file, by path: taken before and after the runs, it shows what they wrote.

    Raises WrongUsageError for a link that leads out of the project, and for a secret in what the command names.
    """
    listing = list_files(project, left_out=outputs_and_data(project, declaration))
    for gap in listing.gaps:
        if leads_out(project, gap.subject) and not is_secret_file(gap.subject):
            raise WrongUsageError(
                f"`{gap.subject}` is a link that leads out of the project: it cannot be frozen with the code.",
                hint=f"If the evaluation reads it, declare it: `--data {gap.subject}`; if not, let git ignore it, "
                "or remove it.",
            )
        if listing.left_out.get(gap.subject) == "secret" and gap.subject in declaration.command:
            raise WrongUsageError(
                f"`{gap.subject}` is what the command runs, and cannot be frozen with the code: {gap.reason}.",
                hint="Let the evaluation take it from netrc, a keyring or a variable.",
            )
    return {path: _fingerprint(project / path) for path in listing.paths}


def capture_code(project: Path, declaration: Declaration, store: Store, *, before: Mapping[str, str]) -> Captured:
    """Archive the code into the store. Files that the runs wrote or changed since `before` are outputs, not code."""
    no_code = outputs_and_data(project, declaration)
    listing = list_files(project, left_out=no_code)
    left = listing.left_out | left_by_rule(project, listing, left_out=no_code)
    gaps = list(listing.gaps)
    paths = []
    for path in listing.paths:
        if path in before and before[path] == _fingerprint(project / path):
            paths.append(path)
        else:
            left[path] = "written"
            gaps.append(_written_by_the_run(path, existed=path in before))
    with store.receive(CODE_ARCHIVE) as incoming:
        with tarfile.open(fileobj=cast("BinaryIO", incoming), mode="w|", format=tarfile.GNU_FORMAT) as archive:
            _fill(archive, project, paths, folders=_output_folders(project, declaration))
        code = Code(
            archive=incoming.sha256,
            size=incoming.size,
            files=len(paths),
            notebooks=find_notebooks(project, paths),
            left_out=_by_reason(left),
        )
    return Captured(code=_with_repository(code, project, listing, store, taken=set(paths)), gaps=gaps)


def changes_since(project: Path, code: Code, store: Store) -> list[str]:
    """Tell in words which archived files differ in the working tree now; empty where none does.

    A folder that holds none of the archived files is not a working tree of this project: empty too. New files are
    not a change: an evaluation leaves some behind.
    """
    archive = store.require(code.archive, CODE_ARCHIVE, what="The code")
    changes: list[str] = []
    present = False
    with tarfile.open(archive) as members:
        for member in members:
            if member.isdir():
                continue
            name = member.name.removeprefix(f"{CODE_FOLDER}/")
            path = project / name
            if not path.is_file() and not path.is_symlink():
                changes.append(f"`{name}` is gone")
                continue
            present = True
            if fingerprint_of(members, member) != _fingerprint(path):
                changes.append(f"`{name}` was changed")
    return changes if present else []


def frozen_sources(code: Code, store: Store) -> dict[str, str]:
    """Give the Python sources among the frozen code, by path; none where the archive is gone or cannot be read."""
    archive = store.find(code.archive, CODE_ARCHIVE)
    sources: dict[str, str] = {}
    if archive is None:
        return sources
    with contextlib.suppress(tarfile.TarError, OSError), tarfile.open(archive) as members:
        for member in members:
            name = member.name.removeprefix(f"{CODE_FOLDER}/")
            stream = members.extractfile(member) if name.endswith(".py") and member.isfile() else None
            if stream is not None and member.size <= _LARGEST_SOURCE and len(sources) < _MOST_SOURCES:
                sources[name] = stream.read().decode(errors="replace")
    return sources


def frozen_files(code: Code, store: Store) -> dict[str, str]:
    """Give the fingerprint of each file of the frozen code. Raises RefusedError where its archive is gone."""
    found: dict[str, str] = {}
    with tarfile.open(store.require(code.archive, CODE_ARCHIVE, what="The code")) as members:
        for member in members:
            if not member.isdir():
                found[member.name.removeprefix(f"{CODE_FOLDER}/")] = fingerprint_of(members, member)
    return found


def require_frozen_code(project: Path, code: Code, store: Store) -> None:
    """Raise RefusedError, naming the files, when the working tree is not what was frozen."""
    changes = changes_since(project, code, store)
    if changes:
        more = f" and {len(changes) - 5} more" if len(changes) > 5 else ""
        raise RefusedError(
            f"The code is not what was frozen: {'; '.join(changes[:5])}{more}.{_other_commit(project, code)}",
            hint="`envcap freeze` again if the change is meant; `--frozen-code` goes on with the code in the lock.",
        )


def _other_commit(project: Path, code: Code) -> str:
    """Say, for the end of a message, which commit is checked out where it is not the frozen one."""
    now = head_of(project) if code.commit is not None else None
    if now is None or now == code.commit:
        return ""
    return f" It was frozen at commit {(code.commit or '')[:12]}, and {now[:12]} is checked out."


def _fingerprint(path: Path) -> str:
    if path.is_symlink():
        return f"link:{_link_target(path)}"
    mode = "x" if path.stat().st_mode & 0o100 else "-"
    return f"{mode}{file_sha256(path)}"


def _link_target(link: Path) -> str:
    """Give where a link leads, seen from its own folder: an absolute path would be one of this machine."""
    return os.path.relpath(link.readlink(), link.parent) if link.readlink().is_absolute() else str(link.readlink())


def _output_folders(project: Path, declaration: Declaration) -> set[str]:
    """Give the folders that outputs were written to: git holds no empty folders, and the program may expect them."""
    outputs = [declaration.metrics, *declaration.artifacts]
    folders = {str(folder) for output in outputs for folder in (Path(output), *Path(output).parents)}
    return {folder for folder in folders if (project / folder).is_dir() and not (project / folder).is_symlink()}


def outputs_and_data(project: Path, declaration: Declaration) -> list[str]:
    """Give the declared outputs and data as paths below the project: no code. Those elsewhere are none anyway."""
    declared = [declaration.metrics, *declaration.artifacts, *declaration.data]
    paths = [os.path.relpath(project / path, project) for path in declared]
    return [path for path in paths if path != "." and not path.startswith("..")]


def _fill(archive: tarfile.TarFile, project: Path, paths: list[str], *, folders: set[str]) -> None:
    """Write sorted members with fixed owner and time, folders included: the same tree gives the same bytes."""
    needed = {str(parent) for path in paths for parent in Path(path).parents}
    for folder in sorted(needed | folders | {"."}):
        member = _member(CODE_FOLDER if folder == "." else f"{CODE_FOLDER}/{folder}")
        member.type, member.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(member)
    for path in paths:
        full = project / path
        member = _member(f"{CODE_FOLDER}/{path}")
        if full.is_symlink():
            member.type, member.linkname, member.mode = tarfile.SYMTYPE, _link_target(full), 0o777
            archive.addfile(member)
            continue
        member.size = full.stat().st_size
        member.mode = 0o755 if full.stat().st_mode & 0o100 else 0o644
        with full.open("rb") as stream:
            archive.addfile(member, stream)


def _member(name: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.uid = member.gid = OWNER
    member.mtime = EPOCH
    return member


def _written_by_the_run(path: str, *, existed: bool) -> Gap:
    return Gap(
        where="code",
        subject=path,
        reason="the evaluation changed it" if existed else "the evaluation wrote it",
        consequence="it is not part of the frozen code; declare it as an artifact if it is a result",
    )


def _by_reason(left: Mapping[str, LeftWhy]) -> list[LeftOut]:
    """Give the reasons in a fixed order, each with the first of its paths."""
    found = []
    for why in get_args(LeftWhy):
        paths = sorted(path for path in left if left[path] == why)
        if paths:
            found.append(LeftOut(why=why, count=len(paths), paths=paths[:_MOST_LEFT_OUT]))
    return found


def _with_repository(code: Code, project: Path, listing: SourceFiles, store: Store, *, taken: set[str]) -> Code:
    """Add what git says of the files that were taken; nothing where there is no git."""
    repository = listing.repository
    if repository is None:
        return code
    return msgspec.structs.replace(
        code,
        repository=repository.address,
        commit=repository.commit,
        branch=repository.branch,
        shallow=repository.shallow,
        directory=repository.directory,
        patch=store.add_bytes(listing.patch, CHANGES_PATCH) if listing.patch else None,
        untracked=[path for path in listing.untracked if path in taken],
        submodules=read_submodules(project),
    )
