"""Trials: the frozen evaluation run with other packages, judged, and remembered by what was installed."""

import hashlib
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from envcap.atomic import write_bytes
from envcap.compare.conclusion import conclude
from envcap.compilers import inside, is_compiled_before
from envcap.config import STDOUT_JSON
from envcap.engines.engine import Engine
from envcap.errors import NotRunError
from envcap.inputs import written
from envcap.judge import Returned, judge_outputs
from envcap.model.bisection import Answer
from envcap.model.image import Image, Outcome, Task
from envcap.model.lock import Lock, Package
from envcap.model.progress import Progress, Tell, say_nothing
from envcap.model.struct import Data
from envcap.model.verdict import Check, Verdict
from envcap.places import lock_store
from envcap.project.mounts import mounts_of
from envcap.redact import redact_text
from envcap.rerun import most_output

FOLDER = ".envcap/bisect"  # below the project: what was tried, one small file for each mixture
_FORMAT = 1
_ANSWERS: Mapping[Verdict, Answer] = {
    Verdict.IDENTICAL: "as frozen",
    Verdict.EQUIVALENT: "as frozen",
    Verdict.DIFFERENT: "different",
}


class Tried(Data, frozen=True, kw_only=True):
    """What one mixture of packages gave. `lasting` where trying it again would give the same."""

    answer: Answer
    detail: str
    seconds: float
    lasting: bool = True


class Trials(NamedTuple):
    """What every trial shares: the good lock, whose code, data and reference count, and where it is run."""

    engine: Engine
    lock: Lock
    sha256: str  # of that lock
    project: Path
    environ: Mapping[str, str]
    task: Task
    repeat: int

    def key(self, packages: Sequence[Package]) -> str:
        """Give the name under which this mixture is remembered: a digest of all that its answer depends on."""
        wheels = sorted((package.name, package.version, package.wheel.sha256) for package in packages)
        parts = (_FORMAT, self.sha256, self.engine.name, self.repeat, wheels)
        return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()

    def recall(self, packages: Sequence[Package]) -> Tried | None:
        """Give what an earlier trial of these packages gave, None where there was none."""
        with suppress(OSError, msgspec.DecodeError):
            return msgspec.json.decode(self._path(packages).read_bytes(), type=Tried)
        return None

    def run(self, packages: Sequence[Package], *, tell: Tell) -> Tried:
        """Make an environment of these packages, run, judge, throw it away; remember what came out.

        Raises RefusedError when a file is not what was frozen.
        """
        started = time.monotonic()
        try:
            tried = self._run(packages, tell=tell)
        except NotRunError as error:  # a full disk or a lost engine says nothing about the packages
            tried = Tried(
                answer="did not run", detail=redact_text(_first_line(error.message)), seconds=0.0, lasting=False
            )
        tried = msgspec.structs.replace(tried, seconds=round(time.monotonic() - started, 3))
        if tried.lasting:
            with suppress(OSError):  # a project that cannot be written to: then it is tried again another time
                write_bytes(self._path(packages), msgspec.json.encode(tried))
        return tried

    def _run(self, packages: Sequence[Package], *, tell: Tell) -> Tried:
        image = self._build(packages, tell=tell)
        try:
            with tempfile.TemporaryDirectory(prefix="envcap-trial-") as name:
                runs = []
                for number in range(self.repeat):
                    folder = Path(name) / str(number)
                    folder.mkdir()
                    outcome = self.engine.run(image, self.task, results=folder, tell=say_nothing)
                    if outcome.code != 0 or outcome.timed_out or outcome.out_of_memory:
                        return _ended_badly(outcome)
                    runs.append(Returned(folder=folder, stdout=outcome.stdout))
                checks = judge_outputs(self.lock, runs, store=lock_store(self.project))
            verdict, reasons = conclude(checks, [])
            answer = _ANSWERS.get(verdict, "inconclusive")
            shown = [*reasons, *_values(checks)]
            return Tried(answer=answer, detail=f"{verdict.value}: {'; '.join(shown)}", seconds=0.0)
        finally:
            self.engine.remove(image)

    def _build(self, packages: Sequence[Package], *, tell: Tell) -> Image:
        from envcap.render.context import base_reference, render

        lock = msgspec.structs.replace(self.lock, packages=list(packages), derivation=None)
        context = render(lock, lock_sha256=self.key(packages), needs_base=self.engine.name != "venv")
        compiler = None
        if is_compiled_before(context, lock):
            base = base_reference(lock)
            compiler = inside(self.engine, base, locked=base, platform=context.platform)
        with written(context, lock, self.project, compiler=compiler, environ=self.environ, tell=tell) as folder:
            return self.engine.build(context, folder, tag=context.tag, use_cache=True, tell=_without_steps(tell))

    def _path(self, packages: Sequence[Package]) -> Path:
        return self.project / FOLDER / f"{self.key(packages)}.json"


def task_of(lock: Lock, project: Path, *, timeout: float | None, gpus: list[str] | None, apart: bool) -> Task:
    """Give the evaluation as it was declared, with its data from `project` and without a network.

    `apart` tells whether it runs apart from this machine's files.
    """
    declaration = lock.declaration
    outputs = [] if declaration.metrics == STDOUT_JSON else [declaration.metrics]
    return Task(
        command=declaration.command,
        timeout=timeout or declaration.timeout,
        outputs=[*outputs, *declaration.artifacts],
        mounts=mounts_of(lock.data, project, apart=apart),
        gpus=gpus,
        most_output=most_output(lock),
    )


def _values(checks: Sequence[Check]) -> list[str]:
    """Give what was frozen and what came back, of the first outputs that differ."""
    different = [check for check in checks if check.judged and check.verdict is Verdict.DIFFERENT]
    return [f"`{check.name}` frozen {check.frozen}, now {check.observed}" for check in different[:3]]


def _ended_badly(outcome: Outcome) -> Tried:
    last = next((line.strip() for line in reversed(outcome.tail) if line.strip()), "")
    if outcome.timed_out or outcome.out_of_memory:
        how = "ran out of memory" if outcome.out_of_memory else "took too long"
        return Tried(answer="did not run", detail=f"the evaluation {how}", seconds=0.0, lasting=False)
    said = f": {redact_text(last[:200])}" if last else ""
    return Tried(answer="did not run", detail=f"the evaluation ended with exit code {outcome.code}{said}", seconds=0.0)


def _without_steps(tell: Tell) -> Tell:
    """Tell of a build only how far it is: its steps are the same each time."""

    def counts(progress: Progress) -> None:
        if progress.kind == "count":
            tell(progress)

    return counts


def _first_line(text: str) -> str:
    return text.partition("\n")[0]
