"""A lock, or what the probe saw, as flat facts that can be laid side by side. Pure."""

from collections.abc import Mapping

from msgspec.structs import asdict

from envcap.compare.numerics import libraries_of
from envcap.model.facts import Facts
from envcap.model.lock import Executable, Library, Lock, OsPackages, Toolkit, WatchedFiles
from envcap.model.numerics import Numerics
from envcap.model.struct import Data
from envcap.surroundings import machine_contents

_SHOWN = 12  # characters of a digest that tell two files apart


class Contents(Data, frozen=True, kw_only=True):
    """Facts by area and subject. An area that is not there is unknown, which is not the same as empty."""

    areas: dict[str, dict[str, str]]


def contents_of_lock(lock: Lock) -> Contents:
    """Give all that a lock knows."""
    return Contents(
        areas={
            "code": {
                "archive": _short(lock.code.archive),
                "commit": _short(lock.code.commit or "no repository"),
                **{f"submodule {one.path}": _short(one.checked_out or "not fetched") for one in lock.code.submodules},
            },
            "data": {item.path: _short(item.sha256) for item in lock.data},
            "evaluation": {
                "command": " ".join(lock.declaration.command),
                "metrics": lock.declaration.metrics,
                "artifacts": ", ".join(sorted(lock.declaration.artifacts)),
            },
            "packages": {package.name: package.version for package in lock.packages},
            "files": {package.name: _short(package.wheel.sha256) for package in lock.packages},
            "conda": {one.name: f"{one.version} {one.build}" for one in lock.conda},
            "base": {
                "image": lock.base.reference,
                "digest": _short((lock.base.digest or "").partition(":")[2]),
                **_toolkit(lock.toolkit),
            },
            "libraries": _owned(lock),
            "os-packages": _os_packages(lock.os_packages),
            "floor": {name: value for name, value in asdict(lock.floor).items() if value is not None},
            "settings": dict(lock.system.environment),
            "settings at the end": dict(lock.settings),
            "numerics": _numerics(lock.numerics),
            "watched": _watched(lock.watched),
            "limits": dict(lock.system.limits),
            **machine_contents(lock.python, lock.system, lock.hardware),
        }
    )


def contents_of_facts(facts: Facts, *, settings: Mapping[str, str] | None) -> Contents:
    """Give what the probe saw. `settings` are the variables around it, or None where nobody looked at them."""
    from packaging.utils import canonicalize_name

    areas = {
        "packages": {str(canonicalize_name(item.name)): item.version for item in facts.distributions if not item.conda},
        "conda": {one.name: f"{one.version} {one.build}" for one in (facts.conda.records if facts.conda else [])},
        **({} if settings is None else {"settings": dict(settings)}),
        "limits": dict(facts.system.limits),
        **machine_contents(facts.interpreter, facts.system, facts.hardware),
    }
    return Contents(areas=areas)


def _numerics(numerics: Numerics) -> dict[str, str]:
    """Give the digests of the operations, and what computed them."""
    if numerics == Numerics():
        return {}
    told = {"libraries": libraries_of(numerics), "numpy features": " ".join(numerics.features)}
    return {**numerics.operations, **told, **numerics.settings}


def _owned(lock: Lock) -> dict[str, str]:
    """Give system libraries and programs by name, with the package that owns each."""
    found: list[Library | Executable] = [*lock.libraries, *lock.executables]
    return {item.name: f"{item.package or 'no package'} {item.version or ''}".strip() for item in found}


def _watched(watched: WatchedFiles) -> dict[str, str]:
    """Give the files that the runs read, by kind, and those that they wrote or that nobody declared."""
    counts = {f"files of kind {kind}": str(count) for kind, count in watched.read.items()}
    lists = {"written": ", ".join(watched.written), "not declared": ", ".join(watched.undeclared)}
    return {**counts, **{name: text for name, text in lists.items() if text}}


def _os_packages(added: OsPackages | None) -> dict[str, str]:
    if added is None:
        return {}
    locales = {"locales compiled": " ".join(added.locales)} if added.locales else {}
    return {**{one.name: one.version for one in added.packages}, **locales}


def _toolkit(toolkit: Toolkit | None) -> dict[str, str]:
    if toolkit is None:
        return {}
    return {
        "CUDA image": toolkit.image.reference,
        "CUDA image digest": _short((toolkit.image.digest or "").partition(":")[2]),
    }


def _short(digest: str) -> str:
    return digest[:_SHOWN]
