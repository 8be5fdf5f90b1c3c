"""Tables of plain text, in which a stranger's words can neither steer a terminal nor begin a line of their own."""

import io
from collections.abc import Iterable, Sequence

_WIDTH = 118  # characters, with two more for the indent


def table_lines(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Give the lines of a table, indented, so that a folded name cannot begin a line."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*map(plain, row))
    stream = io.StringIO()
    Console(file=stream, width=_WIDTH, color_system=None, markup=False, emoji=False, highlight=False).print(table)
    return [f"  {line.rstrip()}" for line in stream.getvalue().split("\n") if line.strip()]


def plain(text: str) -> str:
    """Give `text` as it may be shown: names in it are strangers', and must not steer a terminal or forge a line."""
    return "".join(character if character.isprintable() else " " for character in text)
