"""What a lock may say of the machine around the packages: names, versions and files of the operating system. Pure."""

import re
from collections.abc import Iterator

from envcap.locales import COMPILED
from envcap.model.lock import Executable, Library, Lock, OsPackage, Toolkit
from envcap.trust.forms import ADDRESS, DIGEST, complaints_about_forms, complaints_about_lines, show

# deb-control(5), deb-version(7); rpm allows capitals and `_` in names and `^` in versions too.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]*")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+:~^_-]*")
_ARCHITECTURE = re.compile(r"[a-z0-9][a-z0-9_-]*")
_DEB_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+")
_FILE = re.compile(r"[a-z0-9][a-z0-9+.-]+_[A-Za-z0-9.+~%-]+_[a-z0-9-]+\.deb")
_LOCALE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@+-]*|")  # the C library takes one with a slash for a file
_CATEGORY = re.compile(r"LC_(COLLATE|CTYPE|MESSAGES|MONETARY|NUMERIC|TIME)")  # they become variables
_FLOOR = re.compile(r"[0-9]+(\.[0-9]+)*")
_RELEASE = re.compile(r"[0-9]+\.[0-9]+")
_KINDS = ("environment", "system", "project", "data")
_SONAME = re.compile(r"lib[A-Za-z0-9_-]+\.so(\.[0-9]+)*")


def complaints_about_machine(lock: Lock) -> Iterator[str]:
    """Tell what envcap would not have written."""
    for value in (lock.floor.glibc, lock.floor.glibcxx, lock.floor.cxxabi):
        yield from complaints_about_forms("the floor", [(_FLOOR, value, "version")])
    names = [("LC_CTYPE", lock.system.locale), *lock.system.locale_categories.items()]
    yield from complaints_about_forms("the system", [(_LOCALE, name, "locale") for _, name in names])
    yield from complaints_about_forms("the system", [(_CATEGORY, name, "category") for name, _ in names])
    yield from complaints_about_lines("it: one of its runs", _inner_texts(lock))
    for kind, count in lock.watched.read.items():
        if kind not in _KINDS or count < 0:
            yield f"its runs read {count} files of {show(kind)}, which cannot be"
    owned: list[Library | Executable] = [*lock.libraries, *lock.executables]
    for item in owned:
        yield from complaints_about_lines("a library or program", (item.name, item.path, *_dependents(item)))
        if (item.package is None) != (item.version is None):
            yield f"the owner of {show(item.name)} is named by half"
        parts = (
            (_NAME, item.package, "name"),
            (_VERSION, item.version, "version"),
            (_ARCHITECTURE, item.architecture, "architecture"),
        )
        yield from complaints_about_forms(f"the owner of {show(item.name)}", parts)
    if lock.os_packages is not None:
        yield from complaints_about_lines("the release", [lock.os_packages.release])
        yield from _complaints_about_os_packages(lock.os_packages.packages)
        locales = [(COMPILED, name, "locale") for name in lock.os_packages.locales]
        yield from complaints_about_forms("the image", locales)
    if lock.toolkit is not None:
        yield from _complaints_about_toolkit(lock.toolkit, platform=lock.base.platform)


def _complaints_about_toolkit(toolkit: Toolkit, *, platform: str) -> Iterator[str]:
    owner = "the toolkit"
    yield from complaints_about_forms(owner, [(_RELEASE, toolkit.release, "release")])
    yield from complaints_about_forms(owner, [(_SONAME, name, "library") for name in toolkit.libraries])
    if not toolkit.libraries or toolkit.libraries != sorted(set(toolkit.libraries)):
        yield f"{owner} has libraries that are not in order"
    if toolkit.image.digest is None or toolkit.image.platform != platform:
        yield f"the image {show(toolkit.image.reference)} of {owner} is without a digest or for another platform"


def _dependents(item: Library | Executable) -> list[str]:
    return item.needed_by if isinstance(item, Library) else []


def _inner_texts(lock: Lock) -> Iterator[str]:
    for copy in lock.hardware.gpu_libraries:
        yield from (copy.name, copy.version, copy.path, copy.told_by)
    for name, value in lock.settings.items():
        yield from (name, value)
    for seed in lock.seeds:
        yield from (seed.file, seed.call)
    yield from (*lock.watched.written, *lock.watched.undeclared)


def _complaints_about_os_packages(packages: list[OsPackage]) -> Iterator[str]:
    names: set[str] = set()
    for package in packages:
        owner = f"the OS package {show(package.name)}"
        parts = (
            (_DEB_NAME, package.name, "name"),
            (_VERSION, package.version, "version"),
            (_ARCHITECTURE, package.architecture, "architecture"),
            (_FILE, package.file, "file"),
            (DIGEST, package.sha256, "sha256"),
            (ADDRESS, package.url, "address"),
        )
        yield from complaints_about_forms(owner, parts)
        yield from complaints_about_lines(owner, [package.why])
        if package.size < 0:
            yield f"{owner} has the size {package.size}, which cannot be"
        if package.name in names or package.sha256 in names:
            yield f"{owner} is listed twice"
        names.update((package.name, package.sha256))
