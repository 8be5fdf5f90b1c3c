"""Run the reference evaluation: k times, each in a fresh process, in the live environment."""

import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from envcap.errors import NotRunError, WrongUsageError
from envcap.evaluate.collect import collect_artifacts, collect_metrics, output_stamps
from envcap.model.evaluation import Declaration, Run, output_names
from envcap.model.progress import Progress, Tell
from envcap.process import Finished, run_live

_PYTHON_NAME = re.compile(r"python[0-9.]*t?")


def portable_command(command: list[str], *, env: Mapping[str, str], interpreter: Path) -> list[str]:
    """Give the command with the frozen interpreter called `python`, as it is called in the image.

    Raises WrongUsageError when the command names a Python that is another
    one, because then the frozen packages would not be what gave the number.
    """
    first, *rest = command
    name = Path(first).name
    if _PYTHON_NAME.fullmatch(name) is None:
        if Path(first).is_absolute() and Path(first).parent == interpreter.parent:
            return [name, *rest]
        return command
    found = shutil.which(first, path=env.get("PATH"))
    if found is None:
        raise WrongUsageError(
            f"The command starts `{first}`, which this environment does not have.",
            hint=f"Programs beside the frozen interpreter: {', '.join(_beside(interpreter.parent)) or 'none'}.",
        )
    # Both: a virtual environment's Python resolves to the one below it, and one folder may hold several.
    same_folder = Path(found).parent.resolve() == interpreter.parent.resolve()
    if not same_folder or Path(found).resolve() != interpreter.resolve():
        raise WrongUsageError(
            f"The command starts `{first}`, which is `{found}` and not `{interpreter}`, which is being frozen.",
            hint="Start the command with `python`, or freeze the other one with `--python`.",
        )
    return ["python", *rest]


def run_reference(
    declaration: Declaration,
    *,
    project: Path,
    env: Mapping[str, str],
    interpreter: Path,
    tell: Tell,
    after_each: Callable[[], None] = lambda: None,
    prefix: Sequence[str] = (),
) -> list[Run]:
    """Run the evaluation `repeat` times and give what each run yielded; `after_each` finds its files still there.

    `prefix` are words before its command.

    Raises NotRunError when a run fails, takes too long, or leaves a declared output as it was before.
    """
    command = declaration.command
    if command[0] == "python":
        command = [str(interpreter), *command[1:]]  # Debian's own has no plain `python` beside it
    runs = []
    for number in range(1, declaration.repeat + 1):
        tell(
            Progress(
                kind="step",
                text=f"reference run {number} of {declaration.repeat}: {' '.join(declaration.command)}",
            )
        )
        before = output_stamps(project, declaration)
        finished = run_live(
            [*prefix, *command],
            cwd=project,
            env=env,
            timeout=declaration.timeout,
            on_line=lambda line: tell(Progress(kind="output", text=line)),
        )
        raise_for_end(finished, declaration)
        stale = [name for name, stamp in output_stamps(project, declaration).items() if before.get(name) == stamp]
        if stale:
            raise NotRunError(
                f"The evaluation did not write `{stale[0]}`: the file is left from before.",
                hint="Let the evaluation write its outputs each time it runs, or declare other ones.",
            )
        metrics = collect_metrics(project, declaration, stdout=finished.stdout)
        artifacts = collect_artifacts(project, declaration)
        require_artifacts(artifacts_found=[item.path for item in artifacts], declaration=declaration)
        run = Run(
            seconds=round(finished.seconds, 3), peak_memory=finished.peak_memory, metrics=metrics, artifacts=artifacts
        )
        runs.append(run)
        _require_same_outputs(runs[0], run, number=number)
        after_each()
    return runs


def _require_same_outputs(first: Run, run: Run, *, number: int) -> None:
    """Raise NotRunError when a run gave other outputs than the first: what comes and goes cannot be compared."""
    only = {1: output_names(first) - output_names(run), number: output_names(run) - output_names(first)}
    for giver, names in only.items():
        for name in sorted(names):
            raise NotRunError(
                f"The runs do not give the same outputs: only run {giver} of 1 and {number} gave `{name}`.",
                hint="Let every run write the same metrics and files; of a folder that collects others, declare files.",
            )


def raise_for_end(finished: Finished, declaration: Declaration) -> None:
    """Raise NotRunError, with the last lines, unless the program ended well."""
    tail = "\n".join(f"  {line}" for line in finished.tail[-12:])
    if finished.timed_out:
        raise NotRunError(
            f"The evaluation did not end within {declaration.timeout:g} s and was stopped.\n{tail}".rstrip(),
            hint="Give it longer with `--timeout`, for example `--timeout 2h`.",
        )
    if finished.code != 0:
        how = (
            f"was killed by signal {-finished.code}" if finished.code < 0 else f"failed with exit code {finished.code}"
        )
        raise NotRunError(
            f"The evaluation {how}: `{' '.join(declaration.command)}`.\n{tail}".rstrip(),
            hint="It must run by itself before it can be frozen: try the same command without envcap.",
        )


def require_artifacts(*, artifacts_found: list[str], declaration: Declaration) -> None:
    """Raise NotRunError when a declared artifact was not written."""
    for name in declaration.artifacts:
        if not any(path == name or path.startswith(f"{name.rstrip('/')}/") for path in artifacts_found):
            raise NotRunError(
                f"The evaluation did not write the declared artifact `{name}`.",
                hint="Correct `artifacts` in the configuration or `--artifact`.",
            )


def _beside(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("python*")) if folder.is_dir() else []
