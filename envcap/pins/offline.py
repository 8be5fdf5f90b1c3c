"""Pinning without a network: what this machine still knows of the wheels that its packages were installed from.

Asked in this order: what envcap was told by indexes before, the index pages and wheels that pip has kept, the wheels
that uv has unpacked, folders that pip is configured with, and the wheels that envcap itself keeps. Each is a hint; as
online, the RECORD inside a wheel against the installed one is the proof. What nothing proves is carried.
"""

import shutil
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import msgspec
from packaging.utils import canonicalize_name

from envcap.errors import FileRefusedError, NotRunError
from envcap.model.facts import Distribution, Facts
from envcap.model.lock import Package
from envcap.model.progress import Progress, Tell
from envcap.pins.answers import Answers
from envcap.pins.caches.folders import pip_cache_folder, uv_cache_folder
from envcap.pins.caches.pip_http import PipAnswers
from envcap.pins.caches.pip_wheels import PipWheels
from envcap.pins.caches.uv import UvCache
from envcap.pins.carry import Carrier, Identified, Pinned
from envcap.pins.classify import classify
from envcap.pins.configuration import Configuration, place
from envcap.pins.connection import Connection
from envcap.pins.direct import Reply
from envcap.pins.identify import matching
from envcap.pins.index import look_up
from envcap.pins.offered import Offered
from envcap.pins.others import Others
from envcap.pins.pages import Offer, Wanted
from envcap.pins.pip import conclude, find_damages
from envcap.pins.record import Rows, compare_records, installed_rows, wheel_rows
from envcap.pins.repack import CannotRepackError, wheel_file_name
from envcap.pins.verified import Verified
from envcap.redact import strip_credentials
from envcap.store import Store, file_sha256

_NOT_HERE = "nothing on this machine tells which wheel it came from, and `--offline` asks nobody else"


class NoConnection(Connection):
    """Reads from nowhere: whatever would reach out is refused before it does."""

    def read(self, url: str, *, headers: dict[str, str]) -> Reply:
        """Raise FileRefusedError."""
        del headers
        self._refuse(url)

    def read_range(self, url: str, extent: str) -> Reply | None:
        """Raise FileRefusedError."""
        del extent
        self._refuse(url)

    @property
    def session(self) -> NoReturn:
        """Raise FileRefusedError."""
        self._refuse("")

    def _refuse(self, url: str) -> NoReturn:
        shown = f"`{strip_credentials(url)}` is" if url else "its file is"
        raise FileRefusedError(f"{shown} not on this machine, and `--offline` allows no other.")


def pin_offline(
    facts: Facts,
    *,
    configuration: Configuration,
    store: Store,
    cache: Store,
    environ: Mapping[str, str],
    tell: Tell,
    refresh: bool = False,
    left_out: Sequence[Path] = (),
) -> Pinned:
    """Give what `pin` gives, from this machine alone. Files that `build` will want are copied to `cache`.

    Raises NotRunError when a configured folder cannot be read.
    """
    classified = [
        (distribution, classify(distribution)) for distribution in facts.distributions if distribution.conda is None
    ]
    verified = Verified.beside(cache, facts.distributions)
    damages = find_damages(facts.distributions, classified, verified=verified, refresh=refresh, tell=tell)
    with NoConnection(configuration) as connection:
        machine = _Machine(connection, cache=cache, environ=environ)
        offered = _Known(connection=connection, cache=cache, machine=machine)
        carrier = Carrier(prefix=Path(facts.prefix), offered=offered, store=store, damages=damages)
        identified: dict[str, Identified] = {}
        of_index = [one for one, kind in classified if kind == "index"]
        for number, distribution in enumerate(of_index, start=1):
            identified[distribution.path] = machine.identify(distribution, carrier)
            tell(Progress(kind="count", text="searching caches", done=number, total=len(of_index)))
        for distribution, kind in classified:
            if kind == "archive" and distribution.direct_url is not None:
                machine.keep(distribution.direct_url.url, distribution.direct_url.sha256)
        others = Others(facts, carrier=carrier, offered=offered, store=store, offers={}, left_out=left_out)
        pinned = conclude(classified, carrier=carrier, others=others, identified=identified, damages=damages)
    pinned = msgspec.structs.replace(pinned, packages=[_with_size(package, cache) for package in pinned.packages])
    distant = [
        one
        for one in pinned.packages
        if one.wheel.path is None and not cache.path(one.wheel.sha256, one.wheel.name).is_file()
    ]
    if distant:
        names = ", ".join(package.name for package in distant[:6]) + (" …" if len(distant) > 6 else "")
        text = f"{len(distant)} packages are pinned, but their files are not on this machine: build will load {names}"
        tell(Progress(kind="notice", text=text))
    return pinned


