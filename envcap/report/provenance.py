"""How an image was made, as an in-toto statement about it: what went in, and who put it together. Unsigned.

In-toto Attestation Framework, "Statement v1"; SLSA, "Provenance v1".
"""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from envcap import __version__
from envcap.model.image import Making
from envcap.model.lock import Lock, Wheel
from envcap.report.statement import statement

_PREDICATE = "https://slsa.dev/provenance/v1"
_BUILD_TYPE = "https://envcap.dev/build/v1"
_BUILDER = "https://envcap.dev/builder/local"


def provenance_document(lock: Lock, making: Making) -> str:
    """Give the statement about a finished image, as JSON; names and digests only, nothing of the machine it ran on."""
    image = making.image
    # Who has it from a registry knows it by the digest there; the engine's own id may be that of its configuration.
    place, at, digest = (image.pushed or "").partition("@")
    name, digest = (place, digest) if at else (image.reference, image.identity)
    subject = [{"name": name, "digest": {"sha256": digest.removeprefix("sha256:")}}]
    versions = {"envcap": __version__, "engine": image.engine, **({"builder": image.builder} if image.builder else {})}
    predicate = {
        "buildDefinition": {
            "buildType": _BUILD_TYPE,
            "externalParameters": {
                "lock": f"pylock.{lock.name}.toml",
                "portable": making.portable,
                "target": making.target,
            },
            "internalParameters": {"platform": lock.base.platform},
            "resolvedDependencies": [*_dependencies(lock, making)],
        },
        "runDetails": {
            "builder": {"id": _BUILDER, "version": versions},
            "metadata": {"startedOn": making.started, "finishedOn": making.finished},
        },
    }
    document = statement(subject, _PREDICATE, predicate)
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


def _dependencies(lock: Lock, making: Making) -> Iterator[dict[str, Any]]:
    yield _resource(f"pylock.{lock.name}.toml", making.image.lock_sha256)
    for base in lock.images:
        if base.digest is None:
            continue
        name, _, tag = base.reference.partition(":") if "/" not in base.reference else base.reference.rpartition(":")
        query = f"digest={quote(base.digest, safe='')}&platform={quote(base.platform, safe='')}"
        place = f"pkg:docker/{quote(name, safe='/')}@{quote(tag, safe='')}?{query}"
        yield _resource(base.reference, base.digest.removeprefix("sha256:"), uri=place)
    for wheel in [*(package.wheel for package in lock.packages), *(package.archive for package in lock.conda)]:
        yield _file(wheel)
    if lock.conda_prefix is not None and lock.conda_prefix.installer is not None:
        yield _file(lock.conda_prefix.installer)
    for package in lock.os_packages.packages if lock.os_packages is not None else []:
        yield _resource(package.file, package.sha256, uri=package.url)
    if making.target != "serve":
        yield _resource("code", lock.code.archive)
        if lock.code.repository and lock.code.commit:
            where = {"uri": f"git+{lock.code.repository}", "digest": {"gitCommit": lock.code.commit}}
            yield {"name": "repository", **where}


def _file(wheel: Wheel) -> dict[str, Any]:
    return _resource(wheel.name, wheel.sha256, uri=wheel.url)


def _resource(name: str, sha256: str, *, uri: str | None = None) -> dict[str, Any]:
    """Give a ResourceDescriptor of the in-toto attestation framework."""
    return {"name": name, "digest": {"sha256": sha256}, **({"uri": uri} if uri else {})}
