"""The files of a build context: fetched, checked against the lock, assembled, and laid into a folder."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from msgspec import structs

from envcap.assemble.bytecode import Compiler
from envcap.assemble.wheels import AssembledWheels, write_layer
from envcap.fetching import fetch_inputs, locked_files
from envcap.model.image import Context, Installation
from envcap.model.layout import CODE_ARCHIVE, CONDA_EDITS
from envcap.model.lock import Lock
from envcap.model.progress import Tell
from envcap.places import assembled_cache, download_cache, lock_store


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
    with tempfile.TemporaryDirectory(prefix="context-", dir=download_cache(environ).root) as name:
        folder = Path(name)
        for file in context.files:
            target = folder / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            if file.content is not None:
                target.write_bytes(file.content)
            elif file.sha256 is not None:
                _link_or_copy(files[file.sha256], target)
            else:
                _lay_layer([archives[wheel] for wheel in file.wheels], target)
        yield folder


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


def _lay_layer(archives: list[Path], target: Path) -> None:
    if len(archives) == 1:
        _link_or_copy(archives[0], target)
        return
    with target.open("wb") as file:
        write_layer(archives, file)


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


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)
