"""Docker through its SDK: the classic builder, which every engine has, and containers without privileges."""

import contextlib
import io
import re
import secrets
import tarfile
import tempfile
import textwrap
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import docker
import requests
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.types import Mount as DockerMount
from docker.utils.socket import STDERR, STDOUT, frames_iter

from envcap.archives import unpack
from envcap.engines.engine import Engine
from envcap.errors import NotRunError
from envcap.interruption import held
from envcap.model.image import Context, Image, Outcome, Task
from envcap.model.layout import CODE_FOLDER, LOCK_LABEL, OWNER
from envcap.model.progress import Progress, Tell

if TYPE_CHECKING:
    from docker.models.containers import Container

_WORK = f"/{CODE_FOLDER}"
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")  # the classic builder paints what a step writes to stderr
_STEP = re.compile(r"Step (\d+)/(\d+) : (.*)")
_STEP_WIDTH = 100  # characters of a build step that are shown while it runs
_PROCESSES = 4096
_KILL_SECONDS = 30.0
_NOT_FOUND = 127  # what the init process in the container ends with when it cannot start the command
_START = "Start it, for example `sudo systemctl start docker`, or use `--engine venv`."
_OWNER_LABELS = {"dev.envcap.task": "1"}


class DockerEngine:
    """An engine that answered. Containers have no network, no capabilities, a read-only root and a plain user."""

    name = "docker"
    not_rebuilt: list[str] = []

    def __init__(self, client: docker.DockerClient) -> None:
        self._client = client

    def find(self, reference: str) -> Image | None:
        """Give the image of that tag, or None."""
        with _translated("Looking for the image"):
            try:
                image = self._client.images.get(reference)
            except ImageNotFound:
                return None
            return Image(
                engine=self.name,
                reference=reference,
                identity=str(image.id),
                lock_sha256=image.labels.get(LOCK_LABEL, ""),
                size=image.attrs.get("Size"),
            )

    def build(self, context: Context, folder: Path, *, tag: str, use_cache: bool, tell: Tell) -> Image:
        """Build with no network. Intermediate containers are removed; the tag is set only by a finished build."""
        tell(Progress(kind="step", text=f"building `{tag}` with Docker"))
        with _translated("Building the image"), tempfile.TemporaryFile() as archive:
            _pack(context, folder, archive)
            messages = self._client.api.build(
                fileobj=archive,
                custom_context=True,
                decode=True,
                rm=True,
                forcerm=True,
                nocache=not use_cache,
                network_mode="none",
                platform=context.platform,
                tag=tag,
            )
            running: list[str] = []
            try:
                _follow_build(messages, tell, running=running)
            finally:
                messages.close()  # the engine then stops the step and removes its container, in its own time
                for container in running:
                    self._remove(container)
        image = self.find(tag)
        if image is None:
            raise NotRunError(f"Docker ended the build without an image `{tag}`.")
        return image

    def run(self, image: Image, task: Task, *, results: Path, tell: Tell) -> Outcome:
        """Run in a fresh container, which is gone afterwards, as is its scratch volume."""
        name = f"envcap-{secrets.token_hex(6)}"  # known beforehand: whatever stops us, we can remove it
        with _translated("Running in the container"):
            try:
                with held():
                    container = self._create(image, task, name=name)
                if task.files:
                    container.put_archive(_WORK, _tar_of(task.files))
                outcome = _start_and_follow(container, task, tell)
                for output in task.outputs:
                    _fetch(container, output, results)
                return outcome
            finally:
                self._remove(name)

    def _remove(self, container: str) -> None:
        """See to it that a container is gone. The engine may be removing it already: then wait for that."""
        deadline = time.monotonic() + _KILL_SECONDS
        while time.monotonic() < deadline:
            try:
                self._client.api.remove_container(container, force=True, v=True)
            except NotFound:
                return
            except APIError as error:
                if error.status_code != requests.codes.conflict:
                    raise
            time.sleep(0.05)

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()

    def _create(self, image: Image, task: Task, *, name: str) -> "Container":
        # An anonymous volume takes over the image's own content of the folder, owners included: the evaluation can
        # write beside its code while the root stays read-only, on a remote engine too.
        mounts = [DockerMount(target=_WORK, source="", type="volume")]
        for mount in task.mounts:
            target = mount.target if mount.target.startswith("/") else f"{_WORK}/{mount.target}"
            mounts.append(DockerMount(target=target, source=str(mount.source), type="bind", read_only=True))
        # A runaway evaluation is to die, not the machine.
        memory = task.memory or int(self._client.info()["MemTotal"] * 0.9)
        return self._client.containers.create(
            image.identity,
            task.command,
            name=name,
            working_dir=_WORK,
            user=f"{OWNER}:{OWNER}",
            mounts=mounts,
            labels=_OWNER_LABELS,
            network_mode=None if task.network else "none",
            read_only=True,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            tmpfs={"/tmp": "rw,exec,nosuid,nodev,mode=1777"},  # noqa: S108  (inside the container)
            mem_limit=memory,
            memswap_limit=memory,
            pids_limit=_PROCESSES,
            init=True,  # reaps what the evaluation leaves behind, and passes signals on
        )


