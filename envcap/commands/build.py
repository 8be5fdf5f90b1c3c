"""The options of `envcap build`."""

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from envcap.commands.options import EngineName, FrozenCode, Json, Name, Project, Strict, Trust
from envcap.errors import WrongUsageError
from envcap.report.console import Talk, confirm, show_result


def build(
    capsule: Annotated[
        Path | None,
        typer.Argument(
            help="A capsule that `envcap pack` wrote: it is unpacked, and built without a network.", show_default=False
        ),
    ] = None,
    into: Annotated[
        Path | None,
        typer.Option(
            "--into",
            envvar="ENVCAP_INTO",
            help="The new folder to unpack the capsule to.",
            show_default="the capsule's name, here",
        ),
    ] = None,
    project: Project = Path(),
    name: Name = "envcap",
    engine: EngineName = "auto",
    tag: Annotated[
        str | None, typer.Option("--tag", envvar="ENVCAP_TAG", help="The image's name. Default: envcap/NAME:LOCK.")
    ] = None,
    push: Annotated[
        bool,
        typer.Option(
            "--push",
            envvar="ENVCAP_PUSH",
            help="Bring the image, packed with gzip, to the registry in --tag REGISTRY/NAME:TAG, with the login of "
            "your Docker client.",
        ),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", envvar="ENVCAP_OUTPUT", help="Only write the Dockerfile and its files to this folder."
        ),
    ] = None,
    target: Annotated[
        Literal["eval", "serve"],
        typer.Option(
            "--target",
            envvar="ENVCAP_TARGET",
            help="eval runs the frozen evaluation; serve has the same packages and settings without its code.",
        ),
    ] = "eval",
    portable: Annotated[
        bool,
        typer.Option(
            "--portable",
            envvar="ENVCAP_PORTABLE",
            help="Render the Dockerfile that is only text: it downloads the packages while it is built.",
        ),
    ] = False,
    secret: Annotated[
        list[str] | None,
        typer.Option(
            "--secret",
            envvar="ENVCAP_SECRET",
            metavar="NAME=FILE",
            help="Hand a file to the steps of a portable build: ca (certificates), netrc, pip (its configuration) or "
            "snapshot (the address of dated archives).",
        ),
    ] = None,
    sbom: Annotated[
        Path | None,
        typer.Option("--sbom", envvar="ENVCAP_SBOM", help="Write what is in it to this file, as CycloneDX."),
    ] = None,
    provenance: Annotated[
        Path | None,
        typer.Option(
            "--provenance",
            envvar="ENVCAP_PROVENANCE",
            help="Write how it was made to this file, as SLSA has it.",
        ),
    ] = None,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", envvar="ENVCAP_NO_CACHE", help="Build every step again.")
    ] = False,
    platform: Annotated[
        str | None,
        typer.Option(
            "--platform",
            envvar="ENVCAP_PLATFORM",
            help="Build only if the lock is for this, such as linux/amd64: a lock is for one.",
        ),
    ] = None,
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
    from envcap.commands.companions import Companions
    from envcap.consent import Consent
    from envcap.pack import open_capsule
    from envcap.places import known_locks
    from envcap.report.document import build_document
    from envcap.report.text import describe_build

    if into is not None and capsule is None:
        raise WrongUsageError("`--into` is where a capsule is unpacked, and no capsule is named.")
    companions = Companions(sbom=sbom, provenance=provenance, only_context=output is not None)
    with Talk() as talk:
        if capsule is not None:
            project, name = open_capsule(capsule, into, tell=talk.tell)
        request = BuildRequest(
            project=project,
            name=name,
            engine=engine,
            tag=tag,
            push=push,
            output=output,
            use_cache=not no_cache,
            platform=platform,
            link_scripts=link_scripts,
            frozen_code=frozen_code,
            strict=strict,
            target=target,
            portable=portable,
            secrets=_secrets(secret or []),
            consent=Consent(trusted=trust, ask=confirm, known=known_locks(os.environ)),
        )
        built = run_build(request, environ=os.environ, tell=talk.tell)
        companions.write(built)
    describe = build_document if as_json else describe_build
    show_result(
        describe(
            built.lock,
            built.context,
            built.image,
            built.output,
            layers=built.layers,
            copies=built.copies,
            portable=portable,
            unpacked=project if capsule is not None else None,
        )
    )


def _secrets(words: list[str]) -> dict[str, Path]:
    """Give the files by their names. Raises WrongUsageError for a word of another form."""
    found = {}
    for word in words:
        name, equals, path = word.partition("=")
        if not equals or not path:
            raise WrongUsageError(f"`--secret {word}` is not `NAME=FILE`.")
        found[name] = Path(path)
    return found
