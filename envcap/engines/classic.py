"""The classic builder, which every engine has, through the SDK: layers are the same each time, dates are not."""

import re
import tarfile
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker

from envcap.engines.build_progress import shortened
from envcap.engines.replies import GONE, plain
from envcap.errors import NotRunError
from envcap.model.image import Context
from envcap.model.progress import Progress, Tell

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")  # it paints what a step writes to stderr
_STEP = re.compile(r"Step (\d+)/(\d+) : (.*)")
_LOOK = "`envcap build --output DIR` writes the Dockerfile and its files for a closer look."
_START = "`docker info` tells whether the engine still runs; then the same command again."


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
        seen = _Steps()
        try:
            for message in messages:
                for progress in seen.take(message):
                    tell(progress)
        except GONE as error:
            seen.running = []  # nobody is there to be asked
            raise seen.failure(f"Docker stopped answering: {plain(error)}.", hint=_START) from error
        finally:
            messages.close()  # the engine then stops the step and removes its container, in its own time
            for container in seen.running:
                remove(container)
    if not seen.identity:
        raise NotRunError("Docker ended the build without an image.", hint="`--no-cache` builds every step anew.")
    return seen.identity


def _pack(context: Context, folder: Path, archive: Any) -> None:
    """Write the context as the tar stream that the build endpoint takes."""
    with tarfile.open(fileobj=archive, mode="w") as members:
        for file in context.files:
            members.add(folder / file.path, arcname=file.path, recursive=False)
    archive.seek(0)


class _Steps:
    """What the classic builder says, message by message."""

    def __init__(self) -> None:
        self.identity = ""  # of the image, in the end
        self.running: list[str] = []  # the container of the step under way, for whoever must clean up
        self._step = "the first step"
        self._tail: deque[str] = deque(maxlen=20)

    def take(self, message: dict[str, Any]) -> Iterator[Progress]:
        """Take one message; give steps and output. Raises NotRunError naming the step that failed."""
        self.identity = message.get("aux", {}).get("ID", self.identity)
        if "error" in message:
            raise self.failure(message["error"].strip(), hint=_LOOK)
        for line in _COLOUR.sub("", message.get("stream", "")).splitlines():
            match = _STEP.match(line)
            if match:
                self._step = match[3]
                self._tail.clear()
                yield Progress(kind="step", text=f"{match[1]}/{match[2]} {shortened(self._step)}")
            elif line.startswith(" ---> Running in "):
                self.running = [line.rpartition(" ")[2]]
            elif line.startswith(" ---> Removed intermediate container "):
                self.running = []
            elif line.strip() and not line.startswith((" ---> ", "Successfully ")):
                self._tail.append(line)
                yield Progress(kind="output", text=line)

    def failure(self, reason: str, *, hint: str) -> NotRunError:
        """Give the error of the step under way, with what it said."""
        said = "\n".join(f"  {line}" for line in self._tail)
        return NotRunError(f"The build failed in `{shortened(self._step)}`: {reason}\n{said}".rstrip(), hint=hint)
