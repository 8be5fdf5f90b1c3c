"""The command line: the commands in the order in which help lists them. Each has its file in `commands/`."""

import sys
from typing import Annotated, NoReturn

import typer

from envcap import __version__, interruption
from envcap.commands.bisect import bisect
from envcap.commands.build import build
from envcap.commands.cache import cache
from envcap.commands.diff import diff
from envcap.commands.doctor import doctor
from envcap.commands.export import export
from envcap.commands.freeze import freeze
from envcap.commands.pack import pack
from envcap.commands.show import show
from envcap.commands.upgrade import upgrade
from envcap.commands.verify import verify
from envcap.ending import end
from envcap.report.console import show_result

app = typer.Typer(
    name="envcap",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Freeze a machine-learning environment into one lockfile, rebuild it, and verify that its result comes back.",
    epilog="Exit codes: 0 identical or equivalent, 1 different, 2 wrong usage, 3 not run, 4 inconclusive, 5 refused, "
    "70 a bug in envcap, 130 interrupted.",
)


@app.callback(invoke_without_command=True)
def start(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.", is_eager=True)] = False,
) -> None:
    """Take the options that come before a command."""
    if version:
        show_result(f"envcap {__version__}")
        raise typer.Exit


for command in (freeze, build, verify, diff, bisect, upgrade, show, export, pack, cache, doctor):
    app.command()(command)


def main() -> NoReturn:
    """Run the command line; the only door through which the process ends."""
    interruption.install()
    sys.exit(end(app))
