"""The options of `envcap bisect`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from envcap.commands.options import EngineName, Json, Project, Trust
from envcap.report.console import Talk, confirm, show_result


def bisect(
    good: Annotated[str, typer.Argument(metavar="GOOD", help="The lock whose frozen result is the right one.")],
    bad: Annotated[str, typer.Argument(metavar="BAD", help="A lock of the same evaluation that gives another result.")],
    project: Project = Path(),
    engine: EngineName = "venv",
    repeat: Annotated[
        int,
        typer.Option("--repeat", envvar="ENVCAP_REPEAT", help="Runs for each trial: more where a result varies."),
    ] = 1,
    runs: Annotated[
        int, typer.Option("--runs", envvar="ENVCAP_RUNS", help="The most runs; then it tells what is left.")
    ] = 100,
    timeout: Annotated[
        str | None,
        typer.Option("--timeout", envvar="ENVCAP_TIMEOUT", help="Time for one run. Default: what was frozen."),
    ] = None,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", envvar="ENVCAP_NO_CACHE", help="Try again what an earlier bisect has tried.")
    ] = False,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Find which package changes between two locks are behind another result.

    Runs the evaluation of GOOD with packages of BAD, each time in an environment that is thrown away, and halves what
    is suspected (delta debugging). Mixtures that their own requirements forbid are never run. What was tried is
    remembered, so an interrupted bisect goes on.

    Example: envcap upgrade && envcap bisect envcap envcap-upgraded

    Exit codes: 0 found, 4 it cannot be told (GOOD is not good, BAD is not bad, or the runs did not suffice), 3 GOOD or
    BAD did not run, 2 wrong usage, 5 refused.
    """
    from envcap.bisect import BisectRequest
    from envcap.bisect import bisect as run_bisect
    from envcap.config import parse_duration
    from envcap.consent import Consent
    from envcap.places import known_locks
    from envcap.report.bisection import bisection_document, describe_bisection

    request = BisectRequest(
        project=project,
        good=good,
        bad=bad,
        engine=engine,
        repeat=repeat,
        runs=runs,
        timeout=None if timeout is None else parse_duration(timeout),
        use_cache=not no_cache,
        consent=Consent(trusted=trust, ask=confirm, known=known_locks(os.environ)),
    )
    with Talk() as talk:
        bisection = run_bisect(request, environ=os.environ, tell=talk.tell)
    show_result(bisection_document(bisection) if as_json else describe_bisection(bisection))
    raise typer.Exit(bisection.exit_code)
