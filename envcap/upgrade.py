"""Upgrade: resolve the packages of a lock anew into another lock, so that build and verify can tell what changes.

Nothing is run: code, data, declaration, base, system and the recorded runs stay those of the old lock.
"""

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from envcap import __version__, lockfile
from envcap.consent import write_own
from envcap.dependencies import roots
from envcap.errors import WrongUsageError
from envcap.model.lock import Derivation, Lock, Move, Package
from envcap.model.progress import Progress, Tell
from envcap.model.struct import Data
from envcap.places import download_cache, known_locks, lock_store
from envcap.store import Store
from envcap.trust.known import is_known

if TYPE_CHECKING:
    from packaging.requirements import Requirement

    from envcap.pins.configuration import Configuration
    from envcap.pins.resolve import Question


class UpgradeRequest(Data, frozen=True, kw_only=True):
    """What the command line asked for. `packages` empty: every requested package may move."""

    project: Path
    name: str = "envcap"
    packages: list[str] = []
    to: str | None = None
    strict: bool = False


class Upgraded(Data, frozen=True, kw_only=True):
    """The lock that was made, and where it was written; `path` None where nothing moved and nothing was written."""

    lock: Lock
    path: Path | None = None
    sha256: str | None = None


def upgrade(request: UpgradeRequest, *, environ: Mapping[str, str], tell: Tell) -> Upgraded:
    """Resolve and write the new lock; before the very end nothing is written.

    Raises WrongUsageError for what cannot be meant, NotRunError when nothing goes together or an index cannot be
    read, RefusedError when the old lock or a carried file is not what was frozen.
    """
    from envcap.pins.declared import read_every_index
    from envcap.pins.release import pin_releases, require_index
    from envcap.pins.resolve import resolve
    from envcap.pins.target import target_of

    project = request.project.resolve()
    old, sha256 = lockfile.read(lockfile.lock_path(project, request.name))
    name = request.to or f"{request.name}-upgraded"
    path = lockfile.lock_path(project, name)
    if name == request.name:
        raise WrongUsageError(
            f"The new lock cannot be called `{name}` like the old one: its runs would be without their packages.",
            hint="Give it another name with `--to`.",
        )
    wishes = _wishes(request.packages, old)
    store = lock_store(project)
    files = _fixed_files(old, store, project=project, environ=environ, tell=tell)
    question = ask(old, wishes, files=files)
    read = read_every_index(Path(sys.executable), project=project, environ=environ)
    configuration, target = with_indexes(read, old.packages), target_of(old)
    for first in [package for package in old.packages if package.name in question.free][:1]:
        require_index(first.name, first.version, configuration=configuration)
    tell(Progress(kind="step", text=f"resolving for Python {old.python.version}: {_freedom(question.free)}"))
    resolution = resolve(question, target=target, configuration=configuration, environ=environ, tell=tell)
    moved = moves(old.packages, resolution.versions) if resolution is not None else []
    if resolution is None or not moved:
        return Upgraded(lock=old)
    with store.staged() as staged:
        fresh = pin_releases(
            {move.package: move.after for move in moved if move.after is not None},
            target=target,
            configuration=configuration,
            store=staged,
            cache=download_cache(environ),
            tell=tell,
        )
        derivation = Derivation(name=request.name, sha256=sha256, moved=moved)
        lock = derive(old, fresh, resolution.requires, name=name, derivation=derivation)
        lockfile.require_no_gaps(lock, strict=request.strict)
        content = lockfile.dump(lock)
    if not is_known(sha256, folder=known_locks(environ)):  # a stranger's command is in the new lock too
        return Upgraded(lock=lock, path=path, sha256=lockfile.write(content, path))
    return Upgraded(lock=lock, path=path, sha256=write_own(content, path, environ=environ, tell=tell))


def with_indexes(configuration: "Configuration", packages: Sequence[Package]) -> "Configuration":
    """Give the configuration with what the project names among pip's indexes, and those that the packages are from."""
    from envcap.pins.configuration import place

    indexes = [*configuration.indexes, *configuration.declared]
    known = {one.public.rstrip("/") for one in indexes}
    locked = dict.fromkeys(package.index for package in packages if package.index is not None)
    indexes += [place(index) for index in locked if index.rstrip("/") not in known]
    links = [*configuration.find_links, *configuration.declared_links]
    return msgspec.structs.replace(configuration, indexes=indexes, find_links=links)


def is_fixed(package: Package) -> bool:
    """Tell whether a package cannot move: no index has others of what is carried or came from an address of its own."""
    return package.wheel.path is not None or package.origin == "archive"


