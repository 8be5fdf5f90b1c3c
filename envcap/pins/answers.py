"""What indexes have said about releases, kept for the next time: one small file for each index and release.

A released file's sha256 never changes, but files are added, withdrawn and, where an index allows it, replaced: every
answer carries the time when it was given, and who recalls it says how old it may be. A file here may be damaged, gone
or written by another process at any moment; then it is as if nothing had been said.
"""

import hashlib
import time
from pathlib import Path

import msgspec

from envcap.model.struct import Data
from envcap.pins.pages import Offer, Wanted
from envcap.redact import strip_credentials, strip_index
from envcap.remembered import recall, remember
from envcap.store import Store

_SUSPICIOUS = "@?#&"  # without these, a `/t/` segment and a token in the path no address holds a secret


class Answer(Data, frozen=True, kw_only=True):
    """What an index said about one release: the wheels it offers, none where the `status` is not 200.

    `asked_at` is in seconds since the epoch.
    """

    offers: list[Offer] = []
    status: int = 200
    asked_at: float = 0.0


class _Entry(Data, frozen=True, kw_only=True):
    index: str
    name: str
    version: str
    answer: Answer


_decoder = msgspec.json.Decoder(_Entry)


class Answers:
    """The answers of all indexes, below a folder of the user's cache."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)

    @classmethod
    def beside(cls, cache: Store) -> "Answers":
        """Give those that belong to the user's cache of downloaded files."""
        return cls(cache.root.with_name("answers"))

    def recall(self, index: str, release: Wanted, *, within: float | None = None) -> Answer | None:
        """Give what the index at that address last said of a release, unless that is more than `within` seconds ago.

        Without `within` it may be of any age. None where nothing is known. An answer from the future is none: a clock
        was wrong, so its age cannot be told.
        """
        content = recall(self._path(index, release))
        if content is None:
            return None
        try:
            entry = _decoder.decode(content)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None  # of another version of envcap
        if (entry.index, entry.name, entry.version) != (_public(index), release.name, release.version):
            return None
        age = time.time() - entry.answer.asked_at
        return entry.answer if within is None or 0 <= age <= within else None

    def remember(self, index: str, release: Wanted, answer: Answer) -> None:
        """Keep what the index at that address said. What cannot be written is only asked again next time.

        An answer whose addresses work only with a secret in them is not kept.
        """
        offers = answer.offers
        # A token in the path is in that of all or none: to look for one in each address takes long.
        if any(_holds_secret(one.url) for one in offers) or _is_stripped(offers[:1]):
            return
        entry = _Entry(index=_public(index), name=release.name, version=release.version, answer=answer)
        remember(self._path(index, release), msgspec.json.encode(entry))

    def _path(self, index: str, release: Wanted) -> str:
        key = f"{_public(index)}\n{release.name}\n{release.version}"
        return f"{self._folder}/{hashlib.sha256(key.encode(errors='surrogateescape')).hexdigest()}"


def _public(index: str) -> str:
    return strip_index(index).rstrip("/")


def _holds_secret(url: str) -> bool:
    suspicious = "/t/" in url or any(character in url for character in _SUSPICIOUS)
    return suspicious and strip_credentials(url) != url


def _is_stripped(offers: list[Offer]) -> bool:
    return any(strip_credentials(one.url) != one.url for one in offers)
