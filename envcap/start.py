"""Where the program begins. What needs no option parser is answered without one: its import takes 0.1 s."""

import sys

from envcap import __version__


def main() -> None:
    """Run the command line, which ends the process."""
    if sys.argv[1:] == ["--version"]:
        from envcap.report.console import show_result

        show_result(f"envcap {__version__}")
        return
    from envcap import cli

    cli.main()
