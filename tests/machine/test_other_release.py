"""OS packages for a base of another release: sources of both forms, lists of contents, and Debian's real archive."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envcap.errors import NotRunError
from envcap.machine.debian import Installed
from envcap.machine.other_release import BaseArchive, find_owners, read_sources, resolve_elsewhere, wishes_of
from envcap.model.lock import Executable, Library

DEB822 = """\
# Debian's own form
Types: deb deb-src
URIs: http://archive.example.org/debian
Suites: trixie trixie-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: file:/srv/mirror https://more.example.org/debian
Suites: trixie
Components: main

Types: deb
URIs: https://off.example.org/debian
Suites: trixie
Components: main
Enabled: no
"""
ONE_LINE = """\
deb [signed-by=/etc/key.gpg trusted=yes] http://archive.example.org/debian bookworm main  # the usual one
deb-src http://archive.example.org/debian bookworm main
deb cdrom:[Debian] bookworm main
# deb http://remark.example.org/debian bookworm main
"""
CONTENTS = [
    b"usr/lib/x86_64-linux-gnu/libgomp.so.1     libs/libgomp1,libdevel/other\nlib/x86_64-linux-gnu/lib",
    b"z.so.1 libs/zlib1g\nusr/share/doc/a file with spaces/usr/bin/git        doc/wrong\nusr/bin/git",
    b"        vcs/git\n",
]


def test_sources_of_both_forms() -> None:
    assert read_sources(DEB822) == (
        "deb http://archive.example.org/debian trixie main contrib\n"
        "deb http://archive.example.org/debian trixie-updates main contrib\n"
        "deb https://more.example.org/debian trixie main\n"
    )
    assert read_sources(ONE_LINE) == "deb http://archive.example.org/debian bookworm main\n"


@given(st.text())
def test_any_text_gives_entries_or_none(text: str) -> None:
    for line in read_sources(text).splitlines():
        assert line.startswith(("deb http://", "deb https://"))
        assert "[" not in line.split()[0]


def test_owners_of_files() -> None:
    paths = ["usr/lib/x86_64-linux-gnu/libgomp.so.1", "usr/lib/x86_64-linux-gnu/libz.so.1", "usr/bin/git", "usr/bin/gi"]
    assert find_owners([iter(CONTENTS)], paths) == {
        "usr/lib/x86_64-linux-gnu/libgomp.so.1": "libgomp1",
        "usr/lib/x86_64-linux-gnu/libz.so.1": "zlib1g",  # merged here, not there
        "usr/bin/git": "git",
    }
    assert find_owners([iter(CONTENTS)], []) == {}


def test_what_is_asked_for() -> None:
    held = {name: Installed(name=name, version="1.0", architecture="amd64") for name in ("libgomp1", "git")}
    folder = "/usr/lib/x86_64-linux-gnu"
    library = Library(name="libgomp.so.1", path=f"{folder}/libgomp.so.1.0.0", seen="both", package="libgomp1")
    program = Executable(name="git", path="/usr/bin/git", package="git")
    wishes = wishes_of({"libgomp1": "libgomp.so.1", "git": "git", "gone": "x"}, held, [library, program])
    assert [(wish.package, wish.paths) for wish in wishes] == [
        ("git", ["usr/bin/git"]),
        ("libgomp1", [f"{folder}/libgomp.so.1"[1:], f"{folder}/libgomp.so.1.0.0"[1:]]),
    ]


def test_a_base_without_sources_is_said() -> None:
    with pytest.raises(NotRunError, match="names no archive"):
        resolve_elsewhere([], BaseArchive(release="x", sources="", status=b""), architecture="amd64", environ={})


def stanza(name: str, version: str) -> str:
    return f"Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\n\n"


@pytest.mark.network
def test_a_renamed_library_is_found_by_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian 13 renamed what Debian 12 calls libglib2.0-0; the base has its own C library, which stays."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    listed = Path("/etc/apt/sources.list.d").glob("debian.sources")
    mine = "\n".join(path.read_text() for path in [*listed, Path("/etc/apt/sources.list")] if path.is_file())
    address = read_sources(mine).split()[1]  # of the archive that this machine uses
    base = BaseArchive(
        release="debian 13",
        sources=f"deb {address} trixie main\n",
        status=(stanza("libc6", "2.41-12") + stanza("libgcc-s1", "14.2.0-19") + stanza("dpkg", "1.22.21")).encode(),
    )
    held = {
        "libglib2.0-0": Installed(name="libglib2.0-0", version="2.74.6-2", architecture="amd64"),
        "gone": Installed(name="gone", version="1.0", architecture="amd64"),
    }
    folder = "/usr/lib/x86_64-linux-gnu"
    libraries = [
        Library(name="libglib-2.0.so.0", path=f"{folder}/libglib-2.0.so.0.7400.6", seen="both", package="libglib2.0-0"),
        Library(name="libgone.so.1", path=f"{folder}/libgone.so.1", seen="loaded", package="gone"),
    ]
    wishes = wishes_of({"libglib2.0-0": "libglib-2.0.so.0", "gone": "libgone.so.1"}, held, libraries)
    packages, gaps = resolve_elsewhere(wishes, base, architecture="amd64", environ=os.environ)
    names = [package.name for package in packages]
    assert names[-1] == "libglib2.0-0t64"
    assert "libpcre2-8-0" in names
    assert "libc6" not in names
    assert all(len(package.sha256) == 64 and package.size for package in packages)
    assert [gap.subject for gap in gaps] == ["gone", "libglib2.0-0"]
    assert "no package with libgone.so.1" in gaps[0].reason
    assert "libglib2.0-0t64 2." in gaps[1].reason
    assert list(tmp_path.iterdir()) == []
