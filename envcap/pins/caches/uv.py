"""Wheels that uv has unpacked into its cache: where each came from, its sha256, and the RECORD that was in it.

A pointer `wheels-vN/INDEX/NAME/VERSION-TAGS.http` names file, address and sha256, and beside it a link leads to the
unpacked wheel in `archive-vN`. The layout changes between releases and part of a pointer is an image of memory, so
only what can be told by its form is read; the RECORD in the archive is what proves.
"""

import os
import re
from collections import defaultdict
from pathlib import Path
from urllib.parse import unquote, urlsplit

from packaging.utils import canonicalize_name

from envcap.model.struct import Data
from envcap.pins.pages import Offer, Wanted, wheels_of
from envcap.pins.record import Rows, parse_record

_SHA256 = re.compile(rb"\xa6[Ss]ha256\xd9@([0-9a-f]{64})")
_ADDRESS = re.compile(rb"https?://[!-~]+?\.whl(?![!-~])")
_ARCHIVE = re.compile(rb"[\x90-\x9f](?:[\xa1-\xbf]|\xd9.)([A-Za-z0-9_-]{8,64})[\x90-\x9f]", re.DOTALL)
_LARGEST = 1 << 16  # bytes of a pointer
_DEFAULT_INDEX = "pypi"  # how uv calls the index that is used without configuration


class Unpacked(Data, frozen=True, kw_only=True):
    """A wheel that uv has unpacked; of the offer, `index` is only known where it is the default one."""

    offer: Offer
    archive: Path

    def rows(self) -> Rows:
        """Give the rows of the RECORD that was in the wheel, none where it cannot be read."""
        try:
            records = [path for path in self.archive.glob("*.dist-info/RECORD") if path.is_file()]
            return parse_record(records[0].read_text(encoding="utf-8", errors="replace")) if len(records) == 1 else {}
        except OSError:
            return {}


class UvCache:
    """What uv has kept below its cache folder. It is walked through once, when first asked."""

    def __init__(self, folder: Path, *, default_index: str) -> None:
        self._folder = folder
        self._default_index = default_index
        self._pointers: dict[str, list[Path]] | None = None

    def wheels(self, wanted: Wanted) -> list[Unpacked]:
        """Give the unpacked wheels of a release."""
        if self._pointers is None:
            self._pointers = self._find_pointers()
        found = [self._read(path) for path in self._pointers.get(wanted.name, [])]
        known = {one.offer: one for one in found if one is not None}
        return [known[offer] for offer in wheels_of(wanted, list(known))]

    def _find_pointers(self) -> dict[str, list[Path]]:
        pointers: dict[str, list[Path]] = defaultdict(list)
        for bucket in sorted(self._folder.glob("wheels-v*"), reverse=True):
            for folder, _, names in sorted(os.walk(bucket)):  # links are not followed
                project = str(canonicalize_name(Path(folder).name))
                pointers[project] += [Path(folder, name) for name in sorted(names) if name.endswith(".http")]
        return pointers

    def _read(self, path: Path) -> Unpacked | None:
        try:
            content = path.read_bytes()[:_LARGEST]
        except OSError:
            return None
        digests, addresses = set(_SHA256.findall(content)), set(_ADDRESS.findall(content))
        archive = self._archive(path, content)
        if len(digests) != 1 or len(addresses) != 1 or archive is None:
            return None
        url = addresses.pop().decode("ascii")
        is_default = path.parent.parent.name == _DEFAULT_INDEX
        offer = Offer(
            filename=unquote(urlsplit(url).path.rpartition("/")[2]),
            url=url,
            sha256=digests.pop().decode("ascii"),
            index=self._default_index if is_default else None,
        )
        return Unpacked(offer=offer, archive=archive)

    def _archive(self, path: Path, content: bytes) -> Path | None:
        """Give the folder of the unpacked wheel: that which the pointer names, else that which the link leads to."""
        match = _ARCHIVE.match(content)
        named = sorted(self._folder.glob(f"archive-v*/{match[1].decode('ascii')}")) if match else []
        for folder in [*named, path.with_suffix("")]:
            if folder.is_dir():
                return folder
        return None
