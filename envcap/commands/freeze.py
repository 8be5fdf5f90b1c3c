"""The options of `envcap freeze`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from envcap.commands.options import Json, Name, Project, Strict
from envcap.report.console import Talk, show_result


def freeze(
    command: Annotated[
        list[str] | None,
        typer.Argument(help="The evaluation, after `--`. Default: the one declared in the configuration."),
    ] = None,
    project: Project = Path(),
    name: Name = "envcap",
    python: Annotated[
        Path | None,
        typer.Option(
            "--python",
            envvar="ENVCAP_PYTHON",
            help="The interpreter, or the folder of the environment, to freeze. Default: the active environment.",
        ),
    ] = None,
    prefix: Annotated[
        Path | None,
        typer.Option("--prefix", envvar="ENVCAP_PREFIX", help="The folder of the conda environment to freeze."),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            "--metrics",
            envvar="ENVCAP_METRICS",
            help="The JSON file of metrics, or `stdout-json` for the last object printed. Default: metrics.json.",
        ),
    ] = None,
    artifact: Annotated[
        list[str] | None,
        typer.Option("--artifact", envvar="ENVCAP_ARTIFACT", help="A file or folder that it writes. Repeatable."),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option("--data", envvar="ENVCAP_DATA", help="A file or folder that it reads. Repeatable."),
    ] = None,
    repeat: Annotated[
        int | None,
        typer.Option("--repeat", envvar="ENVCAP_REPEAT", help="Reference runs, in fresh processes. Default: 3."),
    ] = None,
    timeout: Annotated[
        str | None,
        typer.Option(
            "--timeout", envvar="ENVCAP_TIMEOUT", help="Time for one run, such as 90s, 30m, 2h. Default: 30m."
        ),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(
            "--base",
            envvar="ENVCAP_BASE",
            help="The base image, with or without digest. Default: the official Python image that fits.",
        ),
    ] = None,
    offline: Annotated[
        bool,
        typer.Option(
            "--offline",
            envvar="ENVCAP_OFFLINE",
            help="Ask no network: pin by the caches of envcap, pip and uv on this machine, and carry the rest.",
        ),
    ] = False,
    refresh: Annotated[
        bool,
        typer.Option(
            "--refresh",
            envvar="ENVCAP_REFRESH",
            help="Ask the indexes and read all installed files and data again, whatever is remembered of them.",
        ),
    ] = False,
    deep: Annotated[
        bool,
        typer.Option(
            "--deep", envvar="ENVCAP_DEEP", help="Trace the runs with strace too: sees what compiled code opens."
        ),
    ] = False,
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """Inspect this environment, run the evaluation, write one lock.

    Example: envcap freeze -- python evaluate.py
    """
    from envcap.config import Override
    from envcap.freeze import FreezeRequest
    from envcap.freeze import freeze as run_freeze
    from envcap.report.document import freeze_document
    from envcap.report.text import describe_freeze

    override = Override(
        command=command or [],
        metrics=metrics,
        artifacts=artifact or [],
        data=data or [],
        repeat=repeat,
        timeout=timeout,
    )
    request = FreezeRequest(
        project=project,
        name=name,
        python=python,
        prefix=prefix,
        base=base,
        override=override,
        offline=offline,
        strict=strict,
        refresh=refresh,
        deep=deep,
    )
    with Talk() as talk:
        frozen = run_freeze(request, environ=os.environ, tell=talk.tell)
    describe = freeze_document if as_json else describe_freeze
    show_result(describe(frozen.lock, frozen.path, frozen.sha256))
