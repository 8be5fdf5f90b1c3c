"""A part of freeze: what comes on top of the base of the operating system's own, packages and locales."""

import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from envcap.engines import open_container_engine
from envcap.errors import EnvcapError, NotRunError
from envcap.locales import PACKAGE, PACKAGES, compiled_name, special_locales
from envcap.machine.archive import resolve_packages, with_candidates
from envcap.machine.debian import STATUS, Installed, read_status
from envcap.machine.other_release import KEYRINGS, SOURCES, BaseArchive, resolve_elsewhere, wishes_of
from envcap.model.facts import System
from envcap.model.gap import Gap
from envcap.model.lock import Base, Executable, Library, OsPackages
from envcap.model.progress import Progress, Tell
from envcap.model.struct import Data
from envcap.pins.configuration import read_configuration
from envcap.pins.os_packages import fetch_os_packages
from envcap.pins.session import open_session
from envcap.redact import redact_text
from envcap.store import Store

_RELEASE_FILE = "/usr/lib/os-release"
# What every Debian or Ubuntu image has, and so what needs no look into the base.
_EVERYWHERE = {"libc6", "libgcc-s1", "libstdc++6", "zlib1g", "dash", "bash", "coreutils", "libc-bin", "debianutils"}


class OsLayer(Data, frozen=True, kw_only=True):
    """What the image gets, None for nothing; and what the base has, None where it could not be read."""

    packages: OsPackages | None
    base: dict[str, Installed] | None
    gaps: list[Gap]


class _Base(Data, frozen=True, kw_only=True):
    release: str
    packages: dict[str, Installed]
    files: dict[str, bytes]  # by path


def learn_os_layer(
    wanted: Mapping[str, str],
    system: System,
    installed: Mapping[str, Installed],
    *,
    base: Base,
    owned: Sequence[Library | Executable],
    env: Mapping[str, str],
    cache: Store,
    tell: Tell,
) -> OsLayer:
    """Find the files of the packages that the base lacks, and bring them into the cache.

    `wanted` maps a package to what needs it. The locales of the runs come along. What cannot be pinned is a Gap.
    """
    locales = sorted(filter(None, map(compiled_name, special_locales(system))))
    inside = _read_base(base, system) if installed or locales else None
    if inside is not None and locales:
        wanted = {**wanted, PACKAGE: f"the locale {' and '.join(locales)}"}
        if PACKAGE not in inside.packages:
            installed = with_candidates(PACKAGES, installed, env)
    packages, gaps = _os_packages(wanted, system, inside, installed, base=base, owned=owned, env=env, tell=tell)
    if packages is not None:
        gaps += _fetch(packages, cache, tell)
    if inside is not None and locales:
        files = packages.packages if packages is not None else []
        if PACKAGE in inside.packages or any(file.name == PACKAGE for file in files):
            packages = OsPackages(release=inside.release, packages=files, locales=locales)
    return OsLayer(packages=packages, base=inside.packages if inside is not None else None, gaps=gaps)


def _os_packages(
    wanted: Mapping[str, str],
    system: System,
    inside: _Base | None,
    installed: Mapping[str, Installed],
    *,
    base: Base,
    owned: Sequence[Library | Executable],
    env: Mapping[str, str],
    tell: Tell,
) -> tuple[OsPackages | None, list[Gap]]:
    release = f"{system.distribution} {system.version}".strip()
    if inside is None:
        unknown = sorted(set(wanted) - _EVERYWHERE)
        if not unknown or base.digest is None:
            return None, []  # without a digest there will be no image: that Gap is told already
        return None, [_no_look(unknown, "what the base holds could not be read")]
    lacking = sorted(set(wanted) - set(inside.packages))
    if not lacking:
        return None, []
    if inside.release != release:
        tell(Progress(kind="step", text=f"asking the archive of {inside.release}, the base's release"))
        wishes = wishes_of({name: wanted[name] for name in lacking}, installed, owned)
        try:
            packages, gaps = resolve_elsewhere(
                wishes, _archive_of(inside), architecture=_architecture(inside.packages), environ=env
            )
        except NotRunError as error:
            reason = redact_text(error.message.splitlines()[0])
            return None, [_no_look(lacking, f"the base is {inside.release}, this host {release}: {reason}")]
        return (OsPackages(release=inside.release, packages=packages) if packages else None), gaps
    packages, gaps = resolve_packages(wanted, host=installed, base=inside.packages, environ=env)
    return (OsPackages(release=release, packages=packages) if packages else None), gaps


def _architecture(packages: Mapping[str, Installed]) -> str:
    """Give Debian's name of the processor: what dpkg's own package is for, which every image has."""
    return packages["dpkg"].architecture if "dpkg" in packages else ""


def _archive_of(inside: _Base) -> BaseArchive:
    return BaseArchive(
        release=inside.release or "an unknown release",
        sources="\n\n".join(inside.files[path].decode(errors="replace") for path in SOURCES if path in inside.files),
        status=inside.files[STATUS],
        keyring=next((inside.files[path] for path in KEYRINGS if path in inside.files), None),
    )


def _fetch(packages: OsPackages, cache: Store, tell: Tell) -> list[Gap]:
    """Bring the files into the user's cache now: archives keep only the newest version, and the build may be late."""
    try:
        with closing(open_session(read_configuration(Path(sys.executable)))) as session:
            # Asked for just now: what the archive does not have, no snapshot of this moment has either.
            fetch_os_packages(packages.packages, frozen_at="", cache=cache, session=session, environ={}, tell=tell)
    except EnvcapError as error:
        reason = redact_text(error.message.splitlines()[0].rstrip("."))
        return [
            Gap(
                where="os-packages",
                subject=", ".join(package.name for package in packages.packages),
                reason=f"they could not be downloaded now: {reason}",
                consequence="the build tries again, and fails if the archive has moved on by then",
            )
        ]
    return []


def _read_base(base: Base, system: System) -> _Base | None:
    """Read the package database of the base image; None where that is not possible."""
    if base.digest is None or system.libc != "glibc":
        return None
    try:
        with closing(open_container_engine(Path())) as engine:
            files = engine.read(f"{base.reference}@{base.digest}", [STATUS, _RELEASE_FILE, *SOURCES, *KEYRINGS])
    except NotRunError:
        return None
    if STATUS not in files:
        return None
    text = files.get(_RELEASE_FILE, b"").decode(errors="replace")
    fields = dict(re.findall(r'^(ID|VERSION_ID)="?([^"\n]*)"?$', text, re.MULTILINE))
    return _Base(
        release=f"{fields.get('ID', '')} {fields.get('VERSION_ID', '')}".strip(),
        packages=read_status(files[STATUS].decode(errors="replace")),
        files=files,
    )


def _no_look(names: list[str], reason: str) -> Gap:
    return Gap(
        where="os-packages",
        subject=", ".join(names),
        reason=reason,
        consequence="they are not put into the image; where the base lacks one, the evaluation will miss it there",
    )
