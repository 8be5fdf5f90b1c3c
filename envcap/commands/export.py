"""The options of `envcap export`."""

from pathlib import Path
from typing import Annotated

import typer

from envcap.commands.options import Name, Project
from envcap.report.console import Talk, show_result


def export(
    project: Project = Path(),
    name: Name = "envcap",
    form: Annotated[
        str,
        typer.Option(
            "--format",
            envvar="ENVCAP_FORMAT",
            help="requirements (pip's hashed file), cyclonedx, dockerfile, apptainer, conda-lock, conda-explicit, "
            "environment.yml or pixi.lock.",
        ),
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
