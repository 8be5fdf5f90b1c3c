"""Quote values for the places of a Dockerfile where they stand. Pure.

Source: Dockerfile reference, "Environment replacement" and "Shell and exec form".
"""

import json
from collections.abc import Sequence

from envcap.errors import RefusedError
from envcap.trust.forms import has_control_characters
from envcap.trust.lock import is_variable_name


def quote_value(value: str) -> str:
    """Give a value of ENV or LABEL in double quotes, such that nothing in it is expanded.

    Raises RefusedError for control characters: they cannot stand in one line, and nothing honest needs them.
    """
    if has_control_characters(value):
        raise RefusedError(f"The value `{value!r}` holds control characters and cannot enter a Dockerfile.")
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return f'"{escaped}"'


def check_variable_name(name: str) -> str:
    """Give the name of an environment variable, checked (POSIX: letters, digits, underscore)."""
    if not is_variable_name(name):
        raise RefusedError(f"`{name}` is not a name of an environment variable.")
    return name


def exec_form(words: Sequence[str]) -> str:
    """Give an argument array as the JSON that RUN and CMD take; everything but ASCII is escaped."""
    return json.dumps(list(words))
