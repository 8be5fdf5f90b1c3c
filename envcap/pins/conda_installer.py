"""The program that puts conda's archives into place in an image: one wheel, pinned like every other package."""

from __future__ import annotations

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from envcap.errors import NotRunError
from envcap.model.facts import Facts
from envcap.model.gap import Gap
from envcap.model.lock import Wheel
from envcap.model.progress import Tell
from envcap.pins.configuration import Configuration
from envcap.pins.connection import Connection
from envcap.pins.index import look_up
from envcap.pins.offered import Offered, local_path
from envcap.pins.pages import Offer, Wanted
from envcap.redact import strip_credentials
from envcap.store import STORE_FOLDER, Store

# The version that the program in render/install_archives.py was written and tried with. It needs Python 3.10.
INSTALLER = Wanted(name="py-rattler", version="0.28.0")
_WHAT = f"`{INSTALLER.name}` {INSTALLER.version}"


def pin_installer(
    facts: Facts,
    *,
    configuration: Configuration,
    store: Store,
    cache: Store,
    tell: Tell,
) -> tuple[Wheel | None, list[Gap]]:
    """Give the wheel of the installer for the machine's architecture, from the user's own index; else a Gap.

    A wheel that lies on this machine, or whose address holds a secret, is kept beside the lock.
    """
    try:
        with Connection(configuration) as connection:
            offers = look_up([INSTALLER], connection=connection, tell=tell)[INSTALLER].offers
            offered = Offered(connection=connection, cache=cache)
            architecture = facts.system.architecture
            fitting = [offer for offer in offers if _fits(offer, architecture) and offer.yanked is None]
            if fitting:
                return _referenced(offered.with_digest(fitting[0], what=_WHAT), offered, store), []
        reason = f"no index offers {_WHAT} for {facts.system.architecture}"
    except NotRunError as error:
        reason = f"{_WHAT} cannot be looked up: {error.message}"
    consequence = "no image can be built from this lock: nothing would put conda's archives into place"
    return None, [Gap(where="conda", subject=INSTALLER.name, reason=reason, consequence=consequence)]


def _fits(offer: Offer, architecture: str) -> bool:
    """Tell whether every image with glibc, and a Python from 3.10 on, can run the wheel."""
    try:
        _, _, _, tags = parse_wheel_filename(offer.filename)
    except InvalidWheelFilename:
        return False
    return any(tag.abi == "abi3" and tag.platform == f"manylinux_2_17_{architecture}" for tag in tags)


def _referenced(offer: Offer, offered: Offered, store: Store) -> Wheel:
    if not offer.local and strip_credentials(offer.url) == offer.url:
        return Wheel(name=offer.filename, sha256=offer.sha256 or "", url=offer.url, size=offer.size)
    path = local_path(offer.url) if offer.local else offered.download(offer, what=_WHAT).path
    sha256 = store.add_file(path)
    return Wheel(name=path.name, sha256=sha256, path=f"{STORE_FOLDER}/{sha256}/{path.name}", size=path.stat().st_size)