class _Machine:
    """The places on this machine where a wheel, or word of it, may be."""

    def __init__(self, connection: Connection, *, cache: Store, environ: Mapping[str, str]) -> None:
        self._connection, self._cache = connection, cache
        self._answers = Answers.beside(cache)
        folder = pip_cache_folder(environ)
        self._pip = PipAnswers(folder / "http-v2")
        self._built = PipWheels(folder / "wheels")
        remote = [place for place in connection.configuration.indexes if not place.local]
        self._remote = remote
        self._uv = UvCache(uv_cache_folder(environ), default_index=remote[0].public if remote else "")
        self._unpacked: dict[tuple[str, str], Rows] = {}
        self._archives: dict[str, list[Path]] | None = None
        self._files: list[Path] | None = None

    def identify(self, distribution: Distribution, carrier: Carrier) -> Identified:
        """Give the wheel that the distribution is, or what to say where nothing tells."""
        wanted = Wanted(name=canonicalize_name(distribution.name), version=distribution.version)
        installed = installed_rows(Path(distribution.path))
        identified = carrier.identify(distribution, matching(distribution, self._offers(wanted)))
        if identified.proven:
            return identified
        offer = self._by_content(distribution, installed)
        if offer is not None:
            return carrier.identify(distribution, [offer])
        origin = self._built.built_from(wanted, installed)
        if origin is not None:
            return Identified(problem=f"it was built on this machine from {origin}")
        if identified.offer is not None or matching(distribution, self._offers(wanted)):
            return identified
        return Identified(problem=_NOT_HERE)

    def rows(self, offer: Offer) -> Rows:
        """Give the rows of a wheel that is here in another form than a file of its name."""
        return self._unpacked.get((offer.url, offer.sha256 or ""), {})

    def keep(self, url: str, sha256: str | None) -> None:
        """Put the file that pip has kept for an address into the cache, if it is what was stated."""
        bare = place(url).url
        body = self._pip.file(bare)
        if body is not None and sha256 is not None and file_sha256(body) == sha256:
            self._copy(body, bare.rpartition("/")[2])

    def bring(self, offer: Offer) -> None:
        """Put the file of an offer into the cache, if pip has it."""
        body = self._pip.file(offer.url)
        if body is not None and offer.sha256 is not None and file_sha256(body) == offer.sha256:
            self._copy(body, offer.filename)

    def _offers(self, wanted: Wanted) -> list[Offer]:
        """Give every wheel of the release that some place here tells of, those with an address and sha256 first."""
        offers: list[Offer] = []
        for index in self._remote:
            answer = self._answers.recall(index.url, wanted)
            offers += answer.offers if answer is not None else []
            offers += self._pip.offers(index.url, wanted, public=index.public)
        for unpacked in self._uv.wheels(wanted):
            self._unpacked[unpacked.offer.url, unpacked.offer.sha256 or ""] = unpacked.rows()
            offers.append(self._with_index(unpacked.offer, offers))
        return [
            *(offer for offer in map(self._with_digest, offers) if offer is not None),
            *self._in_folders(wanted),
            *self._downloaded(wanted),
        ]

    def _with_index(self, offer: Offer, others: Sequence[Offer]) -> Offer:
        same = [one for one in others if (one.url, one.sha256) == (offer.url, offer.sha256)]
        return same[0] if same else offer

    def _with_digest(self, offer: Offer) -> Offer | None:
        """Give the offer with a sha256 and an address that needs no secret; None where there is none."""
        if strip_credentials(offer.url) != place(offer.url).url:
            return None
        if offer.sha256 is not None:
            return offer
        body = self._pip.file(offer.url)
        return None if body is None else msgspec.structs.replace(offer, sha256=file_sha256(body))

    def _in_folders(self, wanted: Wanted) -> list[Offer]:
        configuration = self._connection.configuration
        local = msgspec.structs.replace(
            configuration,
            indexes=[index for index in configuration.indexes if index.local],
            find_links=[links for links in configuration.find_links if links.local],
        )
        with NoConnection(local) as connection:
            return look_up([wanted], connection=connection, tell=lambda _: None)[wanted].offers

    def _downloaded(self, wanted: Wanted) -> list[Offer]:
        """Give the wheels that envcap has downloaded before, by their names."""
        stem = f"{wanted.name.replace('-', '_')}-{wanted.version}-"
        if self._files is None:
            self._files = sorted(self._cache.root.glob("*/*.whl"))
        paths = [path for path in self._files if path.name.lower().startswith(stem.lower())]
        return [
            Offer(filename=path.name, url=path.as_uri(), sha256=path.parent.name, size=path.stat().st_size)
            for path in paths
            if self._cache.find(path.parent.name, path.name) is not None
        ]

    def _by_content(self, distribution: Distribution, installed: Rows) -> Offer | None:
        """Give the wheel among pip's kept bodies that holds what is installed; its address is not known."""
        for body in self._kept_archives().get(_own_digest(installed), []):
            with body.open("rb") as file:
                proven = compare_records(wheel_rows(file), installed).proves
            if proven:
                with suppress(CannotRepackError):
                    path = self._copy(body, wheel_file_name(distribution))
                    return Offer(
                        filename=path.name, url=path.as_uri(), sha256=path.parent.name, size=path.stat().st_size
                    )
        return None

    def _kept_archives(self) -> dict[str, list[Path]]:
        """Give pip's kept wheels by the digest of their METADATA, found when first needed."""
        if self._archives is None:
            self._archives = defaultdict(list)
            for body in self._pip.archives():
                with body.open("rb") as file:
                    self._archives[_own_digest(wheel_rows(file))].append(body)
            self._archives.pop("", None)
        return self._archives

    def _copy(self, body: Path, name: str) -> Path:
        with body.open("rb") as file, self._cache.receive(name) as incoming:
            shutil.copyfileobj(file, incoming, 1 << 20)
        return self._cache.path(incoming.sha256, name)


