"""The options of `envcap diff`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from envcap.commands.options import EngineName, Json, Project
from envcap.report.console import Talk, show_result


def diff(
    first: Annotated[str, typer.Argument(metavar="A", help="A lock by name or path, `live`, or an image.")],
    second: Annotated[str, typer.Argument(metavar="B", help="The other side, named in the same way.")] = "live",
    project: Project = Path(),
    python: Annotated[
        Path | None,
        typer.Option(
            "--python", envvar="ENVCAP_PYTHON", help="The interpreter that `live` means. Default: the active one."
        ),
    ] = None,
    engine: EngineName = "auto",
    as_json: Json = False,
) -> None:
    """Show what differs between two environments, and what matters.

    Example: envcap diff envcap live. Exit code 0 when nothing differs, 1 when something does.
    """
    from envcap.diff import DiffRequest
    from envcap.diff import diff as run_diff
    from envcap.report.difference import describe_comparison
    from envcap.report.document import comparison_document

    request = DiffRequest(project=project, first=first, second=second, python=python, engine=engine)
    with Talk() as talk:
        comparison = run_diff(request, environ=os.environ, tell=talk.tell)
    show_result(comparison_document(comparison) if as_json else describe_comparison(comparison))
    raise typer.Exit(1 if comparison.differences else 0)
