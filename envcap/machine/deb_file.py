"""A `.deb` file as it is: which programs of it run when it is installed. Nothing of it is run here.

Source: deb(5) for the format, deb-preinst(5), deb-postinst(5) and debconf's `config` for what runs.
"""

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

_MAGIC = b"!<arch>\n"
_HEADER = 60  # bytes before each member: its name, times, owners, mode, size
_SCRIPTS = {"preinst", "postinst", "config"}
# Whose scripts give the same each time, as a test sees: this one compiles what /etc/locale.gen lists.
_REPEATABLE = {"locales"}
_LARGEST = 64 << 20  # bytes of the part that holds scripts


def os_scripts(folder: Path) -> list[str]:
    """Tell, in words, the packages below `folder` with scripts, and those whose scripts cannot be looked for.

    Such a script may draw random numbers or write the time. Without one, dpkg lays files into place and nothing more:
    the triggers that it then runs are the base's own (`ldconfig` in Debian's and Ubuntu's).
    """
    found = []
    for path in sorted(folder.glob("*.deb")):
        name = path.name.partition("-")[2].partition("_")[0]
        runs = name not in _REPEATABLE and has_scripts(path)
        if runs is not False:
            found.append(f"{'the' if runs else 'a possible'} installation script of `{name}`")
    return found


def has_scripts(path: Path) -> bool | None:
    """Tell whether the package runs something when it is installed; None where this Python cannot read its packing.

    Ubuntu packs with zstandard, which Python knows from 3.14 on.
    """
    try:
        with path.open("rb") as file:
            for name, size in _members(file):
                if name.startswith("control.tar") and size <= _LARGEST:
                    with tarfile.open(fileobj=io.BytesIO(file.read(size))) as members:
                        return any(member.name.removeprefix("./") in _SCRIPTS for member in members)
    except (OSError, ValueError, EOFError, tarfile.TarError):
        return None
    return None


def _members(file: IO[bytes]) -> Iterator[tuple[str, int]]:
    """Give name and size of each member of an `ar` archive, the file at its first byte."""
    if file.read(len(_MAGIC)) != _MAGIC:
        return
    while len(header := file.read(_HEADER)) == _HEADER:
        size, begin = int(header[48:58]), file.tell()
        yield header[:16].decode("ascii", errors="replace").rstrip(" /"), size
        file.seek(begin + size + size % 2)
