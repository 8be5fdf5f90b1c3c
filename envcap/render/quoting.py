"""Quote values for the places of a Dockerfile where they stand. Pure.

Source: Dockerfile reference, "Environment replacement" and "Shell and exec form".
"""

import json
import re
from collections.abc import Sequence

from envcap.errors import RefusedError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")


def quote_value(value: str) -> str:
    """Give a value of ENV or LABEL in double quotes, such that nothing in it is expanded.

    Raises RefusedError for control characters: they cannot stand in one line, and nothing honest needs them.
    """
    if _CONTROL.search(value):
        raise RefusedError(f"The value `{value!r}` holds control characters and cannot enter a Dockerfile.")
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return f'"{escaped}"'


def check_variable_name(name: str) -> str:
    """Give the name of an environment variable, checked (POSIX: letters, digits, underscore)."""
    if _NAME.fullmatch(name) is None:
        raise RefusedError(f"`{name}` is not a name of an environment variable.")
    return name


def exec_form(words: Sequence[str]) -> str:
    """Give an argument array as the JSON that RUN and CMD take; everything but ASCII is escaped."""
    return json.dumps(list(words))
