"""Runs as `sitecustomize` of a stressed evaluation: where the variable asks for it, Python lists folders backwards.

Standard library only, Python 3.6 and newer: it runs inside, apart from envcap.
"""

import os
from typing import Any, Callable


class _Entries:
    """The entries of a folder, the last first; it can be used as what `os.scandir` gives."""

    def __init__(self, entries: Any) -> None:
        self._entries = reversed(entries)

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        return next(self._entries)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        """Nothing is open: all entries have been read."""


class _Backwards:
    """A function as an object: as a plain one it would become a method where pathlib puts it into a class."""

    def __init__(self, function: Callable[..., Any], entries: Callable[..., Any]) -> None:
        self._function = function
        self._entries = entries

    def __call__(self, *path: Any) -> Any:
        return self._entries(list(self._function(*path)))


if os.environ.get("ENVCAP_STRESS_ORDER") == "backwards":
    os.listdir = _Backwards(os.listdir, lambda names: names[::-1])  # type: ignore[assignment]
    os.scandir = _Backwards(os.scandir, _Entries)  # type: ignore[assignment]
