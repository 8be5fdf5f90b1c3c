"""What a lock may not say of the operating system: its words become files of the context and arguments of dpkg."""

from typing import Any

import msgspec
import pytest

from envcap import lockfile
from envcap.errors import RefusedError
from envcap.model.lock import Floor, Lock, Toolkit

replace = msgspec.structs.replace


def with_os_package(lock: Lock, **changes: Any) -> Lock:
    assert lock.os_packages is not None
    first, *rest = lock.os_packages.packages
    return replace(lock, os_packages=replace(lock.os_packages, packages=[replace(first, **changes), *rest]))


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "libgomp1;reboot"},
        {"name": "--force-all"},
        {"name": "file"},  # twice
        {"version": "1 2"},
        {"version": "-1"},
        {"architecture": "amd64\n"},
        {"file": "../libgomp1_1_amd64.deb"},
        {"file": "a/libgomp1_1_amd64.deb"},
        {"file": "-x_1_amd64.deb"},
        {"file": "libgomp1_1_amd64.rpm"},
        {"file": "libgomp1_$(id)_amd64.deb"},
        {"sha256": "3" * 63},
        {"sha256": "4" * 64},  # that of another package
        {"url": "file:///etc/passwd"},
        {"url": "https://archive.example.org/a b"},
        {"size": -1},
        {"why": "x\x1b[2J"},
    ],
)
def test_an_os_package_that_envcap_would_not_write(changes: dict[str, Any], sample_lock: Lock) -> None:
    with pytest.raises(RefusedError):
        lockfile.dump(with_os_package(sample_lock, **changes))


@pytest.mark.parametrize(
    "changes",
    [{"name": "a\nb"}, {"path": "/usr/lib/\x1b"}, {"needed_by": ["\x00"]}, {"package": "a b"}, {"package": None},
     {"version": "$(id)"}, {"architecture": "x y"}],
)  # fmt: skip
def test_a_library_that_envcap_would_not_write(changes: dict[str, Any], sample_lock: Lock) -> None:
    first, *rest = sample_lock.libraries
    with pytest.raises(RefusedError):
        lockfile.dump(replace(sample_lock, libraries=[replace(first, **changes), *rest]))


def test_a_program_a_floor_or_a_release_that_envcap_would_not_write(sample_lock: Lock) -> None:
    assert sample_lock.os_packages is not None
    for lock in (
        replace(sample_lock, executables=[replace(sample_lock.executables[0], path="/usr/bin/\n")]),
        replace(sample_lock, floor=Floor(glibc="2.x")),
        replace(sample_lock, os_packages=replace(sample_lock.os_packages, release="debian\n12")),
        *(
            replace(sample_lock, os_packages=replace(sample_lock.os_packages, locales=[name]))
            for name in ("de_DE", "../de_DE.UTF-8", "de_DE.UTF-8 x", "$(id).UTF-8", "-i.UTF-8", "de_DE.UTF-8\n")
        ),
    ):
        with pytest.raises(RefusedError):
            lockfile.dump(lock)


@pytest.mark.parametrize(
    "changes",
    [{"locale": "/tmp/evil"}, {"locale": "a b"}, {"locale_categories": {"LC_TIME": "../x"}},
     {"locale_categories": {"LD_PRELOAD": "x.so"}}, {"locale_categories": {"LC_ALL": "C"}}],
)  # fmt: skip
def test_a_locale_that_envcap_would_not_write(changes: dict[str, Any], sample_lock: Lock) -> None:
    with pytest.raises(RefusedError):
        lockfile.dump(replace(sample_lock, system=replace(sample_lock.system, **changes)))


def test_a_toolkit_is_written_and_read(sample_lock: Lock, toolkit: Toolkit) -> None:
    lock = replace(sample_lock, toolkit=toolkit)
    assert lockfile.parse(lockfile.dump(lock), source="x") == lock
    assert b"toolkit" not in lockfile.dump(sample_lock)


@pytest.mark.parametrize(
    "changes",
    [
        {"release": "12"},
        {"release": "12.8; reboot"},
        {"libraries": []},
        {"libraries": ["libcudnn.so.9", "libcudart.so.12"]},
        {"libraries": ["libcudart.so.12", "libcudart.so.12"]},
        {"libraries": ["../../etc/shadow"]},
        {"libraries": ["libcudart.so.12\nlibc.so.6"]},
        {"libraries": ["libcu*.so"]},
    ],
)
def test_a_toolkit_that_envcap_would_not_write(changes: dict[str, Any], sample_lock: Lock, toolkit: Toolkit) -> None:
    with pytest.raises(RefusedError):
        lockfile.dump(replace(sample_lock, toolkit=replace(toolkit, **changes)))


@pytest.mark.parametrize("changes", [{"digest": None}, {"platform": "linux/arm64"}])
def test_nvidias_image_has_a_digest_and_the_bases_platform(
    changes: dict[str, Any], sample_lock: Lock, toolkit: Toolkit
) -> None:
    with pytest.raises(RefusedError, match="without a digest or for another platform"):
        lockfile.dump(replace(sample_lock, toolkit=replace(toolkit, image=replace(toolkit.image, **changes))))


def test_an_unknown_key_is_refused(sample_lock: Lock) -> None:
    text = lockfile.dump(sample_lock).decode()
    for table in ("[[tool.envcap.libraries]]", "[[tool.envcap.executables]]", "[[tool.envcap.os-packages.packages]]"):
        assert table in text
        with pytest.raises(RefusedError):
            lockfile.parse(text.replace(table, f"{table}\nscript = 'x'", 1).encode(), source="x")
