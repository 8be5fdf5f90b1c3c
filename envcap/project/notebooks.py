"""Which files of the code are notebooks, and whether they hold what their cells gave."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from envcap.model.lock import Notebook
from envcap.regular import read_regular

_LARGEST = 256 << 20  # bytes: a notebook holds its pictures


def find_notebooks(project: Path, paths: Iterable[str]) -> list[Notebook]:
    """Give the notebooks among the files of a project, in their order."""
    return [
        Notebook(path=path, outputs=_holds_outputs(project / path))
        for path in paths
        if path.endswith(".ipynb") and not (project / path).is_symlink()
    ]


def _holds_outputs(file: Path) -> bool | None:
    """Tell whether any cell has outputs (nbformat 3 keeps the cells in worksheets); None for what is no notebook."""
    try:
        document = msgspec.json.decode(read_regular(file, limit=_LARGEST))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    sheets: list[Any] = [document, *_list(document.get("worksheets"))]
    cells = [cell for sheet in sheets if isinstance(sheet, dict) for cell in _list(sheet.get("cells"))]
    return any(isinstance(cell, dict) and bool(cell.get("outputs")) for cell in cells)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
