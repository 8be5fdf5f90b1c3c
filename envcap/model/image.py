"""What is rendered, what is built from it, and what running it gave."""

from pathlib import Path
from typing import Literal

from envcap.model.struct import Data

# What an image is for: to run the evaluation, or another program on the same packages, libraries and settings.
Target = Literal["eval", "serve"]


class ContextFile(Data, frozen=True, kw_only=True):
    """One file of the build context: its content, or the sha256 under which it is kept and its name there."""

    path: str  # relative, with forward slashes
    content: bytes | None = None
    sha256: str | None = None


class Context(Data, frozen=True, kw_only=True):
    """The whole build context, before anything is written to disk."""

    tag: str
    lock_sha256: str
    platform: str
    python: str  # exact version of the interpreter, which an engine without images looks for on this machine
    environment: dict[str, str]  # what the evaluation is started with
    files: list[ContextFile]


class Image(Data, frozen=True, kw_only=True):
    """Something an engine can run: a container image, or an environment rebuilt on this machine."""

    engine: str
    reference: str  # a tag, or the folder of the environment
    identity: str  # the engine's own id of it
    lock_sha256: str  # of the lock that it was built from
    size: int | None = None  # bytes
    target: Target = "eval"


class Layer(Data, frozen=True, kw_only=True):
    """One layer of an image: the step that made it, as the engine tells it, and what it adds, in bytes."""

    step: str
    size: int


class Making(Data, frozen=True, kw_only=True):
    """How an image came to be. The times are UTC, RFC 3339, seconds."""

    image: Image
    target: Target
    portable: bool
    started: str
    finished: str


class Mount(Data, frozen=True, kw_only=True):
    """One input, read-only: `source` on this machine, `target` below the project or absolute."""

    source: Path
    target: str


class Task(Data, frozen=True, kw_only=True):
    """What to run in an image. `outputs` are paths below the working directory to bring back afterwards."""

    command: list[str]
    timeout: float  # seconds
    outputs: list[str] = []
    mounts: list[Mount] = []
    files: dict[str, bytes] = {}  # further files to lay into the working directory
    memory: int | None = None  # bytes; None for what the machine has
    network: bool = False
    hook: bytes | None = None  # a sitecustomize for every Python of the task, which writes to `events` beside itself
    gpus: list[str] | None = None  # numbers or UUIDs; empty for all of the machine's, None for none
    environment: dict[str, str] = {}  # variables that stand in for the recorded ones of the same name, or beside them
    cpus: int | None = None  # how many processors it sees; None for all, and never more than there are


class Outcome(Data, frozen=True, kw_only=True):
    """How a task ended; the outputs that were there are in the folder it was given."""

    code: int
    seconds: float
    stdout: str
    tail: list[str]
    timed_out: bool = False
    out_of_memory: bool = False
    events: bytes = b""  # what the hook wrote
