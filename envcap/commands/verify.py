"""The options of `envcap verify`."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from envcap.commands.options import EngineName, FrozenCode, Json, Name, Project, Strict, Trust
from envcap.report.console import Talk, confirm, show_result


def verify(
    project: Project = Path(),
    name: Name = "envcap",
    engine: EngineName = "auto",
    image: Annotated[
        str | None,
        typer.Option("--image", envvar="ENVCAP_IMAGE", help="The image to run in. Default: what build made."),
    ] = None,
    repeat: Annotated[
        int,
        typer.Option("--repeat", envvar="ENVCAP_REPEAT", help="Runs, each in a fresh container; more can tell more."),
    ] = 1,
    timeout: Annotated[
        str | None,
        typer.Option("--timeout", envvar="ENVCAP_TIMEOUT", help="Time for one run. Default: what was frozen."),
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option("--memory", envvar="ENVCAP_MEMORY", help="Memory for the run, such as 8G. Default: most of it."),
    ] = None,
    network: Annotated[
        bool, typer.Option("--network", envvar="ENVCAP_NETWORK", help="Allow the run to use the network.")
    ] = False,
    gpus: Annotated[
        str,
        typer.Option(
            "--gpus",
            envvar="ENVCAP_GPUS",
            help="GPUs for the run: all, none, or numbers such as 0,1. auto takes all where the frozen run had one.",
        ),
    ] = "auto",
    report: Annotated[
        list[Path] | None,
        typer.Option(
            "--report",
            envvar="ENVCAP_REPORT",
            help="Also write the judgement to this file: .html a page, .json, .xml JUnit, .jsonl in-toto. Repeatable.",
        ),
    ] = None,
    sign: Annotated[
        Path | None,
        typer.Option(
            "--sign",
            envvar="ENVCAP_SIGN",
            help="Sign the .jsonl report with this private key (PEM). A passphrase: ENVCAP_SIGN_PASSPHRASE.",
        ),
    ] = None,
    require: Annotated[
        str,
        typer.Option(
            "--require",
            envvar="ENVCAP_REQUIRE",
            help="equivalent, or identical: then exit code 1 for what is only equivalent.",
        ),
    ] = "equivalent",
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            envvar="ENVCAP_EXPLAIN",
            help="If outputs differ, find out why: rerun with one thing changed at a time, at most 8 times.",
        ),
    ] = False,
    stress: Annotated[
        bool,
        typer.Option(
            "--stress",
            envvar="ENVCAP_STRESS",
            help="Rerun with what must not matter made different: hash seed, processors, home, locale, time zone, …",
        ),
    ] = False,
    frozen_code: FrozenCode = False,
    strict: Strict = False,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Rerun the evaluation inside, and judge whether it is the same."""
    from envcap.commands.reports import Reports
    from envcap.config import parse_duration, parse_size
    from envcap.consent import Consent
    from envcap.errors import NotRunError, WrongUsageError
    from envcap.model.verdict import Verdict
    from envcap.places import digest_cache, known_locks
    from envcap.report.document import judgement_document
    from envcap.report.text import describe_judgement
    from envcap.rerun import RunOptions
    from envcap.verify import VerifyRequest
    from envcap.verify import verify as run_verify

    request = VerifyRequest(
        project=project,
        name=name,
        engine=engine,
        image=image,
        repeat=repeat,
        run=RunOptions(
            timeout=None if timeout is None else parse_duration(timeout),
            memory=None if memory is None else parse_size(memory),
            network=network,
            gpus=gpus,
        ),
        options=_words(
            {
                "--engine": engine if engine != "auto" else None,
                "--image": image,
                "--repeat": str(repeat) if repeat != 1 else None,
                "--timeout": timeout,
                "--memory": memory,
                "--gpus": gpus if gpus != "auto" else None,
                "--network": network,
                "--frozen-code": frozen_code,
                "--explain": explain,
                "--stress": stress,
            }
        ),
        frozen_code=frozen_code,
        strict=strict,
        explain=explain,
        stress=stress,
        consent=Consent(trusted=trust, ask=confirm, known=known_locks(os.environ)),
        known=digest_cache(os.environ),
    )
    if require not in {"identical", "equivalent"}:
        raise WrongUsageError(f"`{require}` cannot be required.", hint="Choose from: equivalent, identical.")
    reports = Reports(report or [], name=name, key=sign)
    with Talk() as talk, reports.even_of_failure(talk.tell):
        judgement, lock = run_verify(request, environ=os.environ, tell=talk.tell, note=reports.note)
    show_result(judgement_document(judgement) if as_json else describe_judgement(judgement, lock))
    code = judgement.verdict.exit_code
    if require == "identical" and judgement.verdict is Verdict.EQUIVALENT:
        code = Verdict.DIFFERENT.exit_code
    try:
        reports.write(judgement, lock)
    except NotRunError as error:  # the verdict was shown: with `--json` there is one document, and this is no other
        Talk().error(error)
        code = code or error.exit_code
    raise typer.Exit(code)


def _words(options: Mapping[str, str | bool | None]) -> list[str]:
    """Give the options that were given as words of a command."""
    words = []
    for name, value in options.items():
        words += [name] if value is True else [name, value] if value else []
    return words
