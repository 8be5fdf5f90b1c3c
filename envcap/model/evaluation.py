"""The evaluation: what the user declared, and what each run of it gave."""

from typing import Literal

from envcap.model.struct import Table

Metric = bool | int | float | str

# What the frozen number is of. A fixed model is expected to repeat; a retraining and a generation may vary.
Kind = Literal["fixed", "retraining", "generation"]

# How an output is compared. Without one it follows from the kind of output; see `compare/`.
Mode = Literal["bytes", "content", "stated", "runs", "equivalence", "floor", "samples", "generation"]


class Tolerance(Table, frozen=True, kw_only=True, omit_defaults=True):
    """How far an output may be from the frozen one, and how it is compared. Within any bound is within tolerance."""

    absolute: float | None = None
    relative: float | None = None  # to the frozen value
    norm: float | None = None  # the largest difference, relative to the largest frozen magnitude of the array or column
    ulp: int | None = None  # units in the last place, of the type that the value is stored in
    ignore: bool = False  # recorded and shown, never judged (durations, dates)
    mode: Mode | None = None
    nan: Literal["different", "equal"] = "different"  # what a NaN on both sides is
    quantum: float | None = None  # the smallest step that the metric can take
    samples: int | None = None  # the metric is a share of so many samples: its quantum is one of them
    floor: float | None = None  # the share of the frozen value that must be reached, as 0.99
    better: Literal["higher", "lower"] = "higher"  # which way `floor` looks
    agreement: float | None = None  # the least share of samples or texts that must be equal
    length: float | None = None  # how far the length of generated text may be off, as a share
    columns: dict[Literal["id", "prediction", "label", "margin"], str] = {}  # of a table of samples


class Declaration(Table, frozen=True, kw_only=True):
    """What to run and what it yields, after configuration and command line were joined."""

    command: list[str]
    metrics: str  # a file below the project, or `stdout-json`
    artifacts: list[str] = []
    data: list[str] = []
    repeat: int = 3
    timeout: float = 1800.0  # seconds, for one run
    primary: str | None = None
    kind: Kind = "fixed"
    environment: list[str] = []  # names of further variables to record
    tolerance: dict[str, Tolerance] = {}


class Artifact(Table, frozen=True, kw_only=True):
    """A file that the evaluation wrote."""

    path: str
    size: int
    sha256: str


class Run(Table, frozen=True, kw_only=True):
    """One run in a fresh process. Metric names are dotted paths into the metrics document."""

    seconds: float
    peak_memory: int | None = None  # bytes, largest resident set of the process tree's largest process
    metrics: dict[str, Metric]
    artifacts: list[Artifact] = []


class Seed(Table, frozen=True, kw_only=True):
    """A place of the project's code that sets a seed, as its source says it."""

    file: str  # below the project
    line: int
    call: str  # `numpy.random.seed(0)`, `train_test_split(random_state=7)`


def output_names(run: Run) -> set[str]:
    """Give the names of all that a run yielded: metrics, and artifacts by path."""
    return {*run.metrics, *(item.path for item in run.artifacts)}
