"""Where the program begins. What needs no option parser is answered without one: its import takes 0.1 s."""

import shutil
import sys
from pathlib import Path

from envcap import __version__

_COLUMNS = 80


def main() -> None:
    """Run the command line, which ends the process."""
    if sys.argv[1:] == ["--version"]:
        from envcap.report.console import show_result

        show_result(f"envcap {__version__}")
        return
    # What the parser would say in a terminal that is wide enough; a test holds the two together.
    if sys.argv[1:] == ["--help"] and shutil.get_terminal_size().columns >= _COLUMNS:
        from envcap.report.console import show_result

        show_result(Path(__file__).with_name("help.txt").read_text(encoding="utf-8"))
        return
    from envcap import cli

    cli.main()
