"""Every Python package as an immutable reference: classify, look up, identify, carry. The table of contents of pins."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
from packaging.utils import canonicalize_name

from envcap.model.facts import Distribution, Facts
from envcap.model.lock import Package
from envcap.model.progress import Progress, Tell
from envcap.pins.answers import Answers
from envcap.pins.carry import Carrier, Identified, Pinned
from envcap.pins.classify import Kind, classify, not_carried
from envcap.pins.configuration import Configuration
from envcap.pins.connection import Connection
from envcap.pins.damage import Damage, damage_gaps
from envcap.pins.identify import matching
from envcap.pins.index import Found, look_up
from envcap.pins.integrity import check_files
from envcap.pins.offered import Offered
from envcap.pins.others import Others, is_unlisted
from envcap.pins.pages import Offer, Wanted
from envcap.pins.unowned import unlooked_gaps
from envcap.pins.verified import Verified
from envcap.store import Store
from envcap.threads import run_each

_THREADS = 8
_DAY = 24 * 3600.0
Classified = Sequence[tuple[Distribution, Kind]]

__all__ = ["Pinned", "pin"]


def pin(
    facts: Facts,
    *,
    configuration: Configuration,
    store: Store,
    cache: Store,
    tell: Tell,
    refresh: bool = False,
    left_out: Sequence[Path] = (),
) -> Pinned:
    """Give a package for every distribution that can have one, by normalised name, and a Gap wherever a word is due.

    Those that a conda package owns come with it.
    Files that no index serves are put into `store`; files that had to be looked at are kept in `cache`. What an index
    said within the last day is believed where it leads to a proven wheel, and what was read of an installed file while
    nothing about it has changed, unless `refresh` is set; in every other case the index is asked and the file is read.
    `left_out` are paths that are no code of an editable install, such as data. Raises NotRunError when an index cannot
    be read.
    """
    classified = [
        (distribution, classify(distribution)) for distribution in facts.distributions if distribution.conda is None
    ]
    verified = Verified.beside(cache, facts.distributions)
    damages = find_damages(facts.distributions, classified, verified=verified, refresh=refresh, tell=tell)
    with Connection(configuration) as connection:
        offered = Offered(connection=connection, cache=cache)
        carrier = Carrier(prefix=Path(facts.prefix), offered=offered, store=store, damages=damages)
        inquiry = Inquiry(carrier, connection=connection, answers=Answers.beside(cache), tell=tell)
        identified = inquiry.identify([one for one, kind in classified if kind == "index"], refresh=refresh)
        offers = inquiry.offers([one for one, kind in classified if is_unlisted(one, kind)])
        others = Others(facts, carrier=carrier, offered=offered, store=store, offers=offers, left_out=left_out)
        pinned = conclude(classified, carrier=carrier, others=others, identified=identified, damages=damages)
        return msgspec.structs.replace(pinned, packages=_with_sizes(pinned.packages, connection=connection))


def conclude(
    classified: Classified,
    *,
    carrier: Carrier,
    others: Others,
    identified: dict[str, Identified],
    damages: dict[str, Damage],
) -> Pinned:
    """Give the packages, by name, once it is known which wheels those from an index are, by metadata path."""
    parts = _pin_each(classified, carrier=carrier, others=others, identified=identified)
    return Pinned(
        packages=sorted((package for part in parts for package in part.packages), key=lambda package: package.name),
        gaps=sorted(
            [
                *(gap for part in parts for gap in part.gaps),
                *(gap for one, _ in classified if one.path in damages for gap in damage_gaps(one, damages[one.path])),
                *unlooked_gaps([one for one, _ in classified]),
                *others.stray_gaps(),
            ],
            key=lambda gap: gap.subject.lower(),
        ),
    )


class Inquiry:
    """Finds out which wheel each distribution was installed from: looks up what is on offer, and proves."""

    def __init__(self, carrier: Carrier, *, connection: Connection, answers: Answers, tell: Tell) -> None:
        self._carrier, self._connection, self._answers, self._tell = carrier, connection, answers, tell

    def identify(self, distributions: Sequence[Distribution], *, refresh: bool) -> dict[str, Identified]:
        """Give what was identified by the path of each distribution's metadata."""
        found = self._look_up(distributions, within=0.0 if refresh else _DAY)
        identified = self._prove(distributions, found)
        doubtful = [one for one in distributions if found[one.path].recalled and not identified[one.path].proven]
        found |= self._look_up(doubtful, within=0.0)
        identified |= self._prove(doubtful, found)
        # pip's indexes have files of its name and tags, and none of these is the one: uv may have taken another.
        wrong = [one for one in distributions if not identified[one.path].proven and _has(one, found[one.path])]
        elsewhere = self._declared(wrong, {_release(one): found[one.path] for one in wrong}, within=0.0)
        found |= {one.path: elsewhere[_release(one)] for one in wrong if _release(one) in elsewhere}
        return identified | self._prove([one for one in wrong if _release(one) in elsewhere], found)

    def offers(self, distributions: Sequence[Distribution]) -> dict[str, list[Offer]]:
        """Give what is on offer for each, by the path of its metadata; asked for anew."""
        return {path: found.offers for path, found in self._look_up(distributions, within=0.0).items()}

    def _look_up(self, distributions: Sequence[Distribution], *, within: float) -> dict[str, Found]:
        if not distributions:
            return {}
        found = self._ask(distributions, connection=self._connection, within=within)
        missing = [one for one in distributions if not _has(one, found[_release(one)])]
        found |= self._declared(missing, found, within=within)
        return {distribution.path: found[_release(distribution)] for distribution in distributions}

    def _ask(
        self, distributions: Sequence[Distribution], *, connection: Connection, within: float
    ) -> dict[Wanted, Found]:
        return look_up(
            [_release(distribution) for distribution in distributions],
            connection=connection,
            tell=self._tell,
            answers=self._answers,
            within=within,
        )

    def _declared(
        self, distributions: Sequence[Distribution], found: dict[Wanted, Found], *, within: float
    ) -> dict[Wanted, Found]:
        """Give what further places that the project names offer, after what was `found` of these already."""
        configuration = self._connection.configuration
        if not (distributions and (configuration.declared or configuration.declared_links)):
            return {}
        further = msgspec.structs.replace(
            configuration, indexes=configuration.declared, find_links=configuration.declared_links
        )
        with Connection(further) as connection:
            more = self._ask(distributions, connection=connection, within=within)
        return {
            release: Found(
                offers=[*found[release].offers, *one.offers], recalled=found[release].recalled or one.recalled
            )
            for release, one in more.items()
        }

    def _prove(self, distributions: Sequence[Distribution], found: dict[str, Found]) -> dict[str, Identified]:
        """Identify each, several at once: most of the time goes into waiting for the tails of wheels."""

        def work(distribution: Distribution) -> Identified:
            return self._carrier.identify(distribution, found[distribution.path].offers)

        known: dict[str, Identified] = {}
        for distribution, identified in run_each(work, distributions, threads=_THREADS):
            known[distribution.path] = identified
            self._tell(Progress(kind="count", text="proving packages", done=len(known), total=len(distributions)))
        return known