def _with_size(package: Package, cache: Store) -> Package:
    """Give the package with the size of its file, where that is in the cache: HTML pages state none."""
    path = cache.path(package.wheel.sha256, package.wheel.name)
    if package.wheel.size is not None or not path.is_file():
        return package
    return msgspec.structs.replace(package, wheel=msgspec.structs.replace(package.wheel, size=path.stat().st_size))


def _own_digest(rows: Rows) -> str:
    """Give what a RECORD states for METADATA, empty where it does not."""
    own = [digest for path, digest in rows.items() if path.count("/") == 1 and path.endswith(".dist-info/METADATA")]
    return own[0] if len(own) == 1 else ""


class _Known(Offered):
    """Offered wheels as far as they are on this machine."""

    def __init__(self, *, connection: Connection, cache: Store, machine: _Machine) -> None:
        super().__init__(connection=connection, cache=cache)
        self._machine = machine

    def rows(self, offer: Offer, *, what: str) -> Rows:
        """Give the rows of the RECORD in the wheel. Raises FileRefusedError where the wheel is not here."""
        unpacked = {} if offer.local else self._machine.rows(offer)
        if not offer.local:
            self._machine.bring(offer)
        try:
            return super().rows(offer, what=what)
        except NotRunError:
            if unpacked:
                return unpacked
            raise
