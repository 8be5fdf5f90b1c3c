"""From a distribution to one Package: the offered file that it came from, or its own files in a wheel of our making.

The decisions are in `classify.py` and `identify.py`; this module reaches out for what they need.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import msgspec
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from envcap.errors import NotRunError, RefusedError
from envcap.model.facts import Distribution
from envcap.model.gap import Gap
from envcap.model.lock import Package, Wheel
from envcap.model.struct import Data
from envcap.pins.classify import describe_origin, subject, wheel_name
from envcap.pins.configuration import place
from envcap.pins.download import Received, Source, download
from envcap.pins.identify import distinct, matching
from envcap.pins.pages import Offer
from envcap.pins.ranges import open_remote
from envcap.pins.record import Rows, installed_rows, same_contents, wheel_rows
from envcap.pins.repack import CannotRepackError, repack
from envcap.redact import strip_credentials
from envcap.store import STORE_FOLDER, Store, file_sha256

if TYPE_CHECKING:
    import requests

_CARRIED = (
    "the files installed here are carried beside the lock: the image gets what ran, but nobody else can vouch for it"
)


class Pinned(Data, frozen=True, kw_only=True):
    """Packages with an immutable reference each, and what could not be had or needs a word."""

    packages: list[Package] = []
    gaps: list[Gap] = []


class Carrier:
    """Turns distributions into packages, with the places to read from and to keep files in."""

    def __init__(self, *, prefix: Path, session: requests.Session, store: Store, cache: Store) -> None:
        self._prefix = prefix
        self._session = session
        self._store = store
        self._cache = cache

    def from_offers(self, distribution: Distribution, offers: Sequence[Offer]) -> Pinned:
        """Give the offered wheel that is the installed one; repack where none is, or where it cannot be told.

        Raises NotRunError when a file that must be looked at cannot be read.
        """
        candidates = distinct([self._with_digest(offer, distribution) for offer in matching(distribution, offers)])
        if not candidates:
            offered = "no index offers a wheel of it with the tags of the installed one"
            return self.repacked(distribution, reason=f"{offered}: it was built on this machine, or withdrawn")
        if len(candidates) > 1:
            candidates = self._proven(distribution, candidates)
        if len(candidates) != 1:
            return self.repacked(
                distribution,
                reason="ambiguous: several places offer different files under its name, and none is provably installed",
            )
        return self._referenced(distribution, candidates[0])

    def from_archive(self, distribution: Distribution, url: str) -> Pinned:
        """Give the wheel at the URL it was installed from, if that still has it."""
        address, name = strip_credentials(url), wheel_name(url)
        stated = distribution.direct_url.sha256 if distribution.direct_url else None
        problem = "its URL is not that of a wheel of its name and version"
        if _is_named(name, distribution):
            try:
                received = self._download(address, name, distribution, sha256=stated)
            except NotRunError as error:
                problem = f"the wheel that it was installed from cannot be had any more: {error.message}"
            else:
                if stated is not None or self._is_installed(received.path, distribution):
                    wheel = Wheel(name=name, sha256=received.sha256, url=address, size=received.size)
                    return Pinned(packages=[_package(distribution, wheel, origin="archive")])
                problem = f"`{address}` is not (or no longer) the wheel that is installed"
        return self.repacked(distribution, reason=problem)

    def from_file(self, distribution: Distribution, url: str) -> Pinned:
        """Give the local wheel it was installed from, if it is still there and still what is installed."""
        path = _local_path(url)
        if path.is_file() and _is_named(path.name, distribution) and self._is_installed(path, distribution):
            return Pinned(packages=[self._kept(distribution, path)])
        return self.repacked(
            distribution, reason="it was installed from a file of this machine that is gone or has changed since"
        )

    def from_source(self, distribution: Distribution) -> Pinned:
        """Give what was built here from source."""
        return self.repacked(distribution, reason=f"it was built on this machine from {describe_origin(distribution)}")

    def from_conda(self, distribution: Distribution) -> Pinned:
        """Give what conda installed."""
        return self.repacked(distribution, reason="conda installed it, and conda's archives are not pinned")

    def repacked(self, distribution: Distribution, *, reason: str) -> Pinned:
        """Give a wheel made of the installed files, and the Gap that says so."""
        try:
            made = repack(distribution, prefix=self._prefix, store=self._store)
        except CannotRepackError as error:
            gap = _gap(distribution, f"{reason}; its files cannot be carried: {error}", "the image will not have it")
            return Pinned(gaps=[gap])
        wheel = Wheel(name=made.name, sha256=made.sha256, path=_path_in_lock(made.sha256, made.name), size=made.size)
        package = _package(distribution, wheel, origin="repacked")
        return Pinned(packages=[package], gaps=[_gap(distribution, reason, _CARRIED)])

    def _with_digest(self, offer: Offer, distribution: Distribution) -> Offer:
        """Give the offer with its sha256: not every index states one."""
        if offer.sha256 is not None:
            return offer
        if offer.local:
            return msgspec.structs.replace(offer, sha256=file_sha256(_local_path(offer.url)))
        received = self._download(offer.url, offer.filename, distribution)
        return msgspec.structs.replace(offer, sha256=received.sha256, size=received.size)

    def _proven(self, distribution: Distribution, candidates: Sequence[Offer]) -> list[Offer]:
        """Give the candidates whose RECORD is the installed one; the first of those that hold the same files."""
        installed = installed_rows(Path(distribution.path))
        proven: list[tuple[Offer, Rows]] = []
        for offer in candidates:
            rows = self._rows(offer, distribution)
            if same_contents(rows, installed) and all(rows != known for _, known in proven):
                proven.append((offer, rows))
        return [offer for offer, _ in proven]

    def _rows(self, offer: Offer, distribution: Distribution) -> Rows:
        if not offer.local:
            remote = open_remote(offer.url, session=self._session)
            if remote is not None:
                return wheel_rows(remote)
            path = self._download(offer.url, offer.filename, distribution, sha256=offer.sha256).path
        else:
            path = _local_path(offer.url)
        with path.open("rb") as file:
            return wheel_rows(file)

    def _referenced(self, distribution: Distribution, offer: Offer) -> Pinned:
        """Give the package of an offer: by URL where that can be written down, else with the file beside the lock."""
        if offer.local:
            path = _local_path(offer.url)
            if file_sha256(path) != offer.sha256:
                return self.repacked(distribution, reason="the file that a local index offers is not what it says")
            return Pinned(packages=[self._kept(distribution, path)])
        address = strip_credentials(offer.url)
        if address == place(offer.url).url:
            wheel = Wheel(name=offer.filename, sha256=offer.sha256 or "", url=address, size=offer.size)
            return Pinned(packages=[_package(distribution, wheel, origin="index", index=offer.index)])
        # The URL works only with a secret in it, which must not be stored.
        received = self._download(offer.url, offer.filename, distribution, sha256=offer.sha256)
        package = self._kept(distribution, received.path)
        return Pinned(packages=[msgspec.structs.replace(package, origin="index", index=offer.index)])

    def _kept(self, distribution: Distribution, path: Path) -> Package:
        sha256 = self._store.add_file(path)
        wheel = Wheel(name=path.name, sha256=sha256, path=_path_in_lock(sha256, path.name), size=path.stat().st_size)
        return _package(distribution, wheel, origin="local")

    def _download(self, url: str, name: str, distribution: Distribution, *, sha256: str | None = None) -> Received:
        held = self._cache.find(sha256, name) if sha256 is not None else None
        if held is not None:
            return Received(path=held, sha256=sha256 or "", size=held.stat().st_size)
        source = Source(url=url, name=name, what=f"`{subject(distribution)}`", sha256=sha256)
        try:
            return download(source, session=self._session, cache=self._cache)
        except RefusedError as error:
            raise NotRunError(
                f"{source.what} from `{strip_credentials(url)}` is not the file whose sha256 was noted down: {sha256}.",
                hint="Somebody replaced it, or a proxy in between serves another file.",
            ) from error

    def _is_installed(self, wheel: Path, distribution: Distribution) -> bool:
        with wheel.open("rb") as file:
            return same_contents(wheel_rows(file), installed_rows(Path(distribution.path)))


def _package(distribution: Distribution, wheel: Wheel, *, origin: str, index: str | None = None) -> Package:
    return Package(
        name=canonicalize_name(distribution.name),
        version=distribution.version,
        wheel=wheel,
        index=index,
        installer=distribution.installer,
        # uv writes REQUESTED for every package, so from uv it says nothing.
        requested=distribution.requested and distribution.installer != "uv",
        origin=origin,
    )


def _gap(distribution: Distribution, reason: str, consequence: str) -> Gap:
    return Gap(where="packages", subject=subject(distribution), reason=reason, consequence=consequence)


def _is_named(filename: str, distribution: Distribution) -> bool:
    """Tell whether a file name is that of a wheel of this release."""
    try:
        name, version, _, _ = parse_wheel_filename(filename)
        return name == canonicalize_name(distribution.name) and version == Version(distribution.version)
    except (InvalidWheelFilename, InvalidVersion):
        return False


def _local_path(url: str) -> Path:
    return Path(unquote(urlsplit(url).path))


def _path_in_lock(sha256: str, name: str) -> str:
    return f"{STORE_FOLDER}/{sha256}/{name}"
