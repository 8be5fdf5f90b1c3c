"""The declared data: measured at freeze, checked again before it is used."""

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from envcap.errors import WrongUsageError
from envcap.model.lock import DataInput
from envcap.store import file_sha256

_READERS = 4  # hashing releases the interpreter lock; cold reads gain from several readers


def measure_data(project: Path, paths: list[str]) -> list[DataInput]:
    """Measure each declared input. Raises WrongUsageError for one that is not there or leaves the project by `..`."""
    return [_measure(project, path) for path in paths]


def changed_data(project: Path, data: list[DataInput]) -> list[str]:
    """Tell in words which inputs are not what was frozen; empty where all are."""
    changes = []
    for frozen in data:
        try:
            now = _measure(project, frozen.path)
        except WrongUsageError:
            changes.append(f"`{frozen.path}` is not there")
            continue
        if now != frozen:
            changes.append(
                f"`{frozen.path}` was changed: {frozen.files} files, {frozen.size:,} bytes, {frozen.sha256[:12]}… "
                f"then; {now.files} files, {now.size:,} bytes, {now.sha256[:12]}… now"
            )
    return changes


def _measure(project: Path, path: str) -> DataInput:
    root = project / path
    if ".." in Path(path).parts:
        raise WrongUsageError(
            f"The data `{path}` leaves the project by `..`.",
            hint="Give it as an absolute path, or link it below.",
        )
    if not root.exists():
        raise WrongUsageError(
            f"The declared data `{path}` is not there.",
            hint="Correct `data` in the configuration, or fetch it first.",
        )
    files = [root] if root.is_file() else sorted(_files_below(root))
    digest = hashlib.sha256()
    size = 0
    with ThreadPoolExecutor(_READERS) as readers:
        for file, sha256 in zip(files, readers.map(file_sha256, files), strict=True):
            name = os.fsencode(file.relative_to(root).as_posix()) if file != root else b""
            digest.update(name + b"\0" + sha256.encode() + b"\n")
            size += file.stat().st_size
    return DataInput(path=path, size=size, files=len(files), sha256=digest.hexdigest())


def _files_below(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root, followlinks=True):
        folders[:] = sorted(name for name in folders if not _leads_back(Path(folder, name), root))
        for name in files:
            path = Path(folder, name)
            if path.is_file():
                yield path


def _leads_back(path: Path, root: Path) -> bool:
    """Tell whether a link leads to a folder that it is in: following it would never end."""
    if not path.is_symlink():
        return False
    above = [folder for folder in path.parents if folder == root or folder.is_relative_to(root)]
    return path.resolve() in {folder.resolve() for folder in above}
