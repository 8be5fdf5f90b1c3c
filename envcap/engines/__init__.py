"""Floor 2: what can build an image and run a task in it. A back end is a module and one entry in `ENGINES`."""

from collections.abc import Callable, Mapping
from pathlib import Path

from envcap.engines.engine import Engine
from envcap.errors import NotRunError, WrongUsageError
from envcap.model.progress import Progress, Tell


def _open_docker(project: Path) -> Engine:
    from envcap.engines import docker

    return docker.open_engine(project)


def _open_venv(project: Path) -> Engine:
    from envcap.engines import venv

    return venv.open_engine(project)


# Opening one raises NotRunError when this machine does not have it. `auto` takes the first that opens.
ENGINES: Mapping[str, Callable[[Path], Engine]] = {"docker": _open_docker, "venv": _open_venv}


def open_engine(name: str, project: Path, *, tell: Tell) -> Engine:
    """Open the engine of that name; `auto` takes the first that answers and tells why it passed others over.

    Raises WrongUsageError for an unknown name and NotRunError when the one asked for does not answer.
    """
    if name != "auto":
        if name not in ENGINES:
            raise WrongUsageError(f"`{name}` is not an engine.", hint=f"Choose from: auto, {', '.join(ENGINES)}.")
        return ENGINES[name](project)
    *others, last = ENGINES.values()
    for opening in others:
        try:
            return opening(project)
        except NotRunError as error:  # noqa: PERF203  (two turns)
            tell(Progress(kind="notice", text=f"{error.message} Going on with the embedded `venv` engine."))
    return last(project)
