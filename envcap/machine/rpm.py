"""The owners of files on a system of rpm packages, asked of its own program. See rpm(8), "QUERY OPTIONS"."""

import shutil
from collections.abc import Iterable

from envcap.machine.debian import Installed
from envcap.process import capture

_FORMAT = "%{NAME}\t%{VERSION}-%{RELEASE}\t%{ARCH}\n"


def ask_rpm(paths: Iterable[str]) -> tuple[dict[str, str], dict[str, Installed]]:
    """Give the owning package of each path that has one, and those packages; nothing where there is no rpm."""
    owner: dict[str, str] = {}
    packages: dict[str, Installed] = {}
    if shutil.which("rpm") is None:
        return owner, packages
    for path in sorted(paths):
        done = capture(
            ["rpm", "--query", "--file", "--queryformat", _FORMAT, path],
            purpose="Asking for the owner of a file",
            check=False,
        )
        found = read_answer(done.stdout.decode(errors="replace")) if done.returncode == 0 else None
        if found is not None:
            owner[path] = found.name
            packages[found.name] = found
    return owner, packages


def read_answer(text: str) -> Installed | None:
    """Read one line of the form that is asked for; None for any other."""
    parts = text.split("\n", 1)[0].split("\t")
    if len(parts) != 3 or not all(parts):
        return None
    return Installed(name=parts[0], version=parts[1], architecture=parts[2])
