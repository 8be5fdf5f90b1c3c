"""The frozen evaluation as a task for an engine, and one run of it, which must end well."""

from pathlib import Path

from envcap.config import STDOUT_JSON
from envcap.engines.engine import Engine
from envcap.errors import EnvcapError, NotRunError
from envcap.evaluate.watch import hook_source
from envcap.gpus import chosen_gpus
from envcap.judge import Returned
from envcap.model.image import Image, Outcome, Task
from envcap.model.lock import Lock
from envcap.model.progress import Tell
from envcap.model.struct import Data
from envcap.project.mounts import mounts_of

# What all outputs of one run may have together: this many times what the largest frozen run wrote, and some more.
_TIMES_FROZEN, _MORE_OUTPUT = 4, 256 << 20


class RunOptions(Data, frozen=True, kw_only=True):
    """How the evaluation is to be run, as the user said it."""

    timeout: float | None = None  # seconds, for one run; None for what was frozen
    memory: int | None = None  # bytes
    network: bool = False
    gpus: str = "auto"  # `auto`, `all`, `none`, or numbers and UUIDs with commas between


def task_for(options: RunOptions, lock: Lock, project: Path, *, apart: bool) -> Task:
    """Give the task. `apart` where the engine does not share this machine's file system."""
    declaration = lock.declaration
    outputs = [] if declaration.metrics == STDOUT_JSON else [declaration.metrics]
    return Task(
        command=declaration.command,
        timeout=options.timeout or declaration.timeout,
        outputs=[*outputs, *declaration.artifacts],
        mounts=mounts_of(lock.data, project, apart=apart),
        memory=options.memory,
        network=options.network,
        hook=hook_source() if lock.libraries or lock.settings else None,
        gpus=chosen_gpus(options.gpus, lock),
        most_output=most_output(lock),
    )


def most_output(lock: Lock) -> int:
    """Give how many bytes of outputs are brought back from a run: a stranger's evaluation must not fill the disk."""
    largest = max((sum(item.size for item in run.artifacts) for run in lock.runs), default=0)
    return _TIMES_FROZEN * largest + _MORE_OUTPUT


def run_once(engine: Engine, image: Image, task: Task, *, results: Path, tell: Tell) -> Returned:
    """Run the evaluation in a fresh container or folder, and give where its outputs are.

    Raises NotRunError with the last lines unless it ended by itself and well.
    """
    results.mkdir()
    outcome = engine.run(image, task, results=results, tell=tell)
    _require_ended_well(outcome, task)
    return Returned(folder=results, stdout=outcome.stdout, events=outcome.events)


def _require_ended_well(outcome: Outcome, task: Task) -> None:
    """Raise NotRunError with the last lines unless the evaluation ended by itself and well."""
    said = "\n".join(f"  {line}" for line in outcome.tail[-12:])
    command = " ".join(task.command)
    if outcome.out_of_memory:
        raise _not_run(f"The evaluation ran out of memory: `{command}`.", said, "Allow it more with `--memory`.")
    if outcome.timed_out:
        raise _not_run(
            f"The evaluation did not end within {task.timeout:g} s and was stopped: `{command}`.",
            said,
            "Give it longer with `--timeout`, for example `--timeout 2h`.",
        )
    if outcome.code != 0:
        raise _not_run(
            f"The evaluation failed inside with exit code {outcome.code}: `{command}`.",
            said,
            "It ran when it was frozen. Does it need the network, a file outside the project, or a gap of the lock?",
        )


def _not_run(message: str, said: str, hint: str) -> EnvcapError:
    return NotRunError(f"{message}\n{said}".rstrip(), hint=hint)
