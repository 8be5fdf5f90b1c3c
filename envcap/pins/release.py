"""One release from its name and version to the wheel that the lock's Python would install, by hash from the index."""

from collections.abc import Mapping, Sequence

from packaging.tags import Tag
from packaging.utils import BuildTag, InvalidWheelFilename, parse_wheel_filename

from envcap.errors import NotRunError
from envcap.model.lock import Package, Wheel
from envcap.model.progress import Progress, Tell, say_nothing
from envcap.pins.answers import Answers
from envcap.pins.configuration import Configuration, place
from envcap.pins.connection import Connection
from envcap.pins.index import look_up
from envcap.pins.offered import Offered, local_path
from envcap.pins.pages import Offer, Wanted
from envcap.pins.target import Target, tags_of
from envcap.redact import strip_credentials
from envcap.store import STORE_FOLDER, Store


def pin_releases(
    versions: Mapping[str, str],
    *,
    target: Target,
    configuration: Configuration,
    store: Store,
    cache: Store,
    tell: Tell,
) -> dict[str, Package]:
    """Give for each name the package that `target` would install of that version, found by its tags alone.

    Raises NotRunError when an index cannot be read, or offers no wheel of the release that fits.
    """
    releases = {name: Wanted(name=name, version=version) for name, version in versions.items()}
    with Connection(configuration) as connection:
        found = look_up(list(releases.values()), connection=connection, tell=tell, answers=Answers.beside(cache))
        offered = Offered(connection=connection, cache=cache)
        packages = {}
        for name, release in releases.items():
            offer = choose(found[release].offers, tags_of(target))
            if offer is None:
                raise NotRunError(
                    f"`{name}=={release.version}` has no wheel that Python {target.version} of the lock can install.",
                    hint=f"Ask for another version, such as `envcap upgrade '{name}<{release.version}'`.",
                )
            packages[name] = _package(release, offer, offered=offered, store=store)
            tell(Progress(kind="count", text="pinning what moved", done=len(packages), total=len(releases)))
    return packages


def require_index(name: str, version: str, *, configuration: Configuration) -> None:
    """Raise NotRunError when an index cannot be read: pip would go on without it, as if it had nothing to offer."""
    with Connection(configuration) as connection:
        look_up([Wanted(name=name, version=version)], connection=connection, tell=say_nothing)


def choose(offers: Sequence[Offer], tags: Sequence[Tag]) -> Offer | None:
    """Give the wheel that pip would take: the best tag, then the highest build tag, not yanked where there is one.

    Of several places with the same file name the first, as `offers` has them. None where nothing fits.
    """
    rank = {tag: number for number, tag in enumerate(tags)}
    fitting: list[tuple[bool, int, BuildTag, Offer]] = []
    for offer in offers:
        build, own = _parse(offer.filename)
        ranks = [rank[tag] for tag in own if tag in rank]
        if ranks:
            fitting.append((offer.yanked is None, -min(ranks), build, offer))
    return max(fitting, key=lambda one: one[:3])[3] if fitting else None


def _parse(filename: str) -> tuple[BuildTag, frozenset[Tag]]:
    try:
        _, _, build, tags = parse_wheel_filename(filename)
    except InvalidWheelFilename:
        return (), frozenset()
    return build, tags


def _package(release: Wanted, offer: Offer, *, offered: Offered, store: Store) -> Package:
    """Give the package of an offer: by URL where that can be written down, else with the file in the store."""
    what = f"{release.name}=={release.version}"
    offer = offered.with_digest(offer, what=what)
    address = strip_credentials(offer.url)
    if not offer.local and address == place(offer.url).url:
        wheel = Wheel(name=offer.filename, sha256=offer.sha256 or "", url=address, size=offer.size)
        return Package(name=release.name, version=release.version, wheel=wheel, index=offer.index)
    path = local_path(offer.url) if offer.local else offered.download(offer, what=what).path
    sha256 = store.add_file(path)
    kept = f"{STORE_FOLDER}/{sha256}/{path.name}"
    wheel = Wheel(name=path.name, sha256=sha256, path=kept, size=path.stat().st_size)
    return Package(
        name=release.name,
        version=release.version,
        wheel=wheel,
        index=None if offer.local else offer.index,
        origin="local" if offer.local else "index",
    )
