"""Floor 2: what can build an image and run a task in it. A back end is a module and one entry in `ENGINES`."""

from collections.abc import Callable, Mapping
from pathlib import Path

from envcap.engines.engine import Engine
from envcap.errors import NotRunError, WrongUsageError
from envcap.model.progress import Progress, Tell


def _open_docker(project: Path) -> Engine:
    from envcap.engines import docker

    return docker.open_engine(project)


def _open_podman(project: Path) -> Engine:
    from envcap.engines import podman

    return podman.open_engine(project)


def _open_venv(project: Path) -> Engine:
    from envcap.engines import venv

    return venv.open_engine(project)


# Opening one raises NotRunError when this machine does not have it. `auto` takes the first that opens.
ENGINES: Mapping[str, Callable[[Path], Engine]] = {
    "docker": _open_docker,
    "podman": _open_podman,
    "venv": _open_venv,
}
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_CONTAINERS = ("docker", "podman")  # those that have images


def require_asked_platform(asked: str | None, platform: str) -> None:
    """Raise NotRunError for a platform that a lock is not for: its packages are files of one processor."""
    if asked is None or _same_platform(asked) == platform:
        return
    raise NotRunError(
        f"The lock is for `{platform}`, and `{asked}` was asked for: its packages are for one processor only.",
        hint="Freeze on a machine of that kind, where the evaluation shows what it computes.",
    )


def _same_platform(asked: str) -> str:
    """Give a platform as images name it: `amd64` and `linux/x86_64` are `linux/amd64`."""
    name = asked.lower().rpartition("linux/")[2]
    return f"linux/{_ARCHITECTURES.get(name, name)}"


def require_platform(engine: Engine, platform: str) -> None:
    """Raise NotRunError where the engine's processor is not what a lock is for.

    An engine that emulates one would be slow, and would compute as no processor of that kind does.
    """
    if engine.platform != platform:
        raise NotRunError(
            f"The lock is for `{platform}`, and the engine `{engine.name}` is on `{engine.platform}`: its packages are "
            "for another processor, and an emulated one would not give the same numbers.",
            hint="Use a machine of that kind, or name its engine in DOCKER_HOST.",
        )


def open_engine(name: str, project: Path, *, tell: Tell) -> Engine:
    """Open the engine of that name; `auto` takes the first that answers and tells why it passed others over.

    Raises WrongUsageError for an unknown name and NotRunError when the one asked for does not answer.
    """
    if name != "auto":
        if name not in ENGINES:
            raise WrongUsageError(f"`{name}` is not an engine.", hint=f"Choose from: auto, {', '.join(ENGINES)}.")
        return ENGINES[name](project)
    try:
        return open_container_engine(project)
    except NotRunError as error:
        tell(Progress(kind="notice", text=f"{error.message} Going on with the embedded `venv` engine."))
    return ENGINES["venv"](project)


def open_container_engine(project: Path) -> Engine:
    """Open the first engine that has images. Raises NotRunError, with what the first one lacks, when none answers."""
    failures: list[NotRunError] = []
    for name in _CONTAINERS:
        try:
            return ENGINES[name](project)
        except NotRunError as error:  # noqa: PERF203  (two turns)
            failures.append(error)
    raise failures[0]
