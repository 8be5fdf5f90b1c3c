"""What is rendered, what is built from it, and what running it gave."""

from pathlib import Path

from envcap.model.struct import Data


class ContextFile(Data, frozen=True, kw_only=True):
    """One file of the build context: its text, or the sha256 and name under which a store holds it."""

    path: str  # relative, with forward slashes
    content: bytes | None = None
    sha256: str | None = None
    name: str | None = None


class Context(Data, frozen=True, kw_only=True):
    """The whole build context, before anything is written to disk."""

    files: list[ContextFile]
    labels: dict[str, str]
    tag: str
    platform: str


class Image(Data, frozen=True, kw_only=True):
    """Something an engine can run: a container image or a rebuilt environment."""

    engine: str
    reference: str  # a tag, or the folder of a virtual environment
    identity: str  # image id, or the digest of the lock it was built from
    lock_digest: str
    size: int | None = None  # bytes
    seconds: float = 0.0


class Mount(Data, frozen=True, kw_only=True):
    """One input, read-only: `source` on this machine, `target` below the project or absolute."""

    source: Path
    target: str


class Task(Data, frozen=True, kw_only=True):
    """What to run in an image. `outputs` are paths below the working directory to bring back afterwards."""

    command: list[str]
    outputs: list[str]
    mounts: list[Mount] = []
    timeout: float = 1800.0  # seconds
    memory: int | None = None  # bytes
    network: bool = False


class Outcome(Data, frozen=True, kw_only=True):
    """How the task ended. `folder` holds the outputs that were there."""

    code: int
    seconds: float
    stdout: str
    tail: list[str]
    folder: Path
    timed_out: bool = False
    out_of_memory: bool = False
    peak_memory: int | None = None