def _fixed_files(lock: Lock, store: Store, *, project: Path, environ: Mapping[str, str], tell: Tell) -> dict[str, Path]:
    """Give the files of the packages that cannot move, by name. Raises RefusedError for other bytes than frozen."""
    from envcap.fetching import fetch_inputs

    fixed = [package for package in lock.packages if is_fixed(package)]
    remote = [package for package in fixed if package.wheel.path is None]
    got = fetch_inputs(lock, packages=remote, os_packages=[], project=project, environ=environ, tell=tell)
    return {
        package.name: got.get(package.wheel.sha256)
        or store.require(package.wheel.sha256, package.wheel.name, what="The carried file")
        for package in fixed
    }


def ask(lock: Lock, wishes: "Mapping[str, Requirement]", *, files: Mapping[str, Path]) -> "Question":
    """Give the question for pip-tools: what was asked for, what is preferred, and what may not move.

    Without `wishes` whatever was requested may move; what has its file in `files` never does.
    """
    from envcap.pins.resolve import Question

    fixed = files.keys()
    needed = roots(lock.packages)
    requested = [package.name for package in lock.packages if package.requested] or needed
    free = list(wishes) or [name for name in requested if name not in fixed]
    return Question(
        wishes=needed,
        terms={name: str(wish.specifier) for name, wish in wishes.items()},
        present={package.name: package.version for package in lock.packages},
        kept={package.name: package.version for package in lock.packages if package.name not in free},
        free=free,
        firm=[name for name in needed if name not in free],
        limits=[f"{package.name}=={package.version}" for package in lock.packages if package.name in fixed],
        wheels=list(files.values()),
    )


def moves(packages: Sequence[Package], versions: Mapping[str, str]) -> list[Move]:
    """Give what differs between the packages of a lock and the versions that were chosen, by name."""
    from packaging.version import Version

    before = {package.name: package.version for package in packages}
    found = []
    for name in sorted({*before, *versions}):
        old, new = before.get(name), versions.get(name)
        if old is None or new is None or Version(old) != Version(new):
            found.append(Move(package=name, before=old, after=new))
    return found


def derive(
    old: Lock,
    fresh: Mapping[str, Package],
    requires: Mapping[str, Sequence[str]],
    *,
    name: str,
    derivation: Derivation,
) -> Lock:
    """Give the old lock with the packages of `fresh` in place of what moved, and what was said of those left out."""
    gone = {move.package for move in derivation.moved}
    before = {package.name: package for package in old.packages}
    kept = [package for package in old.packages if package.name not in gone]
    added = [_as_before(package, before.get(package.name)) for package in fresh.values()]
    packages = [
        msgspec.structs.replace(package, dependencies=tuple(requires.get(package.name, ())))
        for package in sorted([*kept, *added], key=lambda package: package.name)
    ]
    subjects = {f"{package}=={before[package].version}" for package in gone if package in before}
    return msgspec.structs.replace(
        old,
        name=name,
        created_at=datetime.now(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z"),
        created_by=f"envcap {__version__}",
        packages=packages,
        gaps=[gap for gap in old.gaps if not (gap.where == "packages" and _normal(gap.subject) in subjects)],
        conflicts=[one for one in old.conflicts if not gone & {one.package, _required(one.requirement)}],
        derivation=derivation,
    )


def _wishes(texts: Sequence[str], lock: Lock) -> "dict[str, Requirement]":
    """Give what the user named, by normalised name. Raises WrongUsageError."""
    from packaging.utils import canonicalize_name

    from envcap.pins.resolve import parse_wish

    known = {package.name: package for package in lock.packages}
    wishes: dict[str, Requirement] = {}
    for text in texts:
        try:
            wish = parse_wish(text)
        except ValueError as error:
            hint = "For example `envcap upgrade numpy 'pandas<3'`."
            raise WrongUsageError(f"`{text}` cannot be upgraded: {error}.", hint=hint) from error
        name = str(canonicalize_name(wish.name))
        if name not in known:
            raise WrongUsageError(
                f"`{wish.name}` is not in the lock `{lock.name}`, so it cannot be upgraded.",
                hint=f"`envcap show --name {lock.name}` lists its packages.",
            )
        if is_fixed(known[name]):
            where = (
                "comes from an address of its own" if known[name].wheel.path is None else "is carried beside the lock"
            )
            raise WrongUsageError(
                f"`{wish.name}` {where}, as it was installed: no index has another such version.",
                hint="Install the version that you want and freeze again.",
            )
        if name in wishes:
            raise WrongUsageError(f"`{wish.name}` is named twice.")
        wishes[name] = wish
    return wishes


def _as_before(package: Package, before: Package | None) -> Package:
    return package if before is None else msgspec.structs.replace(package, requested=before.requested)


def _freedom(names: Sequence[str]) -> str:
    shown = ", ".join(names[:6]) + (" …" if len(names) > 6 else "")
    return f"{shown or 'nothing'} may move"


def _normal(subject: str) -> str:
    from packaging.utils import canonicalize_name

    name, _, version = subject.partition("==")
    return f"{canonicalize_name(name)}=={version}"


def _required(requirement: str) -> str:
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    try:
        return str(canonicalize_name(Requirement(requirement).name))
    except InvalidRequirement:
        return ""
