"""Floor 2: what can build an image and run a task in it. A back end is a module and one entry in `ENGINES`."""

from collections.abc import Callable, Mapping
from pathlib import Path

from envcap.engines.engine import Engine


def _open_docker(project: Path) -> Engine:
    from envcap.engines import docker

    return docker.open_engine(project)


def _open_venv(project: Path) -> Engine:
    from envcap.engines import venv

    return venv.open_engine(project)


# Opening one raises NotRunError when this machine does not have it. `auto` takes the first that opens.
ENGINES: Mapping[str, Callable[[Path], Engine]] = {"docker": _open_docker, "venv": _open_venv}
