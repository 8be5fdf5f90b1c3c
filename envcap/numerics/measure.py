"""Takes the fingerprint on this host or as a task in an image, and reads what came back."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from envcap.errors import NotRunError
from envcap.model.gap import Gap
from envcap.model.image import Outcome, Task
from envcap.model.numerics import NumericLibrary, Numerics
from envcap.model.struct import Data
from envcap.numerics.libraries import END, START, is_numeric
from envcap.process import capture
from envcap.redact import redact_text

_PROGRAM = Path(__file__).with_name("program.py")
_PARTS = (_PROGRAM, Path(__file__).with_name("libraries.py"))
_FOLDER = ".envcap-numerics"
_SECONDS = 300.0  # importing torch from a cold disk takes its time
_CONSEQUENCE = "a difference in results cannot be laid to kernels or instruction sets"


class _Document(Data, frozen=True, kw_only=True):
    operations: dict[str, str]
    libraries: list[NumericLibrary]
    features: list[str]
    settings: dict[str, str]
    problems: list[str]


def measure_host(
    python: Path, *, env: Mapping[str, str], cwd: Path, mapped: Iterable[str] = ()
) -> tuple[Numerics, list[Gap]]:
    """Take the fingerprint with the libraries of `python`, and a Gap for each that failed.

    Without numpy and torch there is nothing to compute with, which is a normal answer. Of the files in `mapped`, which
    the runs had loaded, those for linear algebra and threads are told too.
    """
    command: list[str | Path] = [python, "-B", _PROGRAM, *filter(is_numeric, mapped)]
    try:
        done = capture(command, purpose="The numeric fingerprint", env=env, cwd=cwd, timeout=_SECONDS, check=False)
    except NotRunError as error:
        return Numerics(), [_gap(error.message)]
    if done.returncode != 0:
        return Numerics(), [_gap(f"it ended with code {done.returncode}")]
    return read_numerics(done.stdout.decode(errors="replace"))


def numerics_task(*, gpus: list[str] | None, mapped: Iterable[str] = ()) -> Task:
    """Give the task that takes the fingerprint inside an image; `mapped` are what the runs in there had loaded."""
    files = {f"{_FOLDER}/{part.name}": part.read_bytes() for part in _PARTS}
    command = ["python", "-B", f"{_FOLDER}/{_PROGRAM.name}", *filter(is_numeric, mapped)]
    return Task(command=command, files=files, timeout=_SECONDS, gpus=gpus)


def read_outcome(outcome: Outcome) -> tuple[Numerics, list[Gap]]:
    """Give the fingerprint that the task took, and a Gap where it failed."""
    if outcome.code != 0:
        return Numerics(), [_gap(f"it ended with code {outcome.code}")]
    return read_numerics(outcome.stdout)


def read_numerics(output: str) -> tuple[Numerics, list[Gap]]:
    """Give what the program printed, whatever else was printed around it."""
    text = output.rpartition(f"\n{START}\n")[2].partition(f"\n{END}")[0]
    try:
        document = msgspec.json.decode(text, type=_Document)
    except (msgspec.DecodeError, UnicodeError):
        return Numerics(), [_gap("it printed no fingerprint")]
    numerics = Numerics(
        operations=document.operations,
        libraries=document.libraries,
        features=document.features,
        settings=document.settings,
    )
    return numerics, [_gap(redact_text(problem)) for problem in document.problems]


def _gap(reason: str) -> Gap:
    return Gap(where="numerics", subject="fingerprint", reason=reason, consequence=_CONSEQUENCE)
