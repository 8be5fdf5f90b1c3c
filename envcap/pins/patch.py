"""The difference between a published wheel and what was edited after it was installed, for people to read.

Text is a unified diff that `patch -p1` and `git apply` take in an unpacked wheel; of all else there are two digests.
"""

import difflib
import hashlib
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from envcap.pins.damage import Damage
from envcap.pins.repack import with_plain_shebang

_LARGEST_TEXT = 1 << 20  # bytes; comparing line by line takes more than linear time


def make_patch(wheel: IO[bytes], site: Path, damage: Damage, *, title: str) -> bytes:
    """Give the patch from the files in `wheel` to the installed ones below `site`, under a line of `title`.

    The same bytes each time. Raises zipfile.BadZipFile when the wheel cannot be read, OSError when a file cannot.
    """
    parts = [f"# {title}\n".encode()]
    with zipfile.ZipFile(wheel) as archive:
        names = _names(archive)
        for path in sorted({*damage.edited, *damage.missing}):
            script = path.startswith(("../", "/"))
            name = names.get(f"bin/{path.rpartition('/')[2]}" if script else path)
            before = archive.read(name) if name is not None else None
            after = (site / path).read_bytes() if path in damage.edited else None
            if script and after is not None:
                after = with_plain_shebang(after)
            parts += _part(_printable(name if script and name else path), before, after)
    return b"".join(parts)


def _names(archive: zipfile.ZipFile) -> dict[str, str]:
    """Give the name inside the wheel of each file below the site directory, and of each script, as `bin/NAME`."""
    names = archive.namelist()
    scripts = {re.sub(r"^[^/]+\.data/scripts/", "bin/", name): name for name in names if ".data/scripts/" in name}
    moved = {re.sub(r"^[^/]+\.data/(purelib|platlib)/", "", name): name for name in names}
    return {**moved, **{name: name for name in names}, **scripts}


def _part(path: str, before: bytes | None, after: bytes | None) -> Iterator[bytes]:
    if before is not None and after is not None and _is_text(before) and _is_text(after):
        lines = difflib.diff_bytes(
            difflib.unified_diff, _lines(before), _lines(after), f"a/{path}".encode(), f"b/{path}".encode()
        )
        for line in lines:
            yield line if line.endswith(b"\n") else line + b"\n\\ No newline at end of file\n"
        return
    yield f"# not shown as text: {path}\n".encode()
    yield f"#   published {_described(before)}\n#   installed {_described(after)}\n".encode()


def _lines(content: bytes) -> list[bytes]:
    return re.findall(rb"[^\n]*\n|[^\n]+", content)


def _is_text(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return b"\0" not in content and len(content) <= _LARGEST_TEXT


def _described(content: bytes | None) -> str:
    return "nothing" if content is None else f"{len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}"


def _printable(path: str) -> str:
    return "".join(one if one.isprintable() else "?" for one in path)
