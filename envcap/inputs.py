"""The files of a build context: fetched, checked against the lock, assembled, and laid into a folder."""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from msgspec import structs

from envcap.assemble.bytecode import Compiler
from envcap.assemble.wheels import AssembledWheels
from envcap.fetching import fetch_inputs, locked_files
from envcap.model.image import Context, Installation
from envcap.model.layout import CODE_ARCHIVE, CONDA_EDITS
from envcap.model.lock import Lock
from envcap.model.progress import Tell
from envcap.places import assembled_cache, cache_root, context_folders, lock_store


@contextmanager
def written(
    context: Context,
    lock: Lock,
    project: Path,
    *,
    compiler: Compiler | None,
    environ: Mapping[str, str],
    tell: Tell,
) -> Iterator[Path]:
    """Write the whole context to a folder that is gone afterwards. Files are linked from the caches where possible.

    `compiler` makes the byte code of layers that are not in the cache; without one they have none.
    """
    assembled = AssembledWheels(assembled_cache(environ))
    installation = context.installation
    if installation is not None and compiler is not None:
        # A base image comes from a lock: what its interpreter makes is for those that name the same one.
        installation = structs.replace(installation, compiled_by=compiler.name)
    archives = _find_assembled(context, assembled, installation)
    files = _fetched(context, lock, project, without=archives, environ=environ, tell=tell)
    archives |= _assembled(context, assembled, installation, files, archives, compiler=compiler, tell=tell)
    with _context_folder(context_folders(environ), project) as folder:
        for file in context.files:
            target = folder / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            if file.content is not None:
                target.write_bytes(file.content)
            elif file.sha256 is not None:
                _lay(files[file.sha256], target, cache=cache_root(environ))
            else:
                layer = assembled.layer([archives[wheel] for wheel in file.wheels])
                _lay(layer, target, cache=cache_root(environ))
        yield folder


@contextmanager
def _context_folder(root: Path, project: Path) -> Iterator[Path]:
    """Give an empty folder, for one project the same each time; of two builds at once the second gets one of its own.

    BuildKit asks for those files of a folder that it does not have with this size and time, so that what did not change
    is not sent again.
    """
    folder = root / hashlib.sha256(os.fsencode(project)).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if not _locked(descriptor) or not folder.exists():  # another build has it, or somebody is pruning it
            with _another_folder(root) as another:
                yield another
            return
        try:
            _empty(folder)  # of what a killed one left
            yield folder
        finally:
            _empty(folder)
    finally:
        os.close(descriptor)


@contextmanager
def _another_folder(root: Path) -> Iterator[Path]:
    """Give a new folder that is gone afterwards. It is locked: by that whoever prunes knows it from a killed one's."""
    while True:
        folder = Path(tempfile.mkdtemp(dir=root))
        with suppress(FileNotFoundError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            if _locked(descriptor) and folder.exists():
                break
            os.close(descriptor)  # it was pruned before it was locked
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _find_assembled(context: Context, assembled: AssembledWheels, installation: Installation | None) -> dict[str, Path]:
    """Give the archives of wheels that are in the cache already."""
    if installation is None:
        return {}
    found = {wheel: assembled.find(wheel, installation) for file in context.files for wheel in file.wheels}
    return {wheel: archive for wheel, archive in found.items() if archive is not None}


def _assembled(
    context: Context,
    assembled: AssembledWheels,
    installation: Installation | None,
    files: Mapping[str, Path],
    found: Mapping[str, Path],
    *,
    compiler: Compiler | None,
    tell: Tell,
) -> dict[str, Path]:
    """Make the archives of the wheels that are not in the cache yet."""
    missing = {wheel: files[wheel] for file in context.files for wheel in file.wheels if wheel not in found}
    if installation is None or not missing:
        return {}
    return assembled.assemble(missing, installation, compiler=compiler, tell=tell)


def _fetched(
    context: Context,
    lock: Lock,
    project: Path,
    *,
    without: Mapping[str, Path],
    environ: Mapping[str, str],
    tell: Tell,
) -> dict[str, Path]:
    """Give every file that the context holds, by its sha256, but for wheels that are assembled already."""
    named = {file.sha256 for file in context.files}.union(*(file.wheels for file in context.files))
    wanted = [package for package in locked_files(lock) if package.wheel.sha256 in named]
    # What is carried beside the lock is checked in any case: it belongs to the lock.
    packages = [one for one in wanted if one.wheel.path is not None or one.wheel.sha256 not in without]
    debs = [package for package in lock.os_packages.packages if package.sha256 in named] if lock.os_packages else []
    files = fetch_inputs(lock, packages=packages, os_packages=debs, project=project, environ=environ, tell=tell)
    store = lock_store(project)
    if lock.conda_prefix is not None and lock.conda_prefix.edits is not None:
        edits = lock.conda_prefix.edits
        files[edits] = store.require(edits, CONDA_EDITS, what="The edited conda files")
    files[lock.code.archive] = store.require(lock.code.archive, CODE_ARCHIVE, what="The code")
    return files


def _lay(source: Path, target: Path, *, cache: Path) -> None:
    """Link a file from the cache, with the time at which it came there; copy any other.

    A file from elsewhere may have a time that somebody gave it, and another file of that size the same one: BuildKit
    would take the two for one.
    """
    if source.is_relative_to(cache):
        with suppress(OSError):  # another file system, or one without links
            os.link(source, target)
            return
    shutil.copyfile(source, target)
