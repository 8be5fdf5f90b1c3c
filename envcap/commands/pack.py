"""The options of `envcap pack`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from envcap.commands.options import Json, Name, Project, Strict
from envcap.report.console import Talk, show_result


def pack(
    project: Project = Path(),
    name: Name = "envcap",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            envvar="ENVCAP_OUTPUT",
            help="The file to write.",
            show_default="NAME.capsule in the project",
        ),
    ] = None,
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """Write the lock and all that its image needs as one capsule.

    `envcap build FILE` builds it where there is no network and no registry. Declared data are not taken along.
    """
    from envcap.pack import PackRequest
    from envcap.pack import pack as run_pack
    from envcap.report.capsule import describe_pack, pack_document

    request = PackRequest(project=project, name=name, output=output, strict=strict)
    with Talk() as talk:
        packed = run_pack(request, environ=os.environ, tell=talk.tell)
    describe = pack_document if as_json else describe_pack
    show_result(describe(packed.lock, packed.output, packed.size, len(packed.manifest.files)))
