"""What a stranger's lock could hide among its conda packages: file names, addresses, and the folder to install into.

Pure. Every text that becomes a path, an address or a line of a file that envcap writes must be of a known form.
"""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from envcap.model.lock import CondaPackage, CondaPrefix, Lock, Wheel
from envcap.store import STORE_FOLDER

# conda's own rules (CEP 26, "Identifying packages and channels"), wide enough for what old packages hold.
_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]*")
_VERSION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.!+-]*")
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+!~-]*\.(conda|tar\.bz2)")
_SUBDIR = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_WHEEL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+!-]*\.whl")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MD5 = re.compile(r"[0-9a-f]{32}")
_ADDRESS = re.compile(r"https?://[!\"$-~]+")  # printable ASCII without spaces, and without the `#` before a digest
_LINE = re.compile(r"[^\x00-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]*")
_TOOLS = {"conda", "mamba", "micromamba", "pixi", "unknown"}
_NOARCH = {None, "python", "generic"}
# Folders that hold the base image's own files or the container's: packages among them would replace those.
_TAKEN = "bin boot dev etc lib lib32 lib64 libx32 proc run sbin sys usr"
_TAKEN_WHOLE = {"/home", "/media", "/mnt", "/opt", "/root", "/srv", "/tmp", "/var", "/work"}  # noqa: S108
_LONGEST_SHOWN = 200


def complaints_about_conda(lock: Lock) -> Iterator[str]:
    """Give a complaint for each value that envcap never writes."""
    if lock.conda_prefix is not None:
        yield from _complaints_about_prefix(lock.conda_prefix)
    elif lock.conda:
        yield "it holds conda packages and no folder to install them into"
    names: set[str] = set()
    for package in lock.conda:
        yield from _complaints_about_package(package)
        if package.name in names or package.file in names:
            yield f"the conda package {_show(package.name)} is listed twice"
        names.update((package.name, package.file))


def is_usable_prefix(path: str) -> bool:
    """Tell whether packages may be installed into that folder of an image."""
    pure = PurePosixPath(path)
    if not pure.is_absolute() or str(pure) != path or ".." in pure.parts or len(pure.parts) < 2:
        return False
    plain = _LINE.fullmatch(path) is not None and path not in _TAKEN_WHOLE and not path.startswith("//")
    return plain and pure.parts[1] not in _TAKEN.split()


def _complaints_about_prefix(prefix: CondaPrefix) -> Iterator[str]:
    if not is_usable_prefix(prefix.path):
        yield f"{_show(prefix.path)} is no folder that conda packages may be installed into"
    if prefix.tool not in _TOOLS:
        yield f"{_show(prefix.tool)} made no conda environment"
    if prefix.edits is not None and _SHA256.fullmatch(prefix.edits) is None:
        yield f"the edited files have the sha256 {_show(prefix.edits)}, which is none"
    if prefix.installer is not None:
        if _WHEEL.fullmatch(prefix.installer.name) is None:
            yield f"{_show(prefix.installer.name)} is no name of a wheel"
        yield from _complaints_about_file(prefix.installer)
    for text in prefix.virtual_packages:
        if _LINE.fullmatch(text) is None:
            yield f"{_show(text)} is no virtual package"


def _complaints_about_package(package: CondaPackage) -> Iterator[str]:
    forms = [
        (_NAME, package.name, "name"),
        (_VERSION, package.version, "version"),
        (_VERSION, package.build, "build"),
        (_SUBDIR, package.subdir, "platform"),
        (_FILE, package.file, "file"),
    ]
    for form, text, what in forms:
        if form.fullmatch(text) is None:
            yield f"the conda package {_show(package.name)} has the {what} {_show(text)}, which none has"
    if package.noarch not in _NOARCH:
        yield f"the conda package {_show(package.name)} is noarch {_show(str(package.noarch))}, which is unknown"
    if package.md5 is not None and _MD5.fullmatch(package.md5) is None:
        yield f"the conda package {_show(package.name)} has the md5 {_show(package.md5)}, which is none"
    for text in (package.channel, *package.requested, *package.depends, *package.constrains):
        if _LINE.fullmatch(text) is None:
            yield f"the conda package {_show(package.name)} says {_show(text)}, which is not one line"
    yield from _complaints_about_file(package.archive)


def _complaints_about_file(file: Wheel) -> Iterator[str]:
    if _SHA256.fullmatch(file.sha256) is None:
        yield f"{_show(file.name)} has the sha256 {_show(file.sha256)}, which is none"
    if (file.url is None) == (file.path is None):
        yield f"{_show(file.name)} must have either an address or a place in the store"
    if file.url is not None and _ADDRESS.fullmatch(file.url) is None:
        yield f"{_show(file.name)} is to come from {_show(file.url)}, which is no web address"
    if file.path is not None and file.path != f"{STORE_FOLDER}/{file.sha256}/{file.name}":
        yield f"{_show(file.name)} is {_show(file.path)}, which is not its place in the store"


def _show(text: str) -> str:
    return f"`{text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + '…'}`"
