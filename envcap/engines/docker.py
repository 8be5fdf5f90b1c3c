"""Docker: the engine that the user's environment names, and the best builder that its client has."""

from collections.abc import Callable
from pathlib import Path

import docker
import msgspec
from docker.utils import parse_repository_tag

from envcap.engines.base_image import has_containerd_store
from envcap.engines.buildkit import Solved, find_buildkit, is_turned_off
from envcap.engines.classic import build_classic
from envcap.engines.docker_api import SECONDS, DockerEngine, Flavour
from envcap.engines.engine import Engine
from envcap.engines.pushing import push
from envcap.engines.replies import answering
from envcap.model.image import Context
from envcap.model.progress import Progress, Tell

_NO_BUILDX = (
    "the Docker client has no BuildKit (`docker buildx`), which is faster and gives an image with the same digest each "
    "time: install the package `docker-buildx-plugin` (Debian: `docker-buildx`)"
)


def _build_docker(
    client: docker.DockerClient,
    context: Context,
    folder: Path,
    *,
    tag: str,
    use_cache: bool,
    tell: Tell,
    remove: Callable[[str], None],
) -> Solved:
    """Build with BuildKit where the client has it, else with the classic builder, which every engine has.

    Where the client lacks it, and nobody turned it off, that is said before and noted in what comes back.
    """
    buildkit = find_buildkit()
    told = client.info()
    engine = f"Docker {told.get('ServerVersion', 'of an unknown version')}"
    builder = f"BuildKit (buildx {buildkit.version}, {engine})" if buildkit else f"Docker's classic builder ({engine})"
    tell(Progress(kind="step", text=f"building `{tag}` with {builder}"))
    if buildkit is None:
        note = None if is_turned_off() else _NO_BUILDX
        if note is not None:
            tell(Progress(kind="notice", text=note))
        identity = build_classic(client, context, folder, use_cache=use_cache, tell=tell, remove=remove)
        return Solved(identity=identity, builder=builder, note=note)
    compresses = has_containerd_store(told)
    solved = buildkit.build(context, folder, compresses=compresses, use_cache=use_cache, tell=tell)
    return msgspec.structs.replace(solved, builder=builder)


def _push_docker(client: docker.DockerClient, reference: str, *, tell: Tell) -> str:
    """Push with packed layers: a registry and all who pull from it are further away than the engine's own store.

    The containerd store sends layers as it keeps them, and BuildKit leaves them unpacked there; those of the classic
    builder are packed, and the classic store packs what it sends.
    """
    buildkit = find_buildkit()
    if buildkit is None or not has_containerd_store(client.info()):
        return push(client, reference, tell=tell)
    repository, _ = parse_repository_tag(reference)
    return f"{repository}@{buildkit.push(reference, tell=tell)}"


_DOCKER = Flavour(
    name="docker",
    title="Docker",
    start="Start it, for example `sudo systemctl start docker`, or use `--engine venv`.",
    build=_build_docker,
    push=_push_docker,
    gives_gpus=True,
)


def open_engine(project: Path) -> Engine:
    """Give the engine that the user's environment names. Raises NotRunError when none answers."""
    del project  # an engine of its own keeps its images
    return DockerEngine(connect(), _DOCKER)


def connect() -> docker.DockerClient:
    """Connect to the engine that the user's environment names (DOCKER_HOST, context). Raises NotRunError."""
    return answering(lambda: docker.from_env(timeout=SECONDS), title=_DOCKER.title, hint=_DOCKER.start)
