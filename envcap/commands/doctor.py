"""The options of `envcap doctor`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from envcap.commands.options import Json, Project
from envcap.errors import NotRunError
from envcap.report.console import Talk, show_result


def doctor(
    project: Project = Path(),
    python: Annotated[
        Path | None,
        typer.Option("--python", envvar="ENVCAP_PYTHON", help="The interpreter to freeze. Default: the active one."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Tell what this machine can do, and what to install.

    Exit code 0 when freeze, build and verify can work here, 3 when something they need fails.
    """
    from envcap.doctor import DoctorRequest, examine
    from envcap.report.document import examination_document
    from envcap.report.examination import describe_examinations

    with Talk() as talk:
        found = examine(DoctorRequest(project=project, python=python), environ=os.environ, tell=talk.tell)
    show_result(examination_document(found) if as_json else describe_examinations(found))
    if any(one.state == "failed" for one in found):
        raise typer.Exit(NotRunError.exit_code)
