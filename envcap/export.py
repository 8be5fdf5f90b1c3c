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
from envcap.report.cyclonedx import describe_cyclonedx
from envcap.report.requirements import describe_requirements

FORMATS: dict[str, Callable[[Lock], str]] = {
    "cyclonedx": describe_cyclonedx,
    "requirements": describe_requirements,
    "conda-lock": describe_conda_lock,
    "conda-explicit": describe_explicit,
    "environment.yml": describe_environment,
    "pixi.lock": describe_pixi_lock,
}


def _dockerfile(lock: Lock, sha256: str) -> str:
    from envcap.render.portable import portable_dockerfile

    return portable_dockerfile(lock, lock_sha256=sha256)


def _apptainer(lock: Lock, sha256: str) -> str:
    from envcap.render.apptainer import apptainer_definition

    return apptainer_definition(lock, lock_sha256=sha256)


# These say which lock they were rendered from, and need the files of `build --portable --output` beside them.
RENDERED: dict[str, Callable[[Lock, str], str]] = {"apptainer": _apptainer, "dockerfile": _dockerfile}


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
    formats = {*FORMATS, *RENDERED}
    if request.format not in formats:
        raise WrongUsageError(
            f"There is no export format `{request.format}`.", hint=f"There is: {', '.join(sorted(formats))}."
        )
    lock, sha256 = lockfile.read(lockfile.lock_path(request.project, request.name))
    text = RENDERED[request.format](lock, sha256) if request.format in RENDERED else FORMATS[request.format](lock)
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
