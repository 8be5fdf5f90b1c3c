"""From a distribution to one Package: the offered file that it came from, or its own files in a wheel of our making.

The decisions are in `classify.py` and `identify.py`; this module reaches out for what they need.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version

from envcap.errors import FileRefusedError, NotRunError
from envcap.model.facts import Distribution
from envcap.model.gap import NOT_IN_IMAGE, Gap
from envcap.model.lock import Package, Wheel
from envcap.model.struct import Data
from envcap.pins.classify import describe_origin, subject, wheel_name
from envcap.pins.configuration import place
from envcap.pins.damage import Damage, describe_change, edits_of
from envcap.pins.identify import distinct, is_reasonable, matching
from envcap.pins.offered import Offered, local_path
from envcap.pins.pages import Offer
from envcap.pins.patch import make_patch
from envcap.pins.provenance import built_checkout, describe_state
from envcap.pins.record import BROKEN_ZIP, Comparison, Rows, compare_records, installed_rows
from envcap.pins.repack import CannotRepackError, Repacked, repack
from envcap.pins.scripts import rewritten_scripts
from envcap.redact import redact_text, strip_credentials
from envcap.store import STORE_FOLDER, Store, file_sha256

_LONGEST_REASON = 200  # characters; an index may write what it likes
_CARRIED = (
    "the files installed here are carried beside the lock: the image gets what ran, but nobody else can vouch for it"
)

_LOST = NOT_IN_IMAGE
_LOST_EDITED = f"{NOT_IN_IMAGE}, neither as it is here nor as it was published; reinstall it to have it pinned"
_EDITED = "the image gets the files as they are here, and the result may depend on what was changed in them"
_UNPROVEN = "the image gets that file, and nobody has shown that its contents are what ran here"


class Pinned(Data, frozen=True, kw_only=True):
    """Packages with an immutable reference each, and what could not be had or needs a word."""

    packages: list[Package] = []
    gaps: list[Gap] = []


class Identified(Data, frozen=True, kw_only=True):
    """The offer that is installed; with a `problem` it is not proven, without an offer nothing else is left."""

    offer: Offer | None = None
    problem: str = ""

    @property
    def proven(self) -> bool:
        """Whether it is known, by content, that the offer is what is installed."""
        return self.offer is not None and not self.problem


class Carrier:
    """Turns distributions into packages, with the places to read from and to keep files in."""

    def __init__(
        self, *, prefix: Path, offered: Offered, store: Store, damages: Mapping[str, Damage] | None = None
    ) -> None:
        self._damages = damages or {}
        self._prefix = prefix
        self._offered = offered
        self._store = store

    def identify(self, distribution: Distribution, offers: Sequence[Offer]) -> Identified:
        """Tell which of the offered wheels is the installed one.

        Raises NotRunError when a file that must be looked at cannot be read.
        """
        what = subject(distribution)
        candidates = distinct([self._offered.with_digest(offer, what=what) for offer in matching(distribution, offers)])
        if not candidates:
            offered = "no index offers a wheel of it with the tags of the installed one"
            elsewhere = "or it is from an index that no setting names (`PIP_EXTRA_INDEX_URL` does)"
            return Identified(problem=f"{offered}: it was built on this machine, or withdrawn, {elsewhere}")
        return self._identified(distribution, candidates)

    def from_identified(self, distribution: Distribution, identified: Identified) -> Pinned:
        """Give the wheel that was identified; repack where none is, or where it cannot be told."""
        return self._concluded(distribution, identified)

    def from_archive(self, distribution: Distribution, url: str) -> Pinned:
        """Give the wheel at the URL it was installed from, if that still has it."""
        name = wheel_name(url)
        if not _is_named(name, distribution):
            return self.repacked(distribution, reason="its URL is not that of a wheel of its name and version")
        stated = distribution.direct_url.sha256 if distribution.direct_url else None
        offer = Offer(filename=name, url=strip_credentials(url), sha256=stated)
        try:
            received = self._offered.download(offer, what=subject(distribution))
        except NotRunError as error:
            problem = f"the wheel that it was installed from cannot be had any more: {error.message}"
            return self.repacked(distribution, reason=problem)
        offer = msgspec.structs.replace(offer, sha256=received.sha256, size=received.size)
        return self._concluded(distribution, self._identified(distribution, [offer]), origin="archive")

    def from_file(self, distribution: Distribution, url: str) -> Pinned:
        """Give the local wheel it was installed from, if it is still there and still what is installed."""
        path = local_path(url)
        if not (path.is_file() and _is_named(path.name, distribution)):
            reason = "it was installed from a file of this machine that is gone or has another name now"
            return self.repacked(distribution, reason=reason)
        offer = Offer(filename=path.name, url=path.as_uri(), sha256=file_sha256(path), size=path.stat().st_size)
        return self._concluded(distribution, self._identified(distribution, [offer]), origin="local")

    def from_source(self, distribution: Distribution) -> Pinned:
        """Give what was built here from source."""
        checkout, now = built_checkout(distribution, self._store), ""
        if checkout is not None and checkout.kind == "folder":
            now = f", which now is at {describe_state(checkout)}"
        reason = f"it was built on this machine from {describe_origin(distribution)}{now}"
        pinned = self.repacked(distribution, reason=reason)
        packages = [msgspec.structs.replace(package, checkout=checkout) for package in pinned.packages]
        return Pinned(packages=packages, gaps=pinned.gaps)

    def from_conda(self, distribution: Distribution) -> Pinned:
        """Give what conda installed."""
        return self.repacked(distribution, reason="conda installed it, and its conda package is not pinned")

    def repacked(self, distribution: Distribution, *, reason: str, patch: str | None = None) -> Pinned:
        """Give a wheel made of the installed files, and the Gap that says so.

        `patch` is what was changed in them, in the store, where the wheel that they came from is known.
        """
        damage = self._damages.get(distribution.path, Damage())
        change = describe_change(damage)
        if change and change not in reason:
            reason = f"{reason}; {change}"
        try:
            made = repack(
                distribution, prefix=self._prefix, store=self._store, missing=damage.missing, added=damage.added
            )
        except CannotRepackError as error:
            problem = f"{reason}; its files cannot be carried: {error}"
            return Pinned(gaps=[_gap(distribution, problem, _LOST_EDITED if change else _LOST)])
        carried = self.carried(distribution, made, reason=reason, consequence=_EDITED if change else _CARRIED)
        edits = edits_of(damage, patch=patch)
        return msgspec.structs.replace(
            carried, packages=[msgspec.structs.replace(one, edits=edits) for one in carried.packages]
        )

    def carried(
        self, distribution: Distribution, made: Repacked, *, reason: str, consequence: str = _CARRIED
    ) -> Pinned:
        """Give the package of a wheel that was made here, and the Gap that says so."""
        wheel = Wheel(name=made.name, sha256=made.sha256, path=_path_in_lock(made.sha256, made.name), size=made.size)
        package = _package(distribution, wheel, origin="repacked")
        return Pinned(packages=[package], gaps=[_gap(distribution, reason, consequence)])

    def proven(self, distribution: Distribution, offer: Offer) -> Pinned:
        """Give the package of an offer that was proven to be what is installed."""
        return self._referenced(distribution, offer, origin="index")

    def _identified(self, distribution: Distribution, candidates: Sequence[Offer]) -> Identified:
        """Tell which of the candidates is installed, by the RECORD inside each against the installed one."""
        metadata = Path(distribution.path)
        installed = installed_rows(metadata)
        rewritten = rewritten_scripts(metadata, installed)
        proven: list[tuple[Offer, Rows]] = []
        untold: list[Offer] = []
        problems: list[str] = []
        for offer in candidates:
            try:
                rows = self._offered.rows(offer, what=subject(distribution))
            except FileRefusedError as error:
                problems.append(error.message.removesuffix("."))
                continue
            compared = compare_records(rows, installed, rewritten=rewritten)
            if not rows or not installed or (compared.unstated and not compared.differing):
                untold.append(offer)
            elif compared.differing:
                problems.append(_difference(offer, compared))
            elif all(rows != known for _, known in proven):
                proven.append((offer, rows))
        if len(proven) == 1:
            return Identified(offer=proven[0][0])
        if not proven and len(untold) == 1 and not problems:
            whose = "the wheel's" if installed else "the installed"
            return Identified(offer=untold[0], problem=f"{whose} RECORD is missing or states no hashes")
        if len(problems) == 1 and not untold:
            return Identified(problem=problems[0])
        ambiguous = "ambiguous: several places offer different files under its name, and none is provably installed"
        return Identified(problem="; ".join([ambiguous, *problems]))

    def _concluded(self, distribution: Distribution, identified: Identified, *, origin: str = "index") -> Pinned:
        if identified.offer is None:
            return self.repacked(distribution, reason=identified.problem)
        damage = self._damages.get(distribution.path, Damage())
        if describe_change(damage):
            return self._changed(distribution, damage, identified.offer)
        pinned = self._referenced(distribution, identified.offer, origin=origin)
        if not identified.problem:
            return pinned
        reason = f"{identified.problem}, so it was found by its name and tags alone"
        packages = [msgspec.structs.replace(package, confidence="tags") for package in pinned.packages]
        return Pinned(packages=packages, gaps=[*pinned.gaps, _gap(distribution, reason, _UNPROVEN)])

    def _changed(self, distribution: Distribution, damage: Damage, offer: Offer) -> Pinned:
        """Give the package as it is here, and beside it the difference from the wheel that was installed."""
        name = f"{canonicalize_name(distribution.name)}-{distribution.version}.patch"
        title = f"{subject(distribution)} as installed, against {offer.filename} (sha256 {offer.sha256})"
        try:
            with self._offered.open(offer, what=subject(distribution)) as wheel:
                patch = make_patch(wheel, Path(distribution.path).parent, damage, title=title, prefix=self._prefix)
        except (*BROKEN_ZIP, FileRefusedError) as error:
            return self.repacked(distribution, reason=f"{describe_change(damage)}; its wheel cannot be read: {error}")
        sha256 = self._store.add_bytes(patch, name)
        shown = f"the difference from `{offer.filename}` is in {_path_in_lock(sha256, name)}"
        return self.repacked(distribution, reason=f"{describe_change(damage)}; {shown}", patch=sha256)

    def _referenced(self, distribution: Distribution, offer: Offer, *, origin: str) -> Pinned:
        """Give the package of an offer: by URL where that can be written down, else with the file beside the lock."""
        if offer.local:
            path = local_path(offer.url)
            if file_sha256(path) != offer.sha256:
                return self.repacked(distribution, reason="the file that a local index offers is not what it says")
            return Pinned(packages=[self._kept(distribution, path)])
        address = strip_credentials(offer.url)
        if address == place(offer.url).url:
            wheel = Wheel(name=offer.filename, sha256=offer.sha256 or "", url=address, size=offer.size)
            package = _package(distribution, wheel, origin=origin, index=offer.index)
            return Pinned(packages=[package], gaps=_yanked(distribution, offer))
        # The URL works only with a secret in it, which must not be stored.
        received = self._offered.download(offer, what=subject(distribution))
        package = self._kept(distribution, received.path)
        package = msgspec.structs.replace(package, origin=origin, index=offer.index)
        return Pinned(packages=[package], gaps=_yanked(distribution, offer))

    def _kept(self, distribution: Distribution, path: Path) -> Package:
        sha256 = self._store.add_file(path)
        wheel = Wheel(name=path.name, sha256=sha256, path=_path_in_lock(sha256, path.name), size=path.stat().st_size)
        return _package(distribution, wheel, origin="local")


def _yanked(distribution: Distribution, offer: Offer) -> list[Gap]:
    """Give the Gap for a file that its index has withdrawn (PEP 592): it is pinned, and may be gone tomorrow."""
    if offer.yanked is None:
        return []
    why = " ".join(redact_text(offer.yanked).split())[:_LONGEST_REASON]
    reason = f"its index has withdrawn `{offer.filename}` (yanked{f': {why}' if why else ''})"
    return [
        _gap(distribution, reason, "the image gets that file as long as the index keeps it; see why it was withdrawn")
    ]


def _difference(offer: Offer, compared: Comparison) -> str:
    where = "this machine" if offer.local else f"`{offer.index or strip_credentials(offer.url)}`"
    count = f"{len(compared.differing)} of {compared.files} files"
    return f"`{offer.filename}` of {where} is not what is installed: {count} differ, first `{compared.differing[0]}`"


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
        confidence="carried" if origin == "repacked" else "proven",
    )


def _gap(distribution: Distribution, reason: str, consequence: str) -> Gap:
    return Gap(where="packages", subject=subject(distribution), reason=reason, consequence=consequence)


def _is_named(filename: str, distribution: Distribution) -> bool:
    """Tell whether a file name is that of a wheel of this release."""
    if not is_reasonable(filename):
        return False
    try:
        name, version, _, _ = parse_wheel_filename(filename)
        return name == canonicalize_name(distribution.name) and version == Version(distribution.version)
    except ValueError:  # InvalidWheelFilename, InvalidTag, InvalidVersion
        return False


def _path_in_lock(sha256: str, name: str) -> str:
    return f"{STORE_FOLDER}/{sha256}/{name}"
