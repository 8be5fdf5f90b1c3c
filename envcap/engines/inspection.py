"""What the Docker engine of this machine is and can do, without building or running anything."""

import shutil

from envcap.engines.docker import connect
from envcap.errors import NotRunError
from envcap.model.struct import Data
from envcap.process import capture


class EngineFacts(Data, frozen=True, kw_only=True):
    """An engine that answered."""

    version: str
    storage: str  # its storage driver, such as `overlay2` or `overlayfs` (the containerd image store)
    folder: str  # where it keeps images, on its own machine
    runtimes: list[str]
    rootless: bool


def inspect_engine() -> EngineFacts:
    """Ask the engine that the user's environment names. Raises NotRunError when none answers."""
    client = connect()
    try:
        told = client.info()
    finally:
        client.close()
    return EngineFacts(
        version=str(told.get("ServerVersion", "unknown")),
        storage=str(told.get("Driver", "unknown")),
        folder=str(told.get("DockerRootDir", "")),
        runtimes=sorted(told.get("Runtimes") or {}),
        rootless="name=rootless" in (told.get("SecurityOptions") or []),
    )


def buildx_version() -> str | None:
    """Give what the BuildKit front end calls itself, or None where the client has none."""
    client = shutil.which("docker")
    if client is None:
        return None
    try:
        done = capture([client, "buildx", "version"], purpose="Asking for buildx", check=False, timeout=30.0)
    except NotRunError:
        return None
    words = done.stdout.decode(errors="replace").split()
    return words[1] if done.returncode == 0 and len(words) > 1 else None
