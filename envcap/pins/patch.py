"""The difference between a published wheel and what was changed after it was installed, for people to read.

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
from envcap.pins.scripts import with_plain_shebang

_LARGEST_TEXT = 1 << 20  # bytes; comparing line by line takes more than linear time
_MOST_WHOLE = 4 << 20  # bytes of files that came or went, shown in full: of half a package nobody reads them


def make_patch(wheel: IO[bytes], site: Path, damage: Damage, *, title: str, prefix: Path) -> bytes:
    """Give the patch from the files in `wheel` to the installed ones below `site`, under a line of `title`.

    Only files of the environment at `prefix` are shown: a RECORD may name any other. The same bytes each time. Raises
    `record.BROKEN_ZIP` when the wheel cannot be read, OSError among it when a file cannot.
    """
    parts = [f"# {title}\n".encode()]
    with zipfile.ZipFile(wheel) as archive:
        names = _names(archive)
        whole = 0
        for path in sorted({*damage.edited, *damage.missing, *damage.added}):
            script = path.startswith(("../", "/"))
            name = names.get(f"bin/{path.rpartition('/')[2]}" if script else path)
            before = _of_wheel(archive, name) if name is not None else None
            after = _of_disk(site / path, script=script) if path not in damage.missing else None
            if (before is None) != (after is None):
                whole += len(before or after or b"")
                before, after = (before, after) if whole <= _MOST_WHOLE else (_described(before), _described(after))
            if not _is_inside(site / path, prefix, site):
                before, after = "not shown", "outside the environment"
            parts += _part(_printable(name if script and name else path), before, after)
    return b"".join(parts)


def _of_wheel(archive: zipfile.ZipFile, name: str) -> bytes | str:
    with archive.open(name) as file:
        return _content(file)


def _of_disk(path: Path, *, script: bool) -> bytes | str:
    with path.open("rb") as file:
        content = _content(file)
    return with_plain_shebang(content) if script and isinstance(content, bytes) else content


def _content(file: IO[bytes]) -> bytes | str:
    """Give what a file holds, or words for it where it is too long to be compared."""
    first = file.read(_LARGEST_TEXT + 1)
    if len(first) <= _LARGEST_TEXT:
        return first
    digest, size = hashlib.sha256(first), len(first)
    while piece := file.read(1 << 20):
        digest.update(piece)
        size += len(piece)
    return f"{size} bytes, sha256 {digest.hexdigest()}"


def _is_inside(path: Path, prefix: Path, site: Path) -> bool:
    places = {prefix.resolve(), site.resolve()}
    return any(path.resolve().is_relative_to(place) for place in places)


def _names(archive: zipfile.ZipFile) -> dict[str, str]:
    """Give the name inside the wheel of each file below the site directory, and of each script, as `bin/NAME`."""
    names = archive.namelist()
    scripts = {re.sub(r"^[^/]+\.data/scripts/", "bin/", name): name for name in names if ".data/scripts/" in name}
    moved = {re.sub(r"^[^/]+\.data/(purelib|platlib)/", "", name): name for name in names}
    return {**moved, **{name: name for name in names}, **scripts}


def _part(path: str, before: bytes | str | None, after: bytes | str | None) -> Iterator[bytes]:
    if _is_text(before) and _is_text(after) and (before is not None or after is not None):
        old, new = (f"a/{path}".encode(), f"b/{path}".encode())
        if before is None or after is None:  # without these two lines an empty file would leave no trace
            yield b"diff --git " + old + b" " + new + b"\n"
            yield b"new file mode 100644\n" if before is None else b"deleted file mode 100644\n"
        old, new = (b"/dev/null" if before is None else old), (b"/dev/null" if after is None else new)
        for line in difflib.diff_bytes(difflib.unified_diff, _lines(before), _lines(after), old, new):
            yield line if line.endswith(b"\n") else line + b"\n\\ No newline at end of file\n"
        return
    yield f"# not shown as text: {path}\n".encode()
    yield f"#   published {_described(before)}\n#   installed {_described(after)}\n".encode()


def _lines(content: bytes | str | None) -> list[bytes]:
    return re.findall(rb"[^\n]*\n|[^\n]+", content) if isinstance(content, bytes) else []


def _is_text(content: bytes | str | None) -> bool:
    """Tell whether lines can be shown; of a file that is not there, there are none."""
    if not isinstance(content, bytes):
        return content is None
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return b"\0" not in content and len(content) <= _LARGEST_TEXT


def _described(content: bytes | str | None) -> str:
    if isinstance(content, str):
        return content
    return "nothing" if content is None else f"{len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}"


def _printable(path: str) -> str:
    return "".join(one if one.isprintable() else "?" for one in path)
