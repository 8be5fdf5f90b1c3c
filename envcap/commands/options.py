"""Options that several commands take."""

from pathlib import Path
from typing import Annotated

import typer

Project = Annotated[
    Path, typer.Option("--project", envvar="ENVCAP_PROJECT", help="The folder of the project.", show_default="here")
]
Name = Annotated[str, typer.Option("--name", envvar="ENVCAP_NAME", help="The lock is pylock.NAME.toml.")]
Strict = Annotated[
    bool, typer.Option("--strict", envvar="ENVCAP_STRICT", help="Fail when anything could not be learned or pinned.")
]
Json = Annotated[bool, typer.Option("--json", envvar="ENVCAP_JSON", help="Give the result as one JSON document.")]
Trust = Annotated[
    bool,
    typer.Option(
        "--trust", envvar="ENVCAP_TRUST", help="Run a lock that this machine did not write without asking, as in CI."
    ),
]
EngineName = Annotated[
    str,
    typer.Option(
        "--engine",
        envvar="ENVCAP_ENGINE",
        help="auto, docker, podman or venv. auto takes the first that answers; venv rebuilds only the Python layer.",
    ),
]
FrozenCode = Annotated[
    bool,
    typer.Option(
        "--frozen-code",
        envvar="ENVCAP_FROZEN_CODE",
        help="Use the code in the lock even if the files here have changed since.",
    ),
]
