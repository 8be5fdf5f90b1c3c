"""The folder of one run on this machine: its inputs are linked into it, and its outputs copied out of it."""

import os
import shutil
from pathlib import Path

from envcap.errors import NotRunError
from envcap.model.image import Task


def link_inputs(task: Task, work: Path) -> None:
    """Link the inputs to where the evaluation expects them."""
    for mount in task.mounts:
        if mount.target.startswith("/"):
            continue  # it is where it was: this engine shares the machine's file system
        link = work / mount.target
        if os.path.lexists(link):
            continue  # it is within an input that is linked already
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(mount.source)


def bring_back(task: Task, work: Path, results: Path) -> None:
    """Copy the outputs that are there. Raises NotRunError where they are larger than the task allows."""
    _require_bounded([work / output for output in task.outputs], task)
    for output in task.outputs:
        _bring_back(work / output, results / output)


def _bring_back(source: Path, target: Path) -> None:
    if not source.exists():
        return  # a missing output is for the comparison to name
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=_no_files)
    elif source.is_file():
        shutil.copyfile(source, target)


def _no_files(folder: str, names: list[str]) -> list[str]:
    """Name what cannot be copied, or would never end: links to nowhere, pipes, sockets, devices."""
    paths = ((name, Path(folder, name)) for name in names)
    return [name for name, path in paths if not (path.is_file() or path.is_dir())]


def _require_bounded(outputs: list[Path], task: Task) -> None:
    """Raise NotRunError where the outputs are larger than the task allows."""
    if task.most_output is None:
        return
    files = [path for output in outputs for path in (output, *output.rglob("*")) if path.is_file()]
    if sum(path.stat().st_size for path in files) > task.most_output:
        raise NotRunError(
            f"The run wrote more than {task.most_output:,} bytes of outputs, and they were not brought back.",
            hint="That is far more than the frozen runs wrote. If it is meant, freeze again.",
        )
