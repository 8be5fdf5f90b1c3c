"""One container of the Docker engine, from creation to its outputs. Whoever creates one removes it."""

import contextlib
import io
import os
import re
import stat
import tarfile
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
from docker.types import DeviceRequest
from docker.types import Mount as DockerMount
from docker.utils.socket import STDERR, STDOUT, frames_iter

from envcap.engines.content import open_archive
from envcap.engines.outputs import WORK, Outputs
from envcap.errors import NotRunError
from envcap.last_bytes import LONGEST_LINE, MOST_KEPT, LastBytes
from envcap.model.image import Image, Mount, Outcome, Task
from envcap.model.layout import HOME, HOOK_EVENTS, HOOK_FILE, OWNER
from envcap.model.progress import Progress, Tell

if TYPE_CHECKING:
    from docker.models.containers import Container

HOOK_FOLDER = "/envcap-hook"  # a volume of its own: the project's folder stays as it was frozen
_MOST_EVENTS = 64 << 20  # bytes
_MOST_ASKED = 2000  # archives of one container: links may lead to as many places
KILL_SECONDS = 30.0  # for an engine to do what it was told
_PROCESSES = 4096
# The last words of the container's first process when it cannot start the command: Docker's tini, podman's catatonit.
_NOT_STARTED = re.compile(r"(\[FATAL tini[^]]*\]|ERROR \(catatonit:[0-9]+\): failed to exec pid1:) (?P<why>.*)")
_FROM_INIT = (127, 1)  # and what they end with then
LABELS = {"dev.envcap.task": "1"}
NO_VOLUMES: Mapping[str, str] = {}


def create(
    client: docker.DockerClient, image: Image, task: Task, *, name: str, volumes: Mapping[str, str] = NO_VOLUMES
) -> "Container":
    """Create it, not started: no network, no capabilities, a read-only root, a plain user, scratch volumes.

    `volumes` names those that stand in for new ones of the code and the home, by their folder.
    """
    # An anonymous volume takes over the image's own content of a folder, owners included: the evaluation can
    # write beside its code and into its home while the root stays read-only, on a remote engine too.
    work, user = work_of(task), OWNER if task.user is None else task.user
    mounts = [
        DockerMount(target=target, source=volumes.get(folder, ""), type="volume", no_copy=folder in volumes)
        for folder, target in ((WORK, work), (HOME, HOME))
    ]
    for mount in task.mounts:
        _require_readable(mount)
        target = mount.target if mount.target.startswith("/") else f"{work}/{mount.target}"
        mounts.append(DockerMount(target=target, source=str(mount.source), type="bind", read_only=True))
    if task.hook is not None:
        mounts.append(DockerMount(target=HOOK_FOLDER, source="", type="volume"))
    # A runaway evaluation is to die, not the machine.
    memory = task.memory or int(client.info()["MemTotal"] * 0.9)
    return client.containers.create(
        image.identity,
        task.command,
        entrypoint=[""],  # of an image that somebody else made: nothing may come between us and the command
        name=name,
        working_dir=work,
        hostname=task.host or None,
        user=f"{user}:{user}",
        mounts=mounts,
        environment={**task.environment, **({} if task.hook is None else {"PYTHONPATH": HOOK_FOLDER})},
        labels=LABELS,
        network_mode=None if task.network else "none",
        read_only=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        tmpfs={"/tmp": "rw,exec,nosuid,nodev,mode=1777"},  # noqa: S108  (inside the container)
        mem_limit=memory,
        memswap_limit=memory,
        pids_limit=_PROCESSES,
        cpuset_cpus=_processors(client, task.cpus),
        device_requests=_gpu_requests(task.gpus),
        init=True,  # reaps what the evaluation leaves behind, and passes signals on
    )


def work_of(task: Task) -> str:
    """Give the folder of the code in the container."""
    return task.folder or WORK


def lay_files(container: "Container", task: Task) -> None:
    """Lay the task's own files into the created container."""
    if task.files:
        container.put_archive(work_of(task), tar_of(task.files))
    if task.hook is not None:
        container.put_archive(HOOK_FOLDER, tar_of({HOOK_FILE: task.hook, HOOK_EVENTS: b""}))


def read_events(container: "Container", task: Task) -> bytes:
    """Give what the hook wrote, up to a limit; nothing without a hook."""
    if task.hook is None:
        return b""
    pieces, status = container.get_archive(f"{HOOK_FOLDER}/{HOOK_EVENTS}")
    if int((status or {}).get("size", 0)) > _MOST_EVENTS:
        return b""
    with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as members:
        for member in members:
            file = members.extractfile(member) if member.isfile() else None
            return b"" if file is None else file.read()
    return b""


