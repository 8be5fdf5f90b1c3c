"""Small files of the user's cache that are believed whole or not at all: a sha256 in hex, then the content.

One may be damaged, gone or replaced by another process at any moment; then it is as if nothing had been kept.
"""

import hashlib
from contextlib import suppress
from pathlib import Path

from envcap.atomic import write_cached

_DIGEST = 64  # characters of a sha256 in hex
# Seconds for which a file counts as just changed: what was read of it then may be changed again without a trace in its
# times (git's documentation calls that "racy git"). More than any file system's clock is coarse; more than the half
# minute in which Linux may still hide a second change through a memory map; some room for a file server's clock.
MOMENT = 60.0


def recall(path: str) -> bytes | None:
    """Give the content that was kept there, None where there is none or it is damaged."""
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123  (one for each package)
            content = file.readall()
    except OSError:
        return None
    if hashlib.sha256(content[_DIGEST:]).hexdigest().encode() != content[:_DIGEST]:
        return None
    return content[_DIGEST:]


def remember(path: str, content: bytes) -> None:
    """Keep the content there. What cannot be written is only learned again next time."""
    with suppress(OSError):
        write_cached(Path(path), hashlib.sha256(content).hexdigest().encode() + content)
