"""Every conda package as an immutable archive: from its channel where that serves it, else kept beside the lock.

No solver and no conda program is asked. Menu files are ordinary files here: no shortcut is made of them, and none
was ever part of a number.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import msgspec

from envcap.errors import FileRefusedError, NotRunError, RefusedError
from envcap.model.facts import CondaRecord, Facts
from envcap.model.gap import Gap
from envcap.model.lock import CondaPackage, CondaPrefix
from envcap.model.progress import Progress, Tell
from envcap.model.struct import Data
from envcap.pins.conda_files import Contradictions, check_conda_files, keep_edits
from envcap.pins.conda_gaps import conda_gap, file_gaps, prefix_gaps, require_usable, script_gaps
from envcap.pins.conda_installer import pin_installer
from envcap.pins.conda_machine import virtual_packages
from envcap.pins.configuration import Configuration
from envcap.pins.download import Source, download
from envcap.redact import redact_text, strip_credentials
from envcap.store import STORE_FOLDER, Store, file_sha256
from envcap.threads import run_each

if TYPE_CHECKING:
    import requests

_THREADS = 8
_ENDINGS = (".conda", ".tar.bz2")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MD5 = re.compile(r"[0-9a-f]{32}")
_LOST = "the image will not have it as a conda package; Python code of it is carried as a wheel where that can be made"


class CondaPinned(Data, frozen=True, kw_only=True):
    """The conda layer: None and nothing where the environment is not conda's. `facts` knows what is left for pip."""

    facts: Facts
    packages: list[CondaPackage] = []
    prefix: CondaPrefix | None = None  # without the archive of edited files, which `with_edits` adds
    changed: Contradictions = Contradictions()
    gaps: list[Gap] = []


class _One(Data, frozen=True, kw_only=True):
    package: CondaPackage | None = None
    gap: Gap | None = None


def pin_conda(facts: Facts, *, configuration: Configuration, store: Store, cache: Store, tell: Tell) -> CondaPinned:
    """Give a package for every record of conda-meta whose archive can be had, and a Gap wherever a word is due.

    Distributions of the others, and those that pip put over conda's, are left to the ordinary pins. Raises NotRunError
    when an index or a channel cannot be read, and for an environment that no image can have.
    """
    from envcap.pins.session import open_session

    conda = facts.conda
    if conda is None or facts.interpreter.kind != "conda":
        return CondaPinned(facts=_without_owners(facts, keep=set()))
    require_usable(facts.prefix, conda.records)
    tell(Progress(kind="step", text=f"pinning {len(conda.records)} conda packages"))
    with open_session(configuration) as session:
        parts = _pin_each(conda.records, store=store, cache=cache, session=session, tell=tell)
        installer, installer_gaps = pin_installer(
            facts, configuration=configuration, store=store, cache=cache, tell=tell
        )
    packages = sorted((part.package for part in parts if part.package is not None), key=lambda package: package.name)
    found = check_conda_files(facts, tell=tell)
    facts = _without_owners(facts, keep={package.name for package in packages}, replaced=found.replaced)
    prefix = CondaPrefix(
        path=facts.prefix,
        tool=conda.tool,
        virtual_packages=virtual_packages(facts),
        installer=installer,
    )
    gaps = [
        *(part.gap for part in parts if part.gap is not None),
        *script_gaps(conda),
        *file_gaps(found),
        *prefix_gaps(facts.prefix),
        *installer_gaps,
    ]
    return CondaPinned(facts=facts, packages=packages, prefix=prefix, changed=found, gaps=gaps)


def with_edits(pinned: CondaPinned, unowned: Sequence[str], *, store: Store) -> CondaPrefix | None:
    """Give the prefix with the files kept that were changed, and those that no package owns and the runs used."""
    if pinned.prefix is None:
        return None
    edits = keep_edits(Path(pinned.facts.prefix), pinned.changed, store, unowned=unowned)
    return msgspec.structs.replace(pinned.prefix, edits=edits)


def _without_owners(facts: Facts, *, keep: set[str], replaced: Sequence[str] = ()) -> Facts:
    """Give the facts with conda named as the owner only of what the conda layer will bring."""
    return msgspec.structs.replace(
        facts,
        distributions=[
            one
            if one.conda is None or (one.conda in keep and one.path not in replaced)
            else msgspec.structs.replace(one, conda=None)
            for one in facts.distributions
        ],
    )


def _pin_each(
    records: Sequence[CondaRecord], *, store: Store, cache: Store, session: requests.Session, tell: Tell
) -> list[_One]:
    def work(number: int) -> _One:
        return _pin_one(records[number], store=store, cache=cache, session=session)

    parts: dict[int, _One] = {}
    for number, part in run_each(work, range(len(records)), threads=_THREADS):
        parts[number] = part
        tell(Progress(kind="count", text="pinning conda packages", done=len(parts), total=len(records)))
    return [parts[number] for number in sorted(parts)]


def _pin_one(record: CondaRecord, *, store: Store, cache: Store, session: requests.Session) -> _One:
    """Give the package by its address and sha256; where the record has no such pair, its archive is looked for."""
    name = archive_name(record)
    if not name:
        return _One(gap=conda_gap(record, "its record names no archive", _LOST))
    public = _public_address(record.url)
    if public is not None and record.sha256 is not None and _SHA256.fullmatch(record.sha256):
        return _One(package=_package(record, name, sha256=record.sha256, size=record.size, url=public))
    if public is None or _stated(record):
        return _from_archive(record, name, public=public, store=store, cache=cache, session=session)
    return _One(gap=conda_gap(record, "its record states neither a sha256 nor an md5", _LOST))


