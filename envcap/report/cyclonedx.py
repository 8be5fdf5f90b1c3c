"""What is in an image, as a bill of materials that scanners read: CycloneDX 1.6, JSON. Model in, string out."""

import importlib.util
import uuid
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from envcap import __version__
from envcap.errors import NotRunError
from envcap.model.lock import Base, Lock, OsPackage, Package

if TYPE_CHECKING:
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component
    from packageurl import PackageURL


def describe_cyclonedx(lock: Lock) -> str:
    """Give the Python, conda and OS packages that the lock adds to its base, and the base; the same bytes each time.

    What the base image itself holds is not listed: it is named by its digest. Raises NotRunError without the library.
    """
    require_library()
    from cyclonedx.output.json import JsonV1Dot6

    return JsonV1Dot6(_bill(lock)).output_as_string(indent=2) + "\n"


def require_library() -> None:
    """Raise NotRunError where the library that writes the bill is not installed."""
    if importlib.util.find_spec("cyclonedx") is None:
        raise NotRunError(
            "A bill of materials needs the library `cyclonedx-python-lib`, which is not installed.",
            hint="`pip install 'envcap[sbom]'` installs it.",
        )


def _bill(lock: Lock) -> "Bom":
    from cyclonedx.model import Property
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.model.tool import ToolRepository

    whole = Component(
        name=lock.name,
        type=ComponentType.CONTAINER,
        bom_ref=f"lock:{lock.name}",
        properties=[Property(name="envcap:gap", value=f"{gap.where} {gap.subject}: {gap.reason}") for gap in lock.gaps],
    )
    tool = Component(name="envcap", version=__version__, type=ComponentType.APPLICATION, bom_ref="tool:envcap")
    metadata = BomMetaData(component=whole, timestamp=_moment(lock), tools=ToolRepository(components=[tool]))
    # The same lock is the same bill: what is usually drawn at random is told by the code, the base and the packages.
    told = " ".join([lock.created_at, lock.code.archive, *(package.wheel.sha256 for package in lock.packages)])
    bill = Bom(metadata=metadata, serial_number=uuid.uuid5(uuid.NAMESPACE_URL, f"https://envcap.dev/lock/{told}"))
    python = {package.name: _python_component(package) for package in lock.packages}
    others = [*map(_image, lock.images), *_conda_components(lock), *_os_components(lock)]
    for component in [*python.values(), *others]:
        bill.components.add(component)
    for package in lock.packages:
        bill.register_dependency(python[package.name], [python[name] for name in package.dependencies])
    needed = {name for package in lock.packages for name in package.dependencies}
    bill.register_dependency(whole, [*others, *(one for name, one in python.items() if name not in needed)])
    return bill


def _moment(lock: Lock) -> datetime:
    return datetime.fromisoformat(lock.created_at.replace("Z", "+00:00"))


def _python_component(package: Package) -> "Component":
    wheel = package.wheel
    url = _url("pypi", package.name, package.version)
    return _component(package.name, package.version, url, wheel.sha256, wheel.url)


def _conda_components(lock: Lock) -> Iterator["Component"]:
    for package in lock.conda:
        channel = package.channel.rstrip("/").rpartition("/")[2]
        told = {"build": package.build, "channel": channel, "subdir": package.subdir}
        url = _url("conda", package.name, package.version, **told)
        yield _component(package.name, package.version, url, package.sha256, package.url)


def _os_components(lock: Lock) -> Iterator["Component"]:
    if lock.os_packages is None:
        return
    distribution = lock.os_packages.release.partition(" ")[0]
    for package in lock.os_packages.packages:
        yield _component(
            package.name, package.version, _os_url(package, distribution, lock), package.sha256, package.url
        )


def _os_url(package: OsPackage, distribution: str, lock: Lock) -> "PackageURL":
    release = lock.os_packages.release.replace(" ", "-") if lock.os_packages is not None else ""
    told = {"arch": package.architecture, "distro": release}
    return _url("deb", package.name, package.version, namespace=distribution, **told)


def _image(image: Base) -> "Component":
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.component import Component, ComponentType

    digest = (image.digest or "").removeprefix("sha256:")
    return Component(
        name=image.reference,
        version=image.digest,
        type=ComponentType.CONTAINER,
        bom_ref=f"base:{image.reference}",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)] if digest else None,
    )


def _component(name: str, version: str, url: "PackageURL", sha256: str, address: str | None) -> "Component":
    from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
    from cyclonedx.model.component import Component, ComponentType

    place = [ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=XsUri(address))] if address else None
    return Component(
        name=name,
        version=version,
        type=ComponentType("library"),
        bom_ref=url.to_string(),
        purl=url,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=sha256)],
        external_references=place,
    )


def _url(kind: str, name: str, version: str, *, namespace: str | None = None, **told: str) -> "PackageURL":
    from packageurl import PackageURL

    return PackageURL(type=kind, namespace=namespace, name=name, version=version, qualifiers=told or None)
