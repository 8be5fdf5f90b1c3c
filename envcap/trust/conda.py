"""What a stranger's lock could hide among its conda packages: file names, addresses, and the folder to install into.

Pure. Every text that becomes a path, an address or a line of a file that envcap writes must be of a known form.
"""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from envcap.model.lock import CondaPackage, CondaPrefix, Lock, Wheel
from envcap.trust.forms import (
    DIGEST,
    complaints_about_file,
    complaints_about_forms,
    complaints_about_lines,
    has_control_characters,
    show,
)

# conda's own rules (CEP 26, "Identifying packages and channels"), wide enough for what old packages hold.
_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]*")
_VERSION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.!+-]*")
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+!~-]*\.(conda|tar\.bz2)")
_SUBDIR = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_WHEEL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+!-]*\.whl")
_MD5 = re.compile(r"[0-9a-f]{32}")
_ADDRESS = re.compile(r"https?://[!\"$-~]+")  # printable ASCII without spaces, and without the `#` before a digest
_TOOLS = {"conda", "mamba", "micromamba", "pixi", "unknown"}
_NOARCH = {None, "python", "generic"}
# Folders that hold the base image's own files or the container's: packages among them would replace those.
_TAKEN = "bin boot dev etc lib lib32 lib64 libx32 proc run sbin sys usr"
# The same below /usr/local (Filesystem Hierarchy Standard, section 4.9), where conda often has a folder beside them.
_LOCAL = PurePosixPath("/usr/local")
_TAKEN_LOCAL = "bin etc games include lib lib32 lib64 libexec libx32 man sbin share src"
_TAKEN_WHOLE = {"/home", "/media", "/mnt", "/opt", "/root", "/srv", "/tmp", "/var", "/work"}  # noqa: S108


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
            yield f"the conda package {show(package.name)} is listed twice"
        names.update((package.name, package.file))


def is_usable_prefix(path: str) -> bool:
    """Tell whether packages may be installed into that folder of an image."""
    pure = PurePosixPath(path)
    if not pure.is_absolute() or str(pure) != path or ".." in pure.parts or len(pure.parts) < 2:
        return False
    plain = not has_control_characters(path) and path not in _TAKEN_WHOLE and not path.startswith("//")
    if _LOCAL in pure.parents:
        return plain and pure.parts[3] not in _TAKEN_LOCAL.split()
    return plain and pure.parts[1] not in _TAKEN.split()


def _complaints_about_prefix(prefix: CondaPrefix) -> Iterator[str]:
    if not is_usable_prefix(prefix.path):
        yield f"{show(prefix.path)} is no folder that conda packages may be installed into"
    if prefix.tool not in _TOOLS:
        yield f"{show(prefix.tool)} made no conda environment"
    yield from complaints_about_forms("the archive of edited files", [(DIGEST, prefix.edits, "sha256")])
    if prefix.installer is not None:
        if _WHEEL.fullmatch(prefix.installer.name) is None:
            yield f"{show(prefix.installer.name)} is no name of a wheel"
        yield from _complaints_about_archive(prefix.installer)
    yield from complaints_about_lines("a virtual package", prefix.virtual_packages)


def _complaints_about_package(package: CondaPackage) -> Iterator[str]:
    forms = [
        (_NAME, package.name, "name"),
        (_VERSION, package.version, "version"),
        (_VERSION, package.build, "build"),
        (_SUBDIR, package.subdir, "platform"),
        (_FILE, package.file, "file"),
        (_MD5, package.md5, "md5"),
    ]
    owner = f"the conda package {show(package.name)}"
    yield from complaints_about_forms(owner, forms)
    if package.noarch not in _NOARCH:
        yield f"{owner} is noarch {show(str(package.noarch))}, which is unknown"
    yield from complaints_about_lines(
        owner, (package.channel, *package.requested, *package.depends, *package.constrains)
    )
    yield from _complaints_about_archive(package.archive)


def _complaints_about_archive(file: Wheel) -> Iterator[str]:
    yield from complaints_about_file(show(file.name), file, address=_ADDRESS)
    if (file.url is None) == (file.path is None):
        yield f"{show(file.name)} must have either an address or a place in the store"