def _from_archive(
    record: CondaRecord, name: str, *, public: str | None, store: Store, cache: Store, session: requests.Session
) -> _One:
    """Give the package by looking at its archive: on this machine, else where the record says it came from.

    The archive is kept beside the lock unless everybody can fetch it from `public`.
    """
    path = next((path for path in kept_archives(record, name) if _is_as_stated(path, record)), None)
    secret = record.url if record.url and urlsplit(record.url).scheme in {"http", "https"} else None
    if path is None and secret is not None:
        source = Source(url=secret, name=name, what=f"`{record.name}`", sha256=record.sha256, size=record.size)
        try:
            path = download(source, session=session, cache=cache).path
        except (FileRefusedError, RefusedError) as error:
            return _One(gap=conda_gap(record, f"its archive cannot be had: {redact_text(error.message)}", _LOST))
        except NotRunError as error:
            raise _unreachable(record, error) from error
        if not _is_as_stated(path, record):
            return _One(gap=conda_gap(record, "its channel now has another archive under its name", _LOST))
    if path is None:
        where = "it was built on this machine" if record.url is None else "it came from a folder of this machine"
        return _One(gap=conda_gap(record, f"{where}, and its archive is not there any more", _LOST))
    sha256, size = file_sha256(path), path.stat().st_size
    if public is not None:
        package = _package(record, name, sha256=sha256, size=size, url=public)
        reason = f"its record has only an md5; the sha256 is that of the archive with this md5 today, {sha256[:12]}…"
        consequence = "whoever can make two archives with one md5 could have replaced it before the freeze"
        return _One(package=package, gap=conda_gap(record, reason, consequence))
    store.add_file(path)
    kept = f"{STORE_FOLDER}/{sha256}/{name}"
    package = _package(record, name, sha256=sha256, size=size, path=kept)
    if _stated(record):
        return _One(package=package)
    reason = "its record states no digest, so the archive of its name on this machine was taken"
    return _One(package=package, gap=conda_gap(record, reason, "nobody can show that it is what was installed"))


def _unreachable(record: CondaRecord, error: NotRunError) -> NotRunError:
    """Give the error for a channel that does not answer: an image without the package would seldom work."""
    return NotRunError(
        f"The archive of the conda package `{record.name}` cannot be had: {redact_text(error.message)}",
        hint="Freeze where its channel can be reached, with the login that it asks for; or let conda keep the archive "
        "here: `conda install --download-only --force-reinstall` brings it into the folder `pkgs`.",
    )


def archive_name(record: CondaRecord) -> str:
    """Give the file name of the archive, by its record or address; empty where it is none."""
    name = record.file or unquote(urlsplit(record.url or "").path.rpartition("/")[2])
    if not name.endswith(_ENDINGS) and not record.url:
        name = f"{record.name}-{record.version}-{record.build}.conda"
    plain = PurePosixPath(name).name == name and re.fullmatch(r"[A-Za-z0-9_.+!~-]+", name) is not None
    return name if plain and name.endswith(_ENDINGS) else ""


def kept_archives(record: CondaRecord, name: str) -> list[Path]:
    """List where this machine may still have the archive: at its `file:` address, in the package caches."""
    places = []
    parts = urlsplit(record.url or "")
    if parts.scheme == "file":
        places.append(Path(unquote(parts.path)))
    for kept in record.kept:
        path = Path(kept)
        places.append(path if path.name == name else path.parent / name)
    return [path for path in dict.fromkeys(places) if path.is_absolute() and path.name == name and path.is_file()]


def _is_as_stated(path: Path, record: CondaRecord) -> bool:
    if record.sha256 is not None:
        return file_sha256(path) == record.sha256
    if record.md5 is None:
        return True
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest() == record.md5


def _stated(record: CondaRecord) -> bool:
    return bool((record.sha256 and _SHA256.fullmatch(record.sha256)) or (record.md5 and _MD5.fullmatch(record.md5)))


def _public_address(url: str | None) -> str | None:
    """Give the address where anybody can fetch it: None for files, and for those that need a secret in them."""
    if not url or urlsplit(url).scheme not in {"http", "https"} or strip_credentials(url) != url:
        return None
    return url


def _package(
    record: CondaRecord, name: str, *, sha256: str, size: int | None, url: str | None = None, path: str | None = None
) -> CondaPackage:
    return CondaPackage(
        name=record.name,
        version=record.version,
        build=record.build,
        build_number=record.build_number,
        subdir=record.subdir or "noarch",
        channel=_public_channel(record),
        file=name,
        sha256=sha256,
        md5=record.md5 if record.md5 and _MD5.fullmatch(record.md5) else None,
        url=url,
        path=path,
        size=size,
        noarch=record.noarch,
        requested=[strip_credentials(spec) for spec in record.requested],
        depends=record.depends,
        constrains=record.constrains,
    )


def _public_channel(record: CondaRecord) -> str:
    """Give the channel's address without the platform's folder and without credentials; a folder here is `local`."""
    channel = strip_credentials(record.channel or "").rstrip("/")
    if not channel or urlsplit(channel).scheme == "file" or channel.startswith("/"):
        return "local"
    return channel.removesuffix(f"/{record.subdir}") if record.subdir else channel
