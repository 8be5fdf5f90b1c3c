"""Looks at what surrounds the evaluation inside an image: the variables that it gets."""

from pathlib import Path

import msgspec

from envcap.model.image import Outcome, Task
from envcap.model.struct import Data

_PROGRAM = Path(__file__).with_name("inside_program.py")
INSIDE_FILE = ".envcap-inside.py"
_SECONDS = 300.0  # a cold disk


class Inside(Data, frozen=True):
    """All variables."""

    environment: dict[str, str]


def inside_task() -> Task:
    """Give the task that looks."""
    files = {INSIDE_FILE: _PROGRAM.read_bytes()}
    return Task(command=["python", "-B", INSIDE_FILE], files=files, timeout=_SECONDS)


def read_inside(outcome: Outcome) -> Inside | None:
    """Give what the task told, None where it failed: then nothing is known, and no verdict hangs on it."""
    try:
        return msgspec.json.decode(outcome.stdout.strip().rpartition("\n")[2], type=Inside)
    except (msgspec.DecodeError, UnicodeError):
        return None
