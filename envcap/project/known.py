"""What was read of data files before: as long as nothing about a file has changed, its digests are known.

One small file for each declared input in the user's cache, under the digest of the input's real path. Nothing is kept
of a file that was changed in the last moments before it was read: it may be changed again without a trace in its times.
"""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

from envcap.pointers import Keeper
from envcap.project.digests import Digests, Identity
from envcap.remembered import MOMENT, recall, remember


class _Kept(msgspec.Struct, frozen=True, array_like=True):
    format: int
    root: str
    # sha256, whether lines were wanted, their digest, whose pointer
    files: list[tuple[Identity, str, bool, str | None, Keeper | None]]


_FORMAT = 2
_decoder = msgspec.msgpack.Decoder(_Kept)


class KnownDigests:
    """The memory of all inputs, below a folder of the user's cache; one that is not `trusted` is only written."""

    def __init__(self, folder: Path, *, trusted: bool = True, moment: float = MOMENT) -> None:
        self._folder = folder
        self._trusted = trusted
        self._moment = moment

    def recall(self, root: Path) -> dict[Identity, Digests]:
        """Give what is known of the files of an input, by their identity now."""
        content = recall(self._file(root)) if self._trusted else None
        if content is None:
            return {}
        try:
            kept = _decoder.decode(content)
            if (kept.format, kept.root) != (_FORMAT, _name(root)):
                return {}
            found = [_digests(*one) for one in kept.files]
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return {}  # of another version of envcap
        return {one.identity: one for one in found}

    def remember(self, root: Path, files: Iterable[Digests], *, looked_at: float) -> None:
        """Keep what the files of an input gave, whose reading began at `looked_at`, in seconds since the epoch.

        What was known of other files of it is forgotten.
        """
        latest = int((looked_at - self._moment) * 1e9)
        settled = [
            (one.identity, one.sha256, one.with_lines, one.lines, one.pointer)
            for one in files
            if _changed(one) < latest
        ]
        kept = _Kept(_FORMAT, _name(root), settled)
        remember(self._file(root), msgspec.msgpack.encode(kept))

    def _file(self, root: Path) -> str:
        return str(self._folder / hashlib.sha256(_name(root).encode()).hexdigest())


def _digests(
    identity: Identity,
    sha256: str,
    with_lines: bool,  # noqa: FBT001  (as the tuple has it)
    lines: str | None,
    pointer: Keeper | None,
) -> Digests:
    return Digests(
        identity=identity, size=identity[-1], sha256=sha256, with_lines=with_lines, lines=lines, pointer=pointer
    )


def _changed(one: Digests) -> int:
    _, _, modified, changed, _ = one.identity
    return max(modified, changed)


def _name(root: Path) -> str:
    return os.fsencode(root).hex() if not str(root).isascii() else str(root)