def _gpu_requests(gpus: list[str] | None) -> list[DeviceRequest]:
    if gpus is None:
        return []
    if not gpus:
        return [DeviceRequest(count=-1, capabilities=[["gpu"]])]
    return [DeviceRequest(device_ids=gpus, capabilities=[["gpu"]])]


def _processors(client: docker.DockerClient, wanted: int | None) -> str | None:
    """Give the first processors as the engine writes them: `0-3`; None for all."""
    if wanted is None:
        return None
    return f"0-{max(1, min(wanted, int(client.info()['NCPU']))) - 1}"


def _require_readable(mount: Mount) -> None:
    """Raise NotRunError when the plain user inside could not read an input: it would look like missing data."""
    folders_need, files_need = stat.S_IROTH | stat.S_IXOTH, stat.S_IROTH
    needs = [(mount.source, folders_need if mount.source.is_dir() else files_need)]
    for folder, folders, files in os.walk(mount.source):
        needs += [(Path(folder, name), folders_need) for name in folders]
        needs += [(Path(folder, name), files_need) for name in files]
    for path, need in needs:
        if path.exists() and path.stat().st_mode & need != need:
            raise NotRunError(
                f"The data `{mount.target}` cannot be read in the container: `{path}` is closed to other users.",
                hint=f"The evaluation runs there as a plain user: `chmod -R o+rX {mount.target}` lets it read.",
            )


def start_and_follow(container: "Container", task: Task, tell: Tell) -> Outcome:
    """Start it, tell its output as it comes, and give how it ended; at the time limit it is killed."""
    started = time.monotonic()
    stdout = LastBytes(MOST_KEPT)
    tail: deque[str] = deque(maxlen=40)
    with _attached(container) as connection:
        reader = threading.Thread(target=_read, args=(connection, stdout, tail, tell), daemon=True)
        reader.start()
        container.start()
        timed_out = not _wait(container, reader, deadline=started + task.timeout)
        if timed_out:
            container.kill()
            _wait(container, reader, deadline=time.monotonic() + KILL_SECONDS)
        reader.join(timeout=KILL_SECONDS)
    seconds = time.monotonic() - started
    state = container.attrs["State"]
    failed = _NOT_STARTED.fullmatch(tail[-1]) if tail and int(state["ExitCode"]) in _FROM_INIT else None
    if failed:
        raise NotRunError(f"`{task.command[0]}` cannot be started in the image: {failed['why']}.")
    return Outcome(
        code=int(state["ExitCode"]),
        seconds=seconds,
        stdout=stdout.text,
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


def _read(connection: Any, stdout: LastBytes, tail: deque[str], tell: Tell) -> None:
    """Collect the container's output; lines of both streams are told as they come."""
    rest = {STDOUT: b"", STDERR: b""}
    for number, piece in frames_iter(connection, tty=False):  # type: ignore[no-untyped-call]
        if number == STDOUT:
            stdout.add(piece)
        *lines, rest[number] = (rest[number] + piece).replace(b"\r", b"\n").split(b"\n")
        if len(rest[number]) > LONGEST_LINE:
            lines, rest[number] = [*lines, rest[number]], b""
        for line in lines:
            _tell_line(line, tail, tell)
    for line in rest.values():
        if line:
            _tell_line(line, tail, tell)


def _tell_line(line: bytes, tail: deque[str], tell: Tell) -> None:
    text = line.decode(errors="replace")
    tail.append(text)
    tell(Progress(kind="output", text=text))


def fetch(container: "Container", task: Task, results: Path) -> None:
    """Copy the outputs out of the stopped container, each to its place below the working directory.

    A link comes as what it leads to. Raises NotRunError where they are larger than the task allows.
    """
    outputs = Outputs(results, most=task.most_output, work=work_of(task))
    asked: set[str] = set()
    wanted = list(task.outputs)
    while wanted and len(asked) < _MOST_ASKED:
        path = wanted.pop()
        asked.add(path)
        with open_archive(container, f"{work_of(task)}/{path}") as pieces:
            if pieces is not None:  # a missing output is for the comparison to name
                outputs.take(path, pieces)
        wanted += [path for path in outputs.missing() if path not in asked and path not in wanted]
    outputs.settle()


def tar_of(files: dict[str, bytes]) -> bytes:
    """Give the archive that lays these files into the working directory.

    It ends with the two empty blocks and is not filled up to a whole record: podman stops reading at the blocks, and
    what comes after them breaks its pipe now and then (containers/buildah issue 6573).
    """
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as members:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.uid, member.gid = len(content), 0o644, OWNER, OWNER
            members.addfile(member, io.BytesIO(content))
        end = stream.tell() + 2 * tarfile.BLOCKSIZE
    return stream.getvalue()[:end]
