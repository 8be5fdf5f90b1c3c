"""Every Python package as an immutable reference: classify, look up, identify, carry. The table of contents of pins."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from packaging.utils import canonicalize_name

from envcap.model.facts import Distribution, Facts
from envcap.model.lock import Package
from envcap.model.progress import Progress, Tell
from envcap.pins.carry import Carrier, Pinned
from envcap.pins.classify import Kind, classify, not_carried
from envcap.pins.configuration import Configuration
from envcap.pins.damage import Damage, damage_gaps
from envcap.pins.declared import INSTALLERS
from envcap.pins.identify import matching
from envcap.pins.index import look_up
from envcap.pins.integrity import check_files
from envcap.pins.offered import Offered
from envcap.pins.pages import Offer, Wanted
from envcap.pins.threads import run_each
from envcap.store import Store

if TYPE_CHECKING:
    import requests

_THREADS = 8

__all__ = ["Pinned", "pin"]


def pin(facts: Facts, *, configuration: Configuration, store: Store, cache: Store, tell: Tell) -> Pinned:
    """Give a package for every distribution that can have one, by normalised name, and a Gap wherever a word is due.

    Those that a conda package owns come with it.
    Files that no index serves are put into `store`; files that had to be looked at are kept in `cache`. Raises
    NotRunError when an index cannot be read.
    """
    from envcap.pins.session import open_session

    mine = [distribution for distribution in facts.distributions if distribution.conda is None]
    classified = [(distribution, classify(distribution)) for distribution in mine]
    wanted = [_release(distribution) for distribution, kind in classified if kind == "index"]
    damages = _damages(facts.distributions, classified, tell=tell)
    with open_session(configuration) as session:
        offers = look_up(wanted, configuration=configuration, session=session, tell=tell)
        offers |= _declared_offers(classified, offers, configuration=configuration, session=session, tell=tell)
        offered = Offered(session=session, cache=cache)
        carrier = Carrier(prefix=Path(facts.prefix), offered=offered, store=store, damages=damages)
        parts = _pin_each(classified, carrier=carrier, offers=offers, tell=tell)
        packages = _with_sizes([package for part in parts for package in part.packages], session=session)
    return Pinned(
        packages=sorted(packages, key=lambda package: package.name),
        gaps=sorted(
            [
                *(gap for part in parts for gap in part.gaps),
                *(gap for one, _ in classified if one.path in damages for gap in damage_gaps(one, damages[one.path])),
            ],
            key=lambda gap: gap.subject.lower(),
        ),
    )


def _declared_offers(
    classified: Sequence[tuple[Distribution, Kind]],
    offers: dict[Wanted, list[Offer]],
    *,
    configuration: Configuration,
    session: requests.Session,
    tell: Tell,
) -> dict[Wanted, list[Offer]]:
    """Give what uv's and Poetry's own indexes offer of what they installed and pip's have not with these tags."""
    missing = [
        _release(one)
        for one, kind in classified
        if kind == "index" and (one.installer or "").lower() in INSTALLERS and not matching(one, offers[_release(one)])
    ]
    if not (missing and configuration.declared):
        return {}
    further = msgspec.structs.replace(configuration, indexes=configuration.declared, find_links=[])
    found = look_up(missing, configuration=further, session=session, tell=tell)
    return {release: [*offers[release], *found[release]] for release in missing}


def _damages(
    distributions: Sequence[Distribution], classified: Sequence[tuple[Distribution, Kind]], *, tell: Tell
) -> dict[str, Damage]:
    """Give what happened to the files of packages that will be pinned. conda rewrites files and tells no RECORD.

    All distributions are looked at, conda's too: folders may belong to packages of both.
    """
    damages = check_files(distributions, tell=tell)
    pinned = {one.path for one, kind in classified if kind in {"index", "archive", "local", "built"}}
    return {path: damage for path, damage in damages.items() if path in pinned}


def _release(distribution: Distribution) -> Wanted:
    return Wanted(name=canonicalize_name(distribution.name), version=distribution.version)


def _pin_each(
    classified: Sequence[tuple[Distribution, Kind]], *, carrier: Carrier, offers: dict[Wanted, list[Offer]], tell: Tell
) -> list[Pinned]:
    """Pin each, several at once: most of the time goes into waiting for the tails of wheels."""

    def work(number: int) -> Pinned:
        distribution, kind = classified[number]
        return _pin_one(distribution, kind, carrier=carrier, offers=offers)

    parts: dict[int, Pinned] = {}
    for number, part in run_each(work, range(len(classified)), threads=_THREADS):
        parts[number] = part
        tell(Progress(kind="count", text="proving packages", done=len(parts), total=len(classified)))
    return [parts[number] for number in sorted(parts)]


def _pin_one(distribution: Distribution, kind: Kind, *, carrier: Carrier, offers: dict[Wanted, list[Offer]]) -> Pinned:
    url = distribution.direct_url.url if distribution.direct_url else ""
    match kind:
        case "index":
            return carrier.from_offers(distribution, offers[_release(distribution)])
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


def _with_sizes(packages: list[Package], *, session: requests.Session) -> list[Package]:
    """Give the packages with the size of each file, where its server tells: HTML pages state none."""
    unknown = [package for package in packages if package.wheel.size is None and package.wheel.url is not None]
    sizes = dict(run_each(lambda package: _ask_size(package, session=session), unknown, threads=_THREADS))
    return [
        msgspec.structs.replace(package, wheel=msgspec.structs.replace(package.wheel, size=sizes[package]))
        if package in sizes
        else package
        for package in packages
    ]


def _ask_size(package: Package, *, session: requests.Session) -> int | None:
    import requests

    try:
        with session.head(
            package.wheel.url or "", headers={"Accept-Encoding": "identity"}, allow_redirects=True
        ) as response:
            stated = response.headers.get("Content-Length", "")
            return int(stated) if response.status_code == 200 and stated.isdecimal() and len(stated) < 20 else None
    except requests.RequestException:
        return None
