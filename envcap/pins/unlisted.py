"""Distributions without a RECORD to be believed: eggs, egg-info, what the operating system installed.

Their files are compared with the wheels that an index offers of the same version; what no wheel is, is carried.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from packaging.tags import parse_tag
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from envcap.errors import FileRefusedError
from envcap.model.facts import Distribution, Facts
from envcap.model.gap import NOT_IN_IMAGE, Gap
from envcap.pins.carry import Carrier, Pinned
from envcap.pins.classify import Kind, not_carried, subject
from envcap.pins.debian import InstalledByDpkg
from envcap.pins.identify import distinct, matching
from envcap.pins.listing import Listing, list_files, stays_inside
from envcap.pins.offered import Offered
from envcap.pins.pages import Offer
from envcap.pins.record import compare_records, encode_digest
from envcap.pins.repack import CannotRepackError, Member, keep
from envcap.regular import LARGEST_METADATA, read_regular
from envcap.store import Store

_LARGEST_EGG = 2 << 30  # bytes of an archive, unpacked
_MOST_FILES = 200_000
_BROKEN = (zipfile.BadZipFile, zlib.error, OSError, ValueError, EOFError, NotImplementedError, RuntimeError)
_NO_RECORD = "it has no RECORD of its files"
_WHO = {
    "system": "the operating system's package manager installed it",
    "unrecorded": "its installer left no RECORD of its files (egg-info)",
}
_KEPT_METADATA = ("entry_points.txt", "top_level.txt", "namespace_packages.txt")


class Unlisted:
    """Turns such distributions into packages."""

    def __init__(
        self, facts: Facts, *, carrier: Carrier, offered: Offered, store: Store, owned: frozenset[str]
    ) -> None:
        self._tag = facts.interpreter.tag
        self._carrier = carrier
        self._offered = offered
        self._store = store
        self._owned = owned
        self._dpkg = InstalledByDpkg()
        self.claimed: set[Path] = set()  # the files of every distribution that was looked at

    def pin(self, distribution: Distribution, kind: Kind, offers: Sequence[Offer]) -> Pinned | None:
        """Give the offered wheel whose files are all here as they are in it, else a wheel of the installed files.

        A Gap alone where nothing lists the files; None where that is so of a .dist-info, which has tags to go by.
        """
        try:
            with self._opened(Path(distribution.path)) as metadata:
                listing = list_files(metadata, dpkg=self._dpkg, owned=self._owned)
                self.claimed.update(listing.files.values() if listing is not None else ())
                offer, alike = self._proven(distribution, metadata.parent, listing, offers)
                if offer is not None:
                    return self._carrier.proven(distribution, offer)
                listing = listing or alike
                if listing is not None and listing.files:
                    return self._carried(distribution, kind, metadata, listing)
        except CannotRepackError as error:
            reason = f"{_WHO.get(kind, _NO_RECORD)}; its files cannot be carried: {error}"
            consequence = NOT_IN_IMAGE
            return Pinned(
                gaps=[Gap(where="packages", subject=subject(distribution), reason=reason, consequence=consequence)]
            )
        if distribution.layout == "dist-info" and kind == "index":
            return None
        return Pinned(gaps=[not_carried(distribution, kind)])

    @contextmanager
    def _opened(self, metadata: Path) -> Iterator[Path]:
        """Give the metadata in a folder: a zipped egg is unpacked for as long as the block runs."""
        if not metadata.parent.is_file():
            yield metadata
            return
        self._store.root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="egg", dir=self._store.root) as folder:
            try:
                with zipfile.ZipFile(metadata.parent) as archive:
                    sizes = [entry.file_size for entry in archive.infolist()]
                    if sum(sizes) > _LARGEST_EGG or len(sizes) > _MOST_FILES:
                        raise CannotRepackError("its egg holds too much")
                    archive.extractall(folder)
            except _BROKEN as error:
                raise CannotRepackError(f"its egg cannot be unpacked: {error}") from error
            yield Path(folder, metadata.name)

    def _proven(
        self, distribution: Distribution, site: Path, listing: Listing | None, offers: Sequence[Offer]
    ) -> tuple[Offer | None, Listing | None]:
        """Give the offer whose files, its metadata left aside, are those of the distribution, byte for byte.

        Without one, and without any list, the files that the first offer names and that are here.
        """
        alike = None
        listed = listing.files if listing is not None else {}
        for offer in distinct(self._candidates(distribution, offers)):
            try:
                stated = self._offered.with_digest(offer, what=subject(distribution))
                rows = self._offered.rows(stated, what=subject(distribution))
            except FileRefusedError:
                continue
            payload = {path: digest for path, digest in rows.items() if ".dist-info/" not in path}
            digests = _digests({path: site / path for path in payload if is_inside(path)} | dict(listed))
            if listing is None:
                self.claimed.update(site / path for path in digests)
            if payload and compare_records(payload, digests).proves:
                return stated, None
            if alike is None and digests:
                source = f"the list of `{offer.filename}`, which holds other contents"
                files = {path: site / path for path in digests if stays_inside(site / path, site)}
                alike = Listing(files=files, source=source)
        return None, alike

    def _candidates(self, distribution: Distribution, offers: Sequence[Offer]) -> list[Offer]:
        if distribution.tags:
            return matching(distribution, offers)
        fitting = parse_tag(self._tag)
        interpreters = {tag.interpreter for tag in fitting}
        architecture = self._tag.partition("linux_")[2]
        return [offer for offer in offers if _could_be_here(offer.filename, interpreters, architecture)]

    def _carried(self, distribution: Distribution, kind: Kind, metadata: Path, listing: Listing) -> Pinned:
        stem = f"{canonicalize_name(distribution.name).replace('-', '_')}-{distribution.version.replace('-', '_')}"
        compiled = any(path.endswith(".so") for path in listing.files)
        tag = self._tag if compiled else "py3-none-any"
        self._store.root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="metadata", dir=self._store.root) as folder:
            members = [
                *(Member(name=name, source=path) for name, path in listing.files.items()),
                *(
                    Member(name=f"{stem}.data/scripts/{path.name}", source=path, script=True)
                    for path in listing.scripts
                ),
                *written_metadata(distribution, metadata, Path(folder), stem=stem, tag=tag),
            ]
            made = keep(members, name=f"{stem}-{tag}.whl", record=f"{stem}.dist-info/RECORD", store=self._store)
        reason = f"{_WHO.get(kind, _NO_RECORD)}; they are carried by {listing.source}"
        if compiled and kind == "system":
            reason += "; it is compiled against libraries of this operating system"
        if listing.outside:
            reason += f"; not carried: {len(listing.outside)} files elsewhere, first `{listing.outside[0]}`"
        return self._carrier.carried(distribution, made, reason=reason)


def written_metadata(
    distribution: Distribution, metadata: Path, folder: Path, *, stem: str, tag: str
) -> Iterator[Member]:
    """Write the .dist-info of the wheel (PEP 427), but for RECORD, from what the installed metadata says."""
    own = "METADATA" if distribution.layout == "dist-info" else "PKG-INFO"
    try:
        told = read_regular(metadata / own if metadata.is_dir() else metadata, limit=LARGEST_METADATA)
    except OSError as error:
        raise CannotRepackError(f"its {own} cannot be read: {error.strerror}") from error
    pure = "true" if tag.endswith("-any") else "false"
    wheel = f"Wheel-Version: 1.0\nGenerator: envcap\nRoot-Is-Purelib: {pure}\nTag: {tag}\n"
    texts = {"METADATA": with_requirements(told, distribution.requires), "WHEEL": wheel.encode()}
    for name, content in texts.items():
        (folder / name).write_bytes(content)
        yield Member(name=f"{stem}.dist-info/{name}", source=folder / name)
    for name in _KEPT_METADATA:
        if (metadata / name).is_file():
            yield Member(name=f"{stem}.dist-info/{name}", source=metadata / name)


def with_requirements(metadata: bytes, requires: Sequence[str]) -> bytes:
    """Give METADATA with a `Requires-Dist` line for each of `requires`, where it has none: PKG-INFO seldom does."""
    headers, blank, body = metadata.replace(b"\r\n", b"\n").partition(b"\n\n")
    if not requires or b"\nrequires-dist:" in headers.lower():
        return metadata
    lines = "".join(f"\nRequires-Dist: {requirement}" for requirement in requires)
    return headers.rstrip(b"\n") + lines.encode() + (blank or b"\n") + body


def _could_be_here(filename: str, interpreters: set[str], architecture: str) -> bool:
    try:
        tags = parse_wheel_filename(filename)[3]
    except InvalidWheelFilename:
        return False
    return any(
        tag.platform == "any"
        or (tag.interpreter in interpreters and "linux" in tag.platform and tag.platform.endswith(architecture))
        for tag in tags
    )


def is_inside(path: str) -> bool:
    """Tell whether a path of a foreign RECORD stays below the folder that it is put into."""
    return not path.startswith("/") and ".." not in path.split("/") and "\0" not in path


def _digests(files: Mapping[str, Path]) -> dict[str, str]:
    """Give the digest of each file that is there, as RECORD writes it."""
    found = {}
    for name, path in files.items():
        digest = hashlib.sha256()
        try:
            with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as file:  # noqa: PTH123
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    continue  # a pipe or a device
                while piece := file.read(1 << 18):
                    digest.update(piece)
        except (OSError, ValueError):
            continue
        found[name] = encode_digest(digest.digest())
    return found


def owned_paths(distributions: Sequence[Distribution]) -> frozenset[str]:
    """Give the paths that some distribution's RECORD claims, where a distribution has none: else nobody asks."""
    from envcap.pins.record import installed_rows

    if all(one.record for one in distributions):
        return frozenset()
    return frozenset(
        os.path.normpath(Path(one.path).parent / row)
        for one in distributions
        if one.record
        for row in installed_rows(Path(one.path))
    )
