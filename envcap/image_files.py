"""Whether the files in an image are the frozen ones: its code always, its packages where the image came from elsewhere.

Nothing of the image is run for it: a program inside could have been made to say anything.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO

from packaging.utils import canonicalize_name

from envcap.assemble.wheel import write_wheel
from envcap.engines.engine import Engine
from envcap.model.image import Image, Installation
from envcap.model.layout import CODE_FOLDER
from envcap.model.lock import Lock, Package
from envcap.model.progress import Progress, Tell
from envcap.model.struct import Data
from envcap.model.verdict import Finding
from envcap.pins.record import INSTALLER_FILES, encode_digest, parse_record
from envcap.places import download_cache, lock_store
from envcap.project.code import frozen_files
from envcap.render.layers import installation_of
from envcap.trust.known import is_known, remember

_MORE_CODE = 64 << 20  # bytes that the code inside may have beyond the frozen: more of it is not looked through
_MOST_PACKAGES = 1 << 40  # bytes of an environment
_MOST_NAMED = 5
_MOST_FINDINGS = 20
_TAKEN_AS_THEY_ARE = (
    "the image was not built here: its interpreter, operating system, settings and byte code were taken as they are; "
    "`envcap build` makes one of your own"
)


class Examined(Data, frozen=True, kw_only=True):
    """What was compared, in words for the verdict, what was not, and each file that is not the frozen one."""

    compared: list[str]
    notes: list[str] = []
    findings: list[Finding] = []


def remember_image(image: Image, *, own: Path, tell: Tell) -> None:
    """Note that this user built the image here."""
    if not remember(_key(image), how="built", folder=own):
        tell(Progress(kind="notice", text=f"`{own}` cannot be written: verify will not take this image for yours"))


def _key(image: Image) -> str:
    """Name an image by its engine and content: another content has another id."""
    return hashlib.sha256(f"{image.engine}\n{image.identity}".encode()).hexdigest()


def examine_files(
    engine: Engine, image: Image, lock: Lock, project: Path, *, environ: Mapping[str, str], own: Path | None, tell: Tell
) -> Examined:
    """Compare the code, and the packages of an image that is not in `own`, file by file with what the lock names.

    Raises RefusedError where the frozen code is gone or damaged, or the image holds far more than it.
    """
    frozen = frozen_files(lock.code, lock_store(project))
    inside = engine.fingerprints(image, f"/{CODE_FOLDER}", most=2 * lock.code.size + _MORE_CODE)
    findings = _differences("code", frozen, inside)
    if findings:
        return Examined(compared=[f"the code inside: {len(frozen)} files were frozen"], findings=findings)
    compared = [f"the code inside: {len(frozen)} files, each as frozen"]
    if engine.name == "venv":  # it knows only those that were built here
        return Examined(compared=[*compared, "the packages inside: name and version; they were installed here"])
    if own is not None and is_known(_key(image), folder=own):
        return Examined(compared=[*compared, "the packages inside: name and version; the image was built here"])
    tell(Progress(kind="step", text="comparing the packages inside file by file: the image was not built here"))
    packages = _compare_packages(engine, image, lock, project, environ=environ)
    return Examined(
        compared=[*compared, *packages.compared],
        notes=[*packages.notes, _TAKEN_AS_THEY_ARE],
        findings=packages.findings,
    )


def _differences(where: str, frozen: Mapping[str, str], inside: Mapping[str, str]) -> list[Finding]:
    """Name each file that is another, missing or too much, the first ones of many."""
    paths = [path for path in sorted({*frozen, *inside}) if frozen.get(path) != inside.get(path)]
    findings = [
        Finding(
            where=where,
            subject=_shown(path),
            frozen=_told(frozen.get(path)),
            observed=_told(inside.get(path)),
            fatal=True,
        )
        for path in paths[:_MOST_FINDINGS]
    ]
    if len(paths) > _MOST_FINDINGS:
        more = f"{len(paths) - _MOST_FINDINGS} more files"
        findings.append(Finding(where=where, subject=more, frozen="as frozen", observed="not", fatal=True))
    return findings


def _told(fingerprint: str | None) -> str:
    """Say in a few words what a file is."""
    if fingerprint is None:
        return "missing"
    if fingerprint.startswith("link:"):
        return f"a link to {_shown(fingerprint.removeprefix('link:'))}"
    words = {"-": "sha256 ", "x": "a program, sha256 "}
    return f"{words[fingerprint[0]]}{fingerprint[1:13]}…" if fingerprint[0] in words else fingerprint


def _shown(path: str) -> str:
    """Give a stranger's file name as one line."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape", "replace").decode() for one in path)


