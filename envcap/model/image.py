"""What is rendered, what is built from it, and what running it gave."""

from pathlib import Path
from typing import Literal

from envcap.model.struct import Data

# What an image is for: to run the evaluation, or another program on the same packages, libraries and settings.
Target = Literal["eval", "serve"]


class ContextFile(Data, frozen=True, kw_only=True):
    """One file of the build context: its content, the sha256 under which it is kept, or the wheels it is made of."""

    path: str  # relative, with forward slashes
    content: bytes | None = None
    sha256: str | None = None
    wheels: tuple[str, ...] = ()  # sha256 of each wheel that this archive of a layer holds the installed files of


class Installation(Data, frozen=True, kw_only=True):
    """Where Python packages are installed in an image, and the Python they are for."""

    prefix: str  # `/opt/env`
    python: str  # the exact version
    series: str  # `python3.11`, as the interpreter names its folders
    compiled_by: str = ""  # whose byte code it has, as a base image with its digest; empty for none

    @property
    def site(self) -> str:
        """The folder that modules are imported from."""
        return f"{self.prefix}/lib/{self.series}/site-packages"


class Context(Data, frozen=True, kw_only=True):
    """The whole build context, before anything is written to disk."""

    tag: str
    lock_sha256: str
    platform: str
    python: str  # exact version of the interpreter, which an engine without images looks for on this machine
    environment: dict[str, str]  # what the evaluation is started with
    files: list[ContextFile]
    epoch: int = 0  # seconds since 1970: when the lock was made, which is the date of its images
    installation: Installation | None = None  # None for an engine without images
    unproven: list[str] = []  # programs that its build runs and that need not do the same each time, in words


class StepTime(Data, frozen=True, kw_only=True):
    """How long one step of a Dockerfile took, in seconds; 0 for one from the builder's cache."""

    step: str
    seconds: float


# What another build of the same lock gives, in the same kind of store and by the same kind of builder: an image of the
# same digest, or layers of the same digests under a configuration that says when it was made.
Promise = Literal["bit for bit", "same content"]
# What an image's id is the digest of. Docker's containerd store names an image by its manifest, as a registry does;
# Docker's classic store and podman name it by its configuration. So one lock has one id for each.
DigestOf = Literal["manifest", "configuration"]


class Image(Data, frozen=True, kw_only=True):
    """Something an engine can run: a container image, or an environment rebuilt on this machine."""

    engine: str
    reference: str  # a tag, or the folder of the environment
    identity: str  # the engine's own id of it
    lock_sha256: str  # of the lock that it was built from
    size: int | None = None  # bytes
    target: Target = "eval"
    builder: str | None = None  # who built it just now, None for one that was there
    promise: Promise | None = None  # None where none is given: `unproven` tells why, if it was built just now
    unproven: list[str] = []  # programs that its build ran and that need not do the same each time, in words
    digest_of: DigestOf | None = None  # what `identity` is the digest of; known of an image that was built just now
    note: str | None = None  # what a better builder would need here
    steps: list[StepTime] = []  # of that build, where the builder tells
    pushed: str | None = None  # where a registry has it: the name with the digest of the manifest there


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
    most_output: int | None = None  # bytes that all outputs may have together; None for any number
    cpus: int | None = None  # how many processors it sees; None for all, and never more than there are
    user: int | None = None  # in a container: another user's number than the one of the image
    host: str = ""  # in a container: its host name; empty for one of its own
    folder: str = ""  # in a container: where the code lies instead, absolute; empty for where the image has it


class Outcome(Data, frozen=True, kw_only=True):
    """How a task ended; the outputs that were there are in the folder it was given."""

    code: int
    seconds: float
    stdout: str
    tail: list[str]
    timed_out: bool = False
    out_of_memory: bool = False
    events: bytes = b""  # what the hook wrote
