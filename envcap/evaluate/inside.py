"""Looks at what surrounds the evaluation inside an image: its code as it lies there, and the variables it gets."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from envcap.evaluate.inside_program import LIST
from envcap.model.image import Outcome, Task
from envcap.model.struct import Data

_PROGRAM = Path(__file__).with_name("inside_program.py")
_FILE = ".envcap-inside.py"
_SECONDS = 300.0  # a cold disk and much code


class Inside(Data, frozen=True):
    """The digest of each file that was asked for, None where it is missing, and all variables."""

    files: dict[str, str | None]
    environment: dict[str, str]


def inside_task(paths: list[str]) -> Task:
    """Give the task that looks at these files of the code."""
    files = {_FILE: _PROGRAM.read_bytes(), LIST: msgspec.json.encode(paths)}
    return Task(command=["python", "-B", _FILE], files=files, timeout=_SECONDS)


def read_inside(outcome: Outcome) -> Inside | None:
    """Give what the task told, None where it failed: then nothing is known, and no verdict hangs on it."""
    try:
        return msgspec.json.decode(outcome.stdout.strip().rpartition("\n")[2], type=Inside)
    except (msgspec.DecodeError, UnicodeError):
        return None


def changed_inside(frozen: Mapping[str, str], inside: Mapping[str, str | None]) -> list[str]:
    """Tell in words which files of the code are not the frozen ones."""
    return [
        f"`{path}` is not there" if inside[path] is None else f"`{path}` is not the frozen one"
        for path, digest in sorted(frozen.items())
        if path in inside and inside[path] != digest
    ]
