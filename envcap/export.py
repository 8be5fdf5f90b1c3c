"""Export: a lock as a file that other tools read. Which formats there are, and where the file goes."""

from collections.abc import Callable
from pathlib import Path

from envcap import lockfile
from envcap.atomic import write_bytes
from envcap.errors import NotRunError, WrongUsageError
from envcap.model.lock import Lock
from envcap.model.progress import Progress, Tell
from envcap.model.struct import Data
from envcap.report.conda import describe_environment, describe_explicit
from envcap.report.conda_tools import describe_conda_lock, describe_pixi_lock
from envcap.report.requirements import describe_requirements

FORMATS: dict[str, Callable[[Lock], str]] = {
    "requirements": describe_requirements,
    "conda-lock": describe_conda_lock,
    "conda-explicit": describe_explicit,
    "environment.yml": describe_environment,
    "pixi.lock": describe_pixi_lock,
}


class ExportRequest(Data, frozen=True, kw_only=True):
    """What the command line asked for."""

    project: Path
    name: str = "envcap"
    format: str = "requirements"
    output: Path | None = None


def export(request: ExportRequest, *, tell: Tell) -> str:
    """Give the lock in the format asked for, and write it to `output`, whole or not at all, where one is named.

    What the lock could not pin is told, because the file has no place for it. Raises WrongUsageError for an unknown
    format or a missing lock, RefusedError for a lock that cannot be believed.
    """
    describe = FORMATS.get(request.format)
    if describe is None:
        raise WrongUsageError(
            f"There is no export format `{request.format}`.", hint=f"There is: {', '.join(sorted(FORMATS))}."
        )
    lock, _ = lockfile.read(lockfile.lock_path(request.project, request.name))
    text = describe(lock)
    for gap in lock.gaps:
        if gap.where in {"packages", "conda"}:
            tell(Progress(kind="notice", text=f"a gap in the lock: {gap.subject}: {gap.reason}"))
    if request.output is not None:
        _write(request.output, text)
    return text


def _write(path: Path, text: str) -> None:
    if path.is_dir():
        raise WrongUsageError(f"`{path}` is a folder, not a file to write to.")
    if not path.parent.is_dir():
        raise NotRunError(f"The folder `{path.parent}` is not there, so `{path.name}` cannot be written.")
    write_bytes(path, text.encode())
