"""The one place that writes to the terminal: results to standard output, talk to standard error."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from envcap.redact import redact_text

if TYPE_CHECKING:
    from types import TracebackType

    from rich.status import Status

    from envcap.errors import EnvcapError
    from envcap.model.progress import Progress

_SECONDS_BETWEEN_COUNTS = 5.0  # where lines cannot be overwritten


class Talk:
    """Shows progress on standard error: counts in one moving line on a terminal, now and then in a log."""

    def __init__(self, *, quiet: bool = False) -> None:
        from rich.console import Console

        self._console: Console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._quiet = quiet
        self._status: Status | None = None
        self._last_count = 0.0

    def __enter__(self) -> Talk:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_status()

    def tell(self, progress: Progress) -> None:
        """Show one thing."""
        if self._quiet:
            return
        text = printable(redact_text(progress.text))  # an evaluation prints what it likes
        if progress.kind == "count":
            self._count(text, progress)
        elif progress.kind == "step":
            self._end_status()
            self._print(f"• {text}", style="bold")
        elif progress.kind == "notice":
            self._print(f"! {text}", style="yellow")
        else:
            self._print(f"  │ {text}", style="dim")

    def error(self, error: EnvcapError) -> None:
        """Show an error in its three parts: what failed and why, a blank line, the hint."""
        self._end_status()
        self._print(f"error: {printable(redact_text(error.message))}", style="red")
        if error.hint:
            self._print("")
            self._print(f"hint: {printable(redact_text(error.hint))}", style="cyan")

    def _count(self, text: str, progress: Progress) -> None:
        line = f"{text} ({progress.done}/{progress.total})"
        if self._console.is_terminal:
            if self._status is None:
                self._status = self._console.status(_escape(line))
                self._status.start()
            self._status.update(_escape(line))
        elif progress.done >= progress.total or time.monotonic() - self._last_count > _SECONDS_BETWEEN_COUNTS:
            self._last_count = time.monotonic()
            self._print(f"  {line}")

    def _end_status(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None

    def _print(self, text: str, *, style: str | None = None) -> None:
        self._console.print(text, style=style, markup=False, emoji=False)


def show_result(text: str) -> None:
    """Write a command's result to standard output."""
    sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
    sys.stdout.flush()


def confirm(question: str) -> bool | None:
    """Ask on the terminal, where no is the default; give None where there is no terminal to ask on."""
    if not (sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    sys.stderr.write(f"{printable(question)} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def printable(text: str) -> str:
    """Give `text` without control characters: what a stranger's program prints must not steer the terminal."""
    return "".join(character if character.isprintable() or character in "\n\t" else " " for character in text)


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)
