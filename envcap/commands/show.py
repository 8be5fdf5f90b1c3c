"""The options of `envcap show`."""

from pathlib import Path
from typing import Annotated

import typer

from envcap.commands.options import Json, Name, Project
from envcap.errors import WrongUsageError
from envcap.report.console import printable, show_result


def show(
    project: Project = Path(),
    name: Name = "envcap",
    tree: Annotated[
        bool, typer.Option("--tree", envvar="ENVCAP_TREE", help="Show which package requires which.")
    ] = False,
    patch: Annotated[
        str | None,
        typer.Option(
            "--patch",
            envvar="ENVCAP_PATCH",
            metavar="PACKAGE",
            help="Show what was changed in a package, as a patch of the published one.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what a lock holds, and why each package is there."""
    from envcap.report.document import show_document
    from envcap.report.text import describe_show
    from envcap.show import read_patch
    from envcap.show import show as run_show

    if patch is not None and (as_json or tree):
        raise WrongUsageError("`--patch` gives a patch and nothing else.", hint="Leave out `--json` and `--tree`.")
    shown = run_show(project, name=name)
    if patch is not None:
        show_result(printable(read_patch(project, shown.lock, package=patch)))
    elif as_json:
        show_result(show_document(shown.lock, shown.path, shown.sha256))
    else:
        show_result(describe_show(shown.lock, shown.path, shown.sha256, as_tree=tree))
