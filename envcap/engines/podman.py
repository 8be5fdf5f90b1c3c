"""Podman: Docker's API on a socket of its own, and its own builder, which gives the same image each time.

Its service is looked for where podman itself looks (podman-system-service(1), "CONTAINER_HOST"): the address in
CONTAINER_HOST, the user's own socket, the system's. Where none answers, the service is started for as long as needed.
"""

import hashlib
import json
import os
import re
import shutil
import socket
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from pathlib import Path

import docker
from docker.errors import ImageNotFound

from envcap.atomic import write_cached
from envcap.engines.build_progress import shortened
from envcap.engines.buildkit import Solved
from envcap.engines.docker_api import SECONDS, DockerEngine, Flavour
from envcap.engines.engine import Engine
from envcap.engines.pushing import push
from envcap.engines.replies import answering
from envcap.errors import NotRunError
from envcap.model.image import Context
from envcap.model.progress import Progress, Tell
from envcap.places import podman_cache
from envcap.process import capture, run_live, serving
from envcap.store import file_sha256

_TITLE = "Podman"
# The first whose builder leaves out the label with its own version (buildah 1.26, `--identity-label`); `--timestamp` is
# older. Debian 12 and Ubuntu 24.04 have newer ones, Ubuntu 22.04 has 3.4.
_NEEDED = (4, 1)
_INSTALL = "Install the package `podman`, or use `--engine docker` or `--engine venv`."
_START = "`podman info` tells whether it works; `systemctl --user start podman.socket` starts its service."
_IDLE = "3600"  # seconds after which a service of ours ends by itself, should nobody be left to end it
_BUILD_SECONDS = 24 * 3600.0  # nobody waits longer for a build
_STEP = re.compile(r"STEP (\d+)/(\d+): (.*)")
_NOISE = re.compile(r"--> |COMMIT$|Successfully tagged |[0-9a-f]{64}$|$")


def open_engine(project: Path) -> Engine:
    """Give podman by its service. Raises NotRunError when there is none and none can be started."""
    del project  # an engine of its own keeps its images
    program = shutil.which("podman")
    if program is None:
        raise NotRunError("There is no program `podman` here.", hint=_INSTALL)
    require_version(podman_version(program))
    with ExitStack() as stack:
        address = _address() or stack.enter_context(_service(program))
        client = answering(lambda: docker.DockerClient(base_url=address, timeout=SECONDS), title=_TITLE, hint=_START)
        stack.callback(client.close)
        flavour = Flavour(
            name="podman",
            title=_TITLE,
            start=_START,
            build=partial(_build, program, address),
            push=push,
            gives_gpus=False,
        )
        return DockerEngine(client, flavour, release=stack.pop_all().close)


def podman_version(program: str) -> str:
    """Give the version of the client, as `4.3.1`."""
    done = capture([program, "--version"], purpose="Asking for podman's version", timeout=30.0)
    return done.stdout.decode(errors="replace").split()[-1]


def require_version(version: str) -> None:
    """Raise NotRunError for one that cannot build as envcap asks it to; one that is told otherwise is believed."""
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if numbers is not None and tuple(map(int, numbers.groups())) < _NEEDED:
        needed = ".".join(map(str, _NEEDED))
        raise NotRunError(
            f"This is podman {version}, and its builder cannot give the same image each time: that takes {needed}.",
            hint=f"Install podman {needed} or newer, or use `--engine docker` or `--engine venv`.",
        )


def _address() -> str | None:
    """Give the address of the service that this user's podman would use, or None where none listens."""
    named = os.environ.get("CONTAINER_HOST")
    if named:
        return named
    folder = os.environ.get("XDG_RUNTIME_DIR", "/nowhere") if os.geteuid() else "/run"
    path = Path(folder, "podman", "podman.sock")
    with closing(socket.socket(socket.AF_UNIX)) as connection:
        try:
            connection.connect(str(path))
        except OSError:  # not there, or left behind by one that is gone
            return None
    return f"unix://{path}"


@contextmanager
def _service(program: str) -> Iterator[str]:
    """Have a service of our own meanwhile; give its address."""
    with tempfile.TemporaryDirectory(prefix="envcap-podman-") as name:
        path = Path(name, "podman.sock")
        command = [program, "system", "service", "--time", _IDLE, f"unix://{path}"]
        with serving(command, purpose="Starting podman", answers=path.is_socket, log=Path(name, "log")):
            yield f"unix://{path}"


def _build(
    program: str,
    address: str,
    client: docker.DockerClient,
    context: Context,
    folder: Path,
    *,
    tag: str,
    use_cache: bool,
    tell: Tell,
    remove: Callable[[str], None],
) -> Solved:
    """Build with podman's own builder, which can date an image and all that is in its layers (podman-build(1)).

    Through the SDK it could not. It says what it adds by its steps, not how long they take. What it made of the same
    context before, and still has, is taken: it would be sent everything first, and read it.
    """
    del remove  # its containers are its own: it removes them
    builder = f"buildah (podman {podman_version(program)})"
    tell(Progress(kind="step", text=f"building `{tag}` with {builder}"))
    made = podman_cache(os.environ) / _key(context, folder, builder)
    held = _held(client, made) if use_cache else None
    if held is not None:
        tell(Progress(kind="step", text="nothing has changed: it is there"))
        return Solved(identity=held, builder=builder)
    seen = _Steps()

    def on_line(line: str) -> None:
        for progress in seen.take(line):
            tell(progress)

    with tempfile.TemporaryDirectory(prefix="envcap-build-") as name:
        identity = Path(name) / "identity"
        words = [program, "--url", address, "build", "--timestamp", str(context.epoch), "--network", "none"]
        words += ["--http-proxy=false", "--identity-label=false", "--pull=missing", "--platform", context.platform]
        words += ["--iidfile", str(identity), *([] if use_cache else ["--no-cache"]), str(folder)]
        finished = run_live(words, cwd=folder, env=os.environ, timeout=_BUILD_SECONDS, on_line=on_line)
        if finished.code != 0:
            said = "".join(f"\n  {line}" for line in seen.tail)
            raise NotRunError(
                f"The build failed in `{shortened(seen.step)}`: podman ended with code {finished.code}.{said}",
                hint="`envcap build --output DIR` writes the Dockerfile and its files for a closer look.",
            )
        solved = Solved(identity=identity.read_text().strip(), builder=builder)
    with suppress(OSError):  # a cache that cannot be written
        write_cached(made, solved.identity.encode())
    return solved


def _key(context: Context, folder: Path, builder: str) -> str:
    """Name all that an image depends on: what is in the context, byte for byte, its date, and who builds."""
    files = {file.path: file_sha256(folder / file.path) for file in context.files}
    told = [builder, context.platform, context.epoch, files]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _held(client: docker.DockerClient, made: Path) -> str | None:
    """Give the id of the image that was made before, if the engine still has it."""
    try:
        return str(client.images.get(made.read_text(encoding="ascii")).id)
    except (OSError, ValueError, ImageNotFound):
        return None


class _Steps:
    """What podman's builder says, line by line."""

    def __init__(self) -> None:
        self.step = "the first step"
        self.tail: deque[str] = deque(maxlen=20)

    def take(self, line: str) -> Iterator[Progress]:
        match = _STEP.match(line)
        if match:
            self.step = match[3]
            self.tail.clear()
            yield Progress(kind="step", text=f"{match[1]}/{match[2]} {shortened(self.step)}")
        elif not _NOISE.match(line):
            self.tail.append(line)
            yield Progress(kind="output", text=line)