def open_engine(project: Path) -> Engine:
    """Connect to the engine that the user's environment names (DOCKER_HOST, context). Raises NotRunError."""
    del project  # an engine of its own keeps its images
    try:
        client = docker.from_env(timeout=600)
    except DockerException as error:
        raise NotRunError(f"No Docker engine answers: {_plain(error)}.", hint=_START) from error
    try:
        client.ping()
    except (DockerException, requests.exceptions.RequestException) as error:
        client.close()
        raise NotRunError(f"No Docker engine answers: {_plain(error)}.", hint=_START) from error
    return DockerEngine(client)


@contextlib.contextmanager
def _translated(doing: str) -> Iterator[None]:
    """Turn what the SDK raises into a NotRunError that says what was being done."""
    try:
        yield
    except APIError as error:
        raise NotRunError(f"{doing} failed: Docker says: {error.explanation or _plain(error)}.") from error
    except (DockerException, requests.exceptions.RequestException) as error:
        raise NotRunError(
            f"{doing} failed: the Docker engine stopped answering: {_plain(error)}.", hint=_START
        ) from error


def _plain(error: BaseException) -> str:
    """Give the innermost cause in one line: the SDK wraps a refused connection four times."""
    while error.__cause__ or error.__context__:
        error = cast("BaseException", error.__cause__ or error.__context__)
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()).rstrip(".") or type(error).__name__


def _pack(context: Context, folder: Path, archive: Any) -> None:
    """Write the context as the tar stream that the build endpoint takes."""
    with tarfile.open(fileobj=archive, mode="w") as members:
        for file in context.files:
            members.add(folder / file.path, arcname=file.path, recursive=False)
    archive.seek(0)


def _follow_build(messages: Iterator[dict[str, Any]], tell: Tell, *, running: list[str]) -> None:
    """Tell steps and output as they come; raise NotRunError naming the failing step with its last lines.

    `running` holds the container of the step under way, for whoever must clean up.
    """
    step = "the first step"
    tail: deque[str] = deque(maxlen=20)
    for message in messages:
        if "error" in message:
            said = "\n".join(f"  {line}" for line in tail)
            raise NotRunError(
                f"The build failed in `{step}`: {message['error'].strip()}\n{said}".rstrip(),
                hint="`envcap build --output DIR` writes the Dockerfile and its files for a closer look.",
            )
        for line in _COLOUR.sub("", message.get("stream", "")).splitlines():
            match = _STEP.match(line)
            if match:
                step = match[3]
                tail.clear()
                shown = textwrap.shorten(step, _STEP_WIDTH, placeholder=" …")
                tell(Progress(kind="step", text=f"{match[1]}/{match[2]} {shown}"))
            elif line.startswith(" ---> Running in "):
                running[:] = [line.rpartition(" ")[2]]
            elif line.startswith(" ---> Removed intermediate container "):
                running.clear()
            elif line.strip() and not line.startswith((" ---> ", "Successfully ")):
                tail.append(line)
                tell(Progress(kind="output", text=line))


