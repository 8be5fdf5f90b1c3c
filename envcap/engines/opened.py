"""Volumes with an image's code and home that every user may write to, for a task of another user or in another folder.

A new volume takes over the owner of the image's folder, and a container without privileges cannot give it to another
user. But its owner can let all write to it: a first container does nothing else.
"""

from contextlib import suppress

import docker
from docker.errors import NotFound
from docker.types import Mount as DockerMount

from envcap.engines.containers import KILL_SECONDS, LABELS
from envcap.engines.outputs import WORK
from envcap.errors import NotRunError
from envcap.model.image import Image, Task
from envcap.model.layout import HOME, OWNER

_OPEN = """\
import os, sys
for top in sys.argv[1:]:
    for folder, _, files in os.walk(top):
        for path in [folder] + [os.path.join(folder, name) for name in files]:
            if not os.path.islink(path) and os.access(path, os.W_OK):
                mode = os.stat(path).st_mode
                os.chmod(path, mode | (0o777 if mode & 0o100 else 0o666))
"""


def volumes_for(task: Task, *, name: str) -> dict[str, str]:
    """Give the names of the volumes that such a task needs, by the image's folder; none for an ordinary one."""
    if task.user is None and not task.folder:
        return {}
    return {WORK: f"{name}-work", HOME: f"{name}-home"}


def opener_of(name: str) -> str:
    """Give the name of the container that opens them."""
    return f"{name}-opener"


def open_volumes(client: docker.DockerClient, image: Image, volumes: dict[str, str], *, name: str) -> None:
    """Fill the volumes from the image and let every user write to them. Raises NotRunError when that fails."""
    container = client.containers.create(
        image.identity,
        ["python", "-I", "-c", _OPEN, *volumes],
        name=opener_of(name),
        user=f"{OWNER}:{OWNER}",
        mounts=[DockerMount(target=folder, source=volume, type="volume") for folder, volume in volumes.items()],
        labels=LABELS,
        network_mode="none",
        read_only=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
    )
    container.start()
    code = int(container.wait(timeout=KILL_SECONDS)["StatusCode"])
    if code != 0:
        said = container.logs(tail=1).decode(errors="replace").strip()
        raise NotRunError(f"The image's folders cannot be opened to another user (exit code {code}): {said[:200]}.")


def remove_volumes(client: docker.DockerClient, volumes: dict[str, str]) -> None:
    """See to it that they are gone."""
    for volume in volumes.values():
        with suppress(NotFound):
            client.api.remove_volume(volume, force=True)
