"""The command line: options in, one stage call, one report call, exit code. It decides nothing."""

import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from envcap import __version__, interruption
from envcap.ending import end
from envcap.report.console import Talk, show_result

app = typer.Typer(
    name="envcap",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Freeze a machine-learning environment into one lockfile, rebuild it, and verify that its result comes back.",
    epilog="Exit codes: 0 identical or equivalent, 1 different, 2 wrong usage, 3 not run, 4 inconclusive, 5 refused, "
    "70 a bug in envcap, 130 interrupted.",
)

Project = Annotated[
    Path, typer.Option("--project", envvar="ENVCAP_PROJECT", help="The folder of the project.", show_default="here")
]
Name = Annotated[str, typer.Option("--name", envvar="ENVCAP_NAME", help="The lock is pylock.NAME.toml.")]
Strict = Annotated[
    bool, typer.Option("--strict", envvar="ENVCAP_STRICT", help="Fail when anything could not be learned or pinned.")
]
Json = Annotated[bool, typer.Option("--json", envvar="ENVCAP_JSON", help="Give the result as one JSON document.")]
EngineName = Annotated[
    str,
    typer.Option(
        "--engine",
        envvar="ENVCAP_ENGINE",
        help="auto, docker or venv. auto takes Docker where it answers; venv rebuilds only the Python layer.",
    ),
]
FrozenCode = Annotated[
    bool,
    typer.Option(
        "--frozen-code",
        envvar="ENVCAP_FROZEN_CODE",
        help="Use the code in the lock even if the files here have changed since.",
    ),
]


@app.callback(invoke_without_command=True)
def start(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.", is_eager=True)] = False,
) -> None:
    """Take the options that come before a command."""
    if version:
        show_result(f"envcap {__version__}")
        raise typer.Exit


@app.command()
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
    request = FreezeRequest(project=project, name=name, python=python, base=base, override=override, strict=strict)
    with Talk() as talk:
        frozen = run_freeze(request, environ=os.environ, tell=talk.tell)
    describe = freeze_document if as_json else describe_freeze
    show_result(describe(frozen.lock, frozen.path, frozen.sha256))


@app.command()
def build(
    project: Project = Path(),
    name: Name = "envcap",
    engine: EngineName = "auto",
    tag: Annotated[
        str | None, typer.Option("--tag", envvar="ENVCAP_TAG", help="The image's name. Default: envcap/NAME:LOCK.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", envvar="ENVCAP_OUTPUT", help="Only write the Dockerfile and its files to this folder."
        ),
    ] = None,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", envvar="ENVCAP_NO_CACHE", help="Build every step again.")
    ] = False,
    frozen_code: FrozenCode = False,
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """Render a pinned Dockerfile from the lock and build it."""
    from envcap.build import BuildRequest
    from envcap.build import build as run_build
    from envcap.report.document import build_document
    from envcap.report.text import describe_build

    request = BuildRequest(
        project=project,
        name=name,
        engine=engine,
        tag=tag,
        output=output,
        use_cache=not no_cache,
        frozen_code=frozen_code,
        strict=strict,
    )
    with Talk() as talk:
        built = run_build(request, environ=os.environ, tell=talk.tell)
    describe = build_document if as_json else describe_build
    show_result(describe(built.lock, built.context, built.image, built.output))


@app.command()
def verify(
    project: Project = Path(),
    name: Name = "envcap",
    engine: EngineName = "auto",
    image: Annotated[
        str | None,
        typer.Option("--image", envvar="ENVCAP_IMAGE", help="The image to run in. Default: what build made."),
    ] = None,
    timeout: Annotated[
        str | None,
        typer.Option("--timeout", envvar="ENVCAP_TIMEOUT", help="Time for the run. Default: what was frozen."),
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option("--memory", envvar="ENVCAP_MEMORY", help="Memory for the run, such as 8G. Default: most of it."),
    ] = None,
    network: Annotated[
        bool, typer.Option("--network", envvar="ENVCAP_NETWORK", help="Allow the run to use the network.")
    ] = False,
    frozen_code: FrozenCode = False,
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """Rerun the evaluation inside, and judge whether it is the same."""
    from envcap.config import parse_duration, parse_size
    from envcap.report.document import judgement_document
    from envcap.report.text import describe_judgement
    from envcap.verify import VerifyRequest
    from envcap.verify import verify as run_verify

    request = VerifyRequest(
        project=project,
        name=name,
        engine=engine,
        image=image,
        timeout=None if timeout is None else parse_duration(timeout),
        memory=None if memory is None else parse_size(memory),
        network=network,
        frozen_code=frozen_code,
        strict=strict,
    )
    with Talk() as talk:
        judgement, lock = run_verify(request, tell=talk.tell)
    show_result(judgement_document(judgement) if as_json else describe_judgement(judgement, lock))
    raise typer.Exit(judgement.verdict.exit_code)


@app.command()
def show(
    project: Project = Path(),
    name: Name = "envcap",
    tree: Annotated[
        bool, typer.Option("--tree", envvar="ENVCAP_TREE", help="Show which package requires which.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what a lock holds, and why each package is there."""
    from envcap.report.document import show_document
    from envcap.report.text import describe_show
    from envcap.show import show as run_show

    shown = run_show(project, name=name)
    if as_json:
        show_result(show_document(shown.lock, shown.path, shown.sha256))
    else:
        show_result(describe_show(shown.lock, shown.path, shown.sha256, as_tree=tree))


@app.command()
def export(
    project: Project = Path(),
    name: Name = "envcap",
    form: Annotated[
        str, typer.Option("--format", envvar="ENVCAP_FORMAT", help="requirements: pip's hashed requirements file.")
    ] = "requirements",
    output: Annotated[
        Path | None,
        typer.Option("--output", envvar="ENVCAP_OUTPUT", help="Write to this file. Default: standard output."),
    ] = None,
) -> None:
    """Give the lock's packages as a file that other tools read."""
    from envcap.export import ExportRequest
    from envcap.export import export as run_export

    request = ExportRequest(project=project, name=name, format=form, output=output)
    with Talk() as talk:
        text = run_export(request, tell=talk.tell)
    if output is None:
        show_result(text)


def main() -> NoReturn:
    """Run the command line; the only door through which the process ends."""
    interruption.install()
    sys.exit(end(app))