def _some(paths: list[str]) -> str:
    more = f" and {len(paths) - _MOST_NAMED} more" if len(paths) > _MOST_NAMED else ""
    return ", ".join(f"`{path}`" for path in sorted(paths)[:_MOST_NAMED]) + more


def _compare_packages(
    engine: Engine, image: Image, lock: Lock, project: Path, *, environ: Mapping[str, str]
) -> Examined:
    """Compare what is installed with what installing the wheels gives: all of the site folder, nothing beside it.

    A package whose wheel is not at hand is held against its own list of files, which proves less.
    """
    installation = installation_of(lock)
    site = f"{installation.site.removeprefix(installation.prefix)}/".lstrip("/")
    expected, without = _expected(lock, installation, project, environ=environ)
    inside = engine.fingerprints(image, installation.prefix, most=_MOST_PACKAGES)
    inside = {path: f"-{digest[1:]}" if digest[:1] == "x" else digest for path, digest in inside.items()}
    records = _records(without, site, inside)
    contents = engine.read(image.identity, [f"{installation.prefix}/{path}" for path in records])
    listed = _listed(contents.values(), site, inside)
    expected = {**listed, **expected}
    scripts = [path for path in expected if path.startswith("bin/") and inside.get(path) != expected[path]]
    held = {path: digest for path, digest in expected.items() if path not in scripts}
    found = {
        path: digest
        for path, digest in inside.items()
        if path in held or (path.startswith(site) and not _is_written_by_installers(path) and lock.conda_prefix is None)
    }
    notes = [f"start scripts are not as envcap writes them (pip has its own form): {_some(scripts)}"] if scripts else []
    if without:
        names = _some([package.name for package in without])
        notes.append(f"the wheels of {names} are not here: their files were held against lists in the image itself")
    if lock.conda_prefix is not None:
        notes.append("the files of conda packages in the image were not compared")
    count = len(lock.packages) - len(without)
    compared = f"the packages inside: {len(held) - len(listed)} files of {count} packages, file by file"
    return Examined(compared=[compared], notes=notes, findings=_differences("packages", held, found))


def _expected(
    lock: Lock, installation: Installation, project: Path, *, environ: Mapping[str, str]
) -> tuple[dict[str, str], list[Package]]:
    """Give the fingerprint of each file that the wheels at hand install, and the packages whose wheels are not."""
    store, cache = lock_store(project), download_cache(environ, project=project)
    digests = _Digests(installation.prefix)
    without = []
    for package in lock.packages:
        wheel = package.wheel
        path = store.find(wheel.sha256, wheel.name) or cache.find(wheel.sha256, wheel.name)
        if path is None:
            without.append(package)
        else:
            write_wheel(path, digests, installation)
    return digests.found, without


class _Digests:
    """Takes the files of an installation, and keeps of each what it is; not those that every installer writes anew."""

    def __init__(self, prefix: str) -> None:
        self._prefix = f"{prefix}/".lstrip("/")
        self.found: dict[str, str] = {}

    def add(self, name: str, content: IO[bytes], *, size: int, executable: bool = False) -> None:
        """Take one file. The later of two wheels wins, as with an installer."""
        del size, executable
        path = name.removeprefix(self._prefix)
        if not _is_written_by_installers(path):
            digest = hashlib.sha256()
            while piece := content.read(1 << 20):
                digest.update(piece)
            self.found[path] = f"-{digest.hexdigest()}"


def _records(packages: list[Package], site: str, inside: Mapping[str, str]) -> list[str]:
    """Name the lists of files that these packages have inside."""
    wanted = {package.name for package in packages}
    return [
        path
        for path in inside
        if path.startswith(site)
        and path.endswith(".dist-info/RECORD")
        and canonicalize_name(path.removeprefix(site).partition("-")[0]) in wanted
    ]


def _listed(records: Iterable[bytes], site: str, inside: Mapping[str, str]) -> dict[str, str]:
    """Give what each file below the site folder is to be, by what these lists say of it."""
    told: dict[str, str] = {}
    for content in records:
        for path, digest in parse_record(content.decode(errors="replace")).items():
            if not path.startswith(("/", "../")) and not _is_written_by_installers(path):
                told[f"{site}{path}"] = digest
    return {path: inside[path] if _is_digest_of(inside.get(path), told[path]) else told[path] for path in told}


def _is_digest_of(fingerprint: str | None, recorded: str) -> bool:
    """Tell whether a file is the one that a RECORD names; where that names no digest, any is."""
    if fingerprint is None or not recorded:
        return fingerprint is not None
    return fingerprint.startswith("-") and encode_digest(bytes.fromhex(fingerprint[1:])) == recorded


def _is_written_by_installers(path: str) -> bool:
    folder, _, name = path.rpartition("/")
    return name.endswith(".pyc") or (folder.endswith(".dist-info") and name in INSTALLER_FILES)
