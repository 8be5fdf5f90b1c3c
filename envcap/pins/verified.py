"""What was read of installed files before: as long as nothing about a file has changed, its digests are known.

The rule is that of git's index (its documentation calls it "racy git"): a file that was changed within the last moments
may be changed again without a trace in its times, so nothing is kept of it. A file with the memory may be damaged, gone
or replaced by another process at any moment; then everything is read again.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from envcap.model.facts import Distribution
from envcap.pins.claims import Claimed, Identity
from envcap.pins.contents import Digests
from envcap.remembered import MOMENT, recall, remember
from envcap.store import Store


class _Known(msgspec.Struct, frozen=True, gc=False, array_like=True):
    identity: Identity
    algorithms: str
    digests: list[str]


class _Kept(msgspec.Struct, frozen=True, array_like=True):
    format: int
    site: str
    files: dict[str, _Known]


_FORMAT = 1
_decoder = msgspec.msgpack.Decoder(_Kept)
_encoder = msgspec.msgpack.Encoder()


class Verified:
    """The memory of one environment, below a folder of the user's cache."""

    def __init__(self, folder: Path, distributions: Iterable[Distribution], *, moment: float = MOMENT) -> None:
        self._site = "\n".join(sorted({os.path.dirname(one.path) for one in distributions}))  # noqa: PTH120
        self._file = str(folder / hashlib.sha256(os.fsencode(self._site)).hexdigest())
        self._moment = moment
        self._held: dict[str, _Known] = {}

    @classmethod
    def beside(cls, cache: Store, distributions: Iterable[Distribution]) -> "Verified":
        """Give the memory that belongs to the user's cache of downloaded files."""
        return cls(cache.root.with_name("verified"), distributions)

    def recall(self, files: Iterable[Claimed]) -> Digests:
        """Give the digests of those files that have not changed since they were read."""
        self._held = self._read()
        found: Digests = {}
        for file in files:
            known = self._held.get(file.path)
            if known is not None and known.identity == file.identity and known.algorithms == file.algorithms:
                found[file.path] = known.digests
        return found

    def remember(self, files: Iterable[Claimed], digests: Mapping[str, list[str]], *, looked_at: float) -> None:
        """Keep what was read of these files, whose identities were taken at `looked_at`, in seconds since the epoch.

        What was known of other files is forgotten. What cannot be written is only read again next time.
        """
        latest = int((looked_at - self._moment) * 1e9)
        kept = {
            file.path: _Known(file.identity, file.algorithms, digests[file.path])
            for file in files
            if file.identity is not None
            and digests.get(file.path)
            and max(file.identity.modified, file.identity.changed) < latest
        }
        if kept == self._held:
            return
        try:
            content = _encoder.encode(_Kept(_FORMAT, self._site, kept))
        except UnicodeEncodeError:
            return  # a file name that is no UTF-8
        remember(self._file, content)

    def _read(self) -> dict[str, _Known]:
        content = recall(self._file)
        if content is None:
            return {}
        try:
            kept = _decoder.decode(content)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return {}  # of another version of envcap
        return kept.files if (kept.format, kept.site) == (_FORMAT, self._site) else {}
