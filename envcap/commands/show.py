"""The options of `envcap show`."""

from pathlib import Path
from typing import Annotated

import typer

from envcap.commands.options import Json, Name, Project
from envcap.report.console import show_result


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
