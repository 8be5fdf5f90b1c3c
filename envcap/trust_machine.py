"""What a lock may say of the machine around the packages: names, versions and files of the operating system. Pure."""

import re
from collections.abc import Iterator

from envcap.model.lock import Executable, Library, Lock, OsPackage

_DIGEST = re.compile(r"[0-9a-f]{64}")
_ADDRESS = re.compile(r"https?://[!-~]+")
# deb-control(5), deb-version(7); rpm allows capitals and `_` in names and `^` in versions too.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]*")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+:~^_-]*")
_ARCHITECTURE = re.compile(r"[a-z0-9][a-z0-9_-]*")
_DEB_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+")
_FILE = re.compile(r"[a-z0-9][a-z0-9+.-]+_[A-Za-z0-9.+~%-]+_[a-z0-9-]+\.deb")
_FLOOR = re.compile(r"[0-9]+(\.[0-9]+)*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]")


def complaints_about_machine(lock: Lock) -> Iterator[str]:
    """Tell what envcap would not have written."""
    for value in (lock.floor.glibc, lock.floor.glibcxx, lock.floor.cxxabi):
        if value is not None and _FLOOR.fullmatch(value) is None:
            yield f"the floor {value!r} is no version"
    for text in _inner_texts(lock):
        if _CONTROL.search(text):
            yield f"it says {text!r} of its runs, which has control characters"
    owned: list[Library | Executable] = [*lock.libraries, *lock.executables]
    for item in owned:
        for text in (item.name, item.path, *getattr(item, "needed_by", [])):
            if _CONTROL.search(text):
                yield f"it names the file {text!r}, which has control characters"
        if (item.package is None) != (item.version is None):
            yield f"the owner of {item.name!r} is named by half"
        checks = ((_NAME, item.package), (_VERSION, item.version), (_ARCHITECTURE, item.architecture))
        for form, value in checks:
            if value is not None and form.fullmatch(value) is None:
                yield f"the owner of {item.name!r} is {value!r}, which cannot be"
    if lock.os_packages is not None:
        if _CONTROL.search(lock.os_packages.release):
            yield f"the release {lock.os_packages.release!r} has control characters"
        yield from _complaints_about_os_packages(lock.os_packages.packages)


def _inner_texts(lock: Lock) -> Iterator[str]:
    for copy in lock.hardware.gpu_libraries:
        yield from (copy.name, copy.version, copy.path, copy.told_by)
    for name, value in lock.settings.items():
        yield from (name, value)
    for seed in lock.seeds:
        yield from (seed.file, seed.call)


def _complaints_about_os_packages(packages: list[OsPackage]) -> Iterator[str]:
    names: set[str] = set()
    for package in packages:
        checks = (
            (_DEB_NAME, package.name, "name"),
            (_VERSION, package.version, "version"),
            (_ARCHITECTURE, package.architecture, "architecture"),
            (_FILE, package.file, "file"),
            (_DIGEST, package.sha256, "sha256"),
            (_ADDRESS, package.url, "address"),
        )
        for form, value, what in checks:
            if form.fullmatch(value) is None:
                yield f"the OS package {package.name!r} has the {what} {value!r}, which is none"
        if package.size < 0 or _CONTROL.search(package.why):
            yield f"the OS package {package.name!r} has a size or a reason that cannot be"
        if package.name in names or package.sha256 in names:
            yield f"the OS package {package.name!r} is listed twice"
        names.update((package.name, package.sha256))