def _has(distribution: Distribution, found: Found) -> bool:
    """Tell whether something is on offer that could be the installed wheel, by its tags."""
    return bool(matching(distribution, found.offers))


def find_damages(
    distributions: Sequence[Distribution], classified: Classified, *, verified: Verified, refresh: bool, tell: Tell
) -> dict[str, Damage]:
    """Give what happened to the files of packages that will be pinned. conda rewrites files and tells no RECORD.

    All distributions are looked at, conda's too: folders may belong to packages of both.
    """
    damages = check_files(distributions, tell=tell, verified=verified, refresh=refresh)
    pinned = {one.path for one, kind in classified if kind in {"index", "archive", "local", "built"}}
    return {path: damage for path, damage in damages.items() if path in pinned}


def _release(distribution: Distribution) -> Wanted:
    return Wanted(name=canonicalize_name(distribution.name), version=distribution.version)


def _pin_each(
    classified: Classified, *, carrier: Carrier, others: Others, identified: dict[str, Identified]
) -> list[Pinned]:
    def work(number: int) -> Pinned:
        distribution, kind = classified[number]
        found = others.pin(distribution, kind)
        if found is not None:
            return found
        return _pin_one(distribution, kind, carrier=carrier, identified=identified)

    parts = dict(run_each(work, range(len(classified)), threads=_THREADS))
    return [parts[number] for number in sorted(parts)]


def _pin_one(distribution: Distribution, kind: Kind, *, carrier: Carrier, identified: dict[str, Identified]) -> Pinned:
    url = distribution.direct_url.url if distribution.direct_url else ""
    match kind:
        case "index":
            return carrier.from_identified(distribution, identified[distribution.path])
        case "archive":
            return carrier.from_archive(distribution, url)
        case "local":
            return carrier.from_file(distribution, url)
        case "built":
            return carrier.from_source(distribution)
        case "conda":
            return carrier.from_conda(distribution)
        case _:
            return Pinned(gaps=[not_carried(distribution, kind)])


def _with_sizes(packages: list[Package], *, connection: Connection) -> list[Package]:
    """Give the packages with the size of each file, where its server tells: HTML pages state none."""
    unknown = [package for package in packages if package.wheel.size is None and package.wheel.url is not None]
    sizes = dict(run_each(lambda package: _ask_size(package, connection=connection), unknown, threads=_THREADS))
    return [
        msgspec.structs.replace(package, wheel=msgspec.structs.replace(package.wheel, size=sizes[package]))
        if package in sizes
        else package
        for package in packages
    ]


def _ask_size(package: Package, *, connection: Connection) -> int | None:
    import requests

    try:
        with connection.session.head(
            package.wheel.url or "", headers={"Accept-Encoding": "identity"}, allow_redirects=True
        ) as response:
            stated = response.headers.get("Content-Length", "")
            return int(stated) if response.status_code == 200 and stated.isdecimal() and len(stated) < 20 else None
    except requests.RequestException:
        return None
