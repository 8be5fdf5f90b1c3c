"""The options of `envcap upgrade`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from envcap.commands.options import Json, Name, Project, Strict
from envcap.report.console import Talk, show_result


def upgrade(
    packages: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PACKAGE]...",
            help="What may move, such as numpy, numpy==2.1 or 'pandas<3'. Default: whatever was asked for by name.",
        ),
    ] = None,
    project: Project = Path(),
    name: Name = "envcap",
    to: Annotated[
        str | None,
        typer.Option("--to", envvar="ENVCAP_TO", help="The new lock's name. Default: NAME-upgraded."),
    ] = None,
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """Resolve packages of a lock anew into a second lock, to see whether the result changes.

    Example: envcap upgrade numpy && envcap build --name envcap-upgraded && envcap verify --name envcap-upgraded
    """
    from envcap.report.upgrade import describe_upgrade, upgrade_document
    from envcap.upgrade import UpgradeRequest
    from envcap.upgrade import upgrade as run_upgrade

    request = UpgradeRequest(project=project, name=name, packages=packages or [], to=to, strict=strict)
    with Talk() as talk:
        upgraded = run_upgrade(request, environ=os.environ, tell=talk.tell)
    describe = upgrade_document if as_json else describe_upgrade
    show_result(describe(upgraded.lock, upgraded.path, upgraded.sha256))
