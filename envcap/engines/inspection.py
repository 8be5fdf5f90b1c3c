"""What the Docker engine of this machine is and can do, without building or running anything."""

from envcap.engines.docker import connect
from envcap.model.struct import Data


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
