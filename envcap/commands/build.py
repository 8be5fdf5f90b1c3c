"""The options of `envcap build`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from envcap.commands.options import EngineName, FrozenCode, Json, Name, Project, Strict, Trust
from envcap.report.console import Talk, confirm, show_result


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
    link_scripts: Annotated[
        bool,
        typer.Option(
            "--link-scripts",
            envvar="ENVCAP_LINK_SCRIPTS",
            help="Let the post-link scripts of conda packages run in the build.",
        ),
    ] = False,
    frozen_code: FrozenCode = False,
    strict: Strict = False,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Render a pinned Dockerfile from the lock and build it."""
    from envcap.build import BuildRequest
    from envcap.build import build as run_build
    from envcap.consent import Consent
    from envcap.places import known_locks
    from envcap.report.document import build_document
    from envcap.report.text import describe_build

    request = BuildRequest(
        project=project,
        name=name,
        engine=engine,
        tag=tag,
        output=output,
        use_cache=not no_cache,
        link_scripts=link_scripts,
        frozen_code=frozen_code,
        strict=strict,
        consent=Consent(trusted=trust, ask=confirm, known=known_locks(os.environ)),
    )
    with Talk() as talk:
        built = run_build(request, environ=os.environ, tell=talk.tell)
    describe = build_document if as_json else describe_build
    show_result(describe(built.lock, built.context, built.image, built.output))
