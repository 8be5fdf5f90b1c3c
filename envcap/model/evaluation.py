"""The evaluation: what the user declared, and what each run of it gave."""

from envcap.model.struct import Table

Metric = bool | int | float | str


class Tolerance(Table, frozen=True, kw_only=True):
    """How far a number may be from the frozen one. Within either bound is within tolerance."""

    absolute: float | None = None
    relative: float | None = None
    ignore: bool = False  # recorded and shown, never judged (durations, dates)


class Declaration(Table, frozen=True, kw_only=True):
    """What to run and what it yields, after configuration and command line were joined."""

    command: list[str]
    metrics: str  # a file below the project, or `stdout-json`
    artifacts: list[str] = []
    data: list[str] = []
    repeat: int = 3
    timeout: float = 1800.0  # seconds, for one run
    primary: str | None = None
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


def output_names(run: Run) -> set[str]:
    """Give the names of all that a run yielded: metrics, and artifacts by path."""
    return {*run.metrics, *(item.path for item in run.artifacts)}
