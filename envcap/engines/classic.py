"""The classic builder, which every engine has, through the SDK: layers are the same each time, dates are not."""

import re
import tarfile
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker

from envcap.errors import NotRunError
from envcap.model.image import Context
from envcap.model.progress import Progress, Tell

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")  # it paints what a step writes to stderr
_STEP = re.compile(r"Step (\d+)/(\d+) : (.*)")
_STEP_WIDTH = 100  # characters of a build step that are shown while it runs


def build_classic(
    client: docker.DockerClient,
    context: Context,
    folder: Path,
    *,
    use_cache: bool,
    tell: Tell,
    remove: Callable[[str], None],
) -> str:
    """Build an image without a name, and give its id. `remove` sees to it that a container is gone.

    Raises NotRunError naming the failing step, and what the SDK raises.
    """
    with tempfile.TemporaryFile() as archive:
        _pack(context, folder, archive)
        messages = client.api.build(
            fileobj=archive,
            custom_context=True,
            decode=True,
            rm=True,
            forcerm=True,
            nocache=not use_cache,
            network_mode="none",
            platform=context.platform,
        )
        running: list[str] = []
        try:
            return _follow_build(messages, tell, running=running)
        finally:
            messages.close()  # the engine then stops the step and removes its container, in its own time
            for container in running:
                remove(container)


def _pack(context: Context, folder: Path, archive: Any) -> None:
    """Write the context as the tar stream that the build endpoint takes."""
    with tarfile.open(fileobj=archive, mode="w") as members:
        for file in context.files:
            members.add(folder / file.path, arcname=file.path, recursive=False)
    archive.seek(0)


def _follow_build(messages: Iterator[dict[str, Any]], tell: Tell, *, running: list[str]) -> str:
    """Tell steps and output as they come; give the image's id. Raises NotRunError naming the failing step.

    `running` holds the container of the step under way, for whoever must clean up.
    """
    step = "the first step"
    identity = ""
    tail: deque[str] = deque(maxlen=20)
    for message in messages:
        identity = message.get("aux", {}).get("ID", identity)
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
                shown = step if len(step) <= _STEP_WIDTH else f"{step[:_STEP_WIDTH]}…"
                tell(Progress(kind="step", text=f"{match[1]}/{match[2]} {shown}"))
            elif line.startswith(" ---> Running in "):
                running[:] = [line.rpartition(" ")[2]]
            elif line.startswith(" ---> Removed intermediate container "):
                running.clear()
            elif line.strip() and not line.startswith((" ---> ", "Successfully ")):
                tail.append(line)
                tell(Progress(kind="output", text=line))
    if not identity:
        raise NotRunError("Docker ended the build without an image.", hint="`--no-cache` builds every step anew.")
    return identity