def _start_and_follow(container: "Container", task: Task, tell: Tell) -> Outcome:
    started = time.monotonic()
    stdout: list[bytes] = []
    tail: deque[str] = deque(maxlen=40)
    with _attached(container) as connection:
        reader = threading.Thread(target=_read, args=(connection, stdout, tail, tell), daemon=True)
        reader.start()
        container.start()
        timed_out = not _wait(container, reader, deadline=started + task.timeout)
        if timed_out:
            container.kill()
            _wait(container, reader, deadline=time.monotonic() + _KILL_SECONDS)
        reader.join(timeout=_KILL_SECONDS)
    seconds = time.monotonic() - started
    state = container.attrs["State"]
    if int(state["ExitCode"]) == _NOT_FOUND and tail and tail[-1].startswith("[FATAL tini"):
        raise NotRunError(f"`{task.command[0]}` cannot be started in the image: {tail[-1].partition('] ')[2]}.")
    return Outcome(
        code=int(state["ExitCode"]),
        seconds=seconds,
        stdout=b"".join(stdout).decode(errors="replace"),
        tail=list(tail),
        timed_out=timed_out,
        # Engines report a killed child as out of memory too, even when the program itself went on and ended well.
        out_of_memory=bool(state.get("OOMKilled")) and int(state["ExitCode"]) != 0,
    )


@contextlib.contextmanager
def _attached(container: "Container") -> Iterator[Any]:
    """Open the container's output. The SDK hands out the reader and forgets the socket below it: close both."""
    connection = container.attach_socket(params={"stdout": 1, "stderr": 1, "stream": 1, "logs": 1})
    socket = getattr(connection, "_sock", connection)
    try:
        yield connection
    finally:
        connection.close()
        socket.close()


def _wait(container: "Container", reader: threading.Thread, *, deadline: float) -> bool:
    """Wait for the end; False when time is up. The output ends with the container, or a little before it."""
    reader.join(timeout=max(0.0, deadline - time.monotonic()))
    pause = 0.01
    while True:
        container.reload()
        if container.attrs["State"]["Status"] in ("exited", "dead"):
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(pause)
        pause = min(1.0, pause * 2)


def _read(connection: Any, stdout: list[bytes], tail: deque[str], tell: Tell) -> None:
    """Collect the container's output; lines of both streams are told as they come."""
    rest = {STDOUT: b"", STDERR: b""}
    for number, piece in frames_iter(connection, tty=False):  # type: ignore[no-untyped-call]
        if number == STDOUT:
            stdout.append(piece)
        *lines, rest[number] = (rest[number] + piece).replace(b"\r", b"\n").split(b"\n")
        for line in lines:
            _tell_line(line, tail, tell)
    for line in rest.values():
        if line:
            _tell_line(line, tail, tell)


def _tell_line(line: bytes, tail: deque[str], tell: Tell) -> None:
    text = line.decode(errors="replace")
    tail.append(text)
    tell(Progress(kind="output", text=text))


def _fetch(container: "Container", output: str, results: Path) -> None:
    """Copy one output out of the stopped container, keeping its place below the working directory."""
    try:
        pieces, _ = container.get_archive(f"{_WORK}/{output}")
    except NotFound:
        return  # a missing output is for the comparison to name
    with tempfile.TemporaryFile() as archive:
        for piece in pieces:
            archive.write(piece)
        archive.seek(0)
        parent = (results / output).parent
        parent.mkdir(parents=True, exist_ok=True)
        unpack(archive, parent, links=False)


def _tar_of(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as members:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.uid, member.gid = len(content), 0o644, OWNER, OWNER
            members.addfile(member, io.BytesIO(content))
    return stream.getvalue()
