"""The CPythons of this machine that tests may use: there is always one, the one that runs the tests."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

_OLDEST = (3, 6)
_ASK = "import sys; print('%d.%d.%d' % sys.version_info[:3] if sys.implementation.name == 'cpython' else '')"


class Python(NamedTuple):
    """An interpreter that belongs to no virtual environment, with its exact version."""

    path: Path
    version: str

    @property
    def minor(self) -> tuple[int, int]:
        major, minor, *_ = self.version.split(".")
        return int(major), int(minor)


def own() -> Python:
    """Give the one below the environment that the tests run in."""
    version = "{}.{}.{}".format(*sys.version_info[:3])
    return Python(Path(sys.base_prefix, "bin", "python{}.{}".format(*sys.version_info[:2])), version)


@cache
def pythons() -> list[Python]:
    """Give one of each minor version, the oldest first: those of version managers, then those on PATH."""
    found: dict[tuple[int, int], Python] = {own().minor: own()}
    for path in _places():
        told = re.fullmatch(r"python3\.([0-9]+)", path.name)
        if told is None or (3, int(told[1])) in found or (3, int(told[1])) < _OLDEST or not os.access(path, os.X_OK):
            continue
        done = subprocess.run([path, "-I", "-c", _ASK], capture_output=True, text=True, check=False)
        if done.returncode == 0 and done.stdout.startswith(f"3.{told[1]}."):
            found[3, int(told[1])] = Python(path, done.stdout.strip())
    return [found[minor] for minor in sorted(found)]


def others() -> list[Python]:
    """Give those of another minor version than the tests' own; often none."""
    return [python for python in pythons() if python.minor != own().minor]


def _places() -> Iterator[Path]:
    home = Path.home()
    pyenv = Path(os.environ.get("PYENV_ROOT", home / ".pyenv"))
    managed = Path(os.environ.get("UV_PYTHON_INSTALL_DIR", home / ".local" / "share" / "uv" / "python"))
    yield from sorted(pyenv.glob("versions/3.*/bin/python3.*"), reverse=True)
    yield from sorted(managed.glob("cpython-3.*/bin/python3.*"), reverse=True)
    for folder in map(Path, [*os.environ.get("PATH", "").split(os.pathsep), "/usr/bin", "/usr/local/bin"]):
        # A shim runs whatever a version manager's settings say, and an environment is no installation.
        if folder.name != "shims" and not (folder.parent / "pyvenv.cfg").exists():
            yield from sorted(folder.glob("python3.*"))
