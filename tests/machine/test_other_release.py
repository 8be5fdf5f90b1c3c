"""OS packages for a base of another release: sources of both forms, lists of contents, and Debian's real archive."""

import gzip
import os
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envcap.errors import NotRunError
from envcap.machine.debian import Installed
from envcap.machine.other_release import BaseArchive, Wish, find_owners, read_sources, resolve_elsewhere, wishes_of
from envcap.model.gap import Gap
from envcap.model.lock import Executable, Library, OsPackage

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
PACKAGES = b"""\
Package: libglib2.0-0t64
Version: 2.84.4-3
Architecture: amd64
Depends: libc6 (>= 2.38), libpcre2-8-0 (>= 10.22)
Provides: libglib2.0-0 (= 2.84.4-3)
Filename: pool/main/g/glib2.0/libglib2.0-0t64_2.84.4-3_amd64.deb
Size: 1500
SHA256: 66b0b2c8a3c1a1a7a26b0a3cb9ea4d3a1b8f2f4b3c7b5a6d7e8f9a0b1c2d3e4f

Package: libpcre2-8-0
Version: 10.45-1
Architecture: amd64
Depends: libc6 (>= 2.34)
Filename: pool/main/p/pcre2/libpcre2-8-0_10.45-1_amd64.deb
Size: 300
SHA256: 0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0
"""
IN_PACKAGES = b"usr/lib/x86_64-linux-gnu/libglib-2.0.so.0 libs/libglib2.0-0t64\n"
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


class Archive:
    """An archive of Debian's form (Debian repository format): two packages, their lists, one signed Release file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lists = folder / "debian/dists/trixie"
        self.address = ""
        self.key = b""
        self._home = folder / "keys"
        self._home.mkdir(mode=0o700)

    def write(self) -> None:
        """Write the lists, make a key, and sign what the Release file says of them."""
        texts = {
            "main/binary-amd64/Packages": PACKAGES,
            "main/Contents-amd64": IN_PACKAGES,  # apt asks for what is told of the whole list, too
            "main/Contents-amd64.gz": gzip.compress(IN_PACKAGES, mtime=0),
        }
        for name, content in texts.items():
            (self.lists / name).parent.mkdir(parents=True, exist_ok=True)
            (self.lists / name).write_bytes(content)
        digests = "".join(f" {sha256(text).hexdigest()} {len(text)} {name}\n" for name, text in texts.items())
        release = self.folder / "Release"
        release.write_text(
            "Origin: Debian\nSuite: stable\nCodename: trixie\nDate: Sat, 21 Nov 2026 09:15:44 UTC\n"
            f"Architectures: amd64\nComponents: main\nSHA256:\n{digests}"
        )
        words = ["--quick-generate-key", "archive@example.org", "ed25519", "sign", "never"]
        self._gpg("--passphrase", "", *words)
        self._gpg("--clearsign", "--output", f"{self.lists}/InRelease", f"{release}")
        self.key = self._gpg("--export", "archive@example.org")

    def _gpg(self, *words: str) -> bytes:
        command = ["gpg", "--homedir", str(self._home), "--batch", "--quiet", "--pinentry-mode", "loopback", *words]
        return subprocess.run(command, check=True, capture_output=True).stdout

    def end(self) -> None:
        subprocess.run(["gpgconf", "--homedir", str(self._home), "--kill", "all"], check=False)


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with tempfile.TemporaryDirectory(prefix="a") as name:  # the key's agent has its socket here: a short name
        made = Archive(Path(name))
        made.write()
        handler = type("Handler", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
        with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=name)) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            made.address = f"http://127.0.0.1:{server.server_address[1]}/debian"
            yield made
            server.shutdown()
        made.end()


def resolve(archive: Archive) -> tuple[list[OsPackage], list[Gap]]:
    """Ask for what Debian 13 calls otherwise than Debian 12, and for what no archive has."""
    base = BaseArchive(
        release="debian 13",
        sources=f"deb {archive.address} trixie main\n",
        status=(stanza("libc6", "2.41-12") + stanza("dpkg", "1.22.21")).encode(),
        keyring=archive.key,
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
    environ = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    return resolve_elsewhere(wishes, base, architecture="amd64", environ=environ)


@pytest.mark.engine  # gpg comes with it
def test_a_renamed_library_is_found_by_its_file(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debian 13 renamed what Debian 12 calls libglib2.0-0; the base has its own C library, which stays."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    packages, gaps = resolve(archive)
    assert [package.name for package in packages] == ["libpcre2-8-0", "libglib2.0-0t64"]
    assert [package.size for package in packages] == [300, 1500]
    assert all(len(package.sha256) == 64 for package in packages)
    assert [gap.subject for gap in gaps] == ["gone", "libglib2.0-0"]
    assert "no package with libgone.so.1" in gaps[0].reason
    assert "libglib2.0-0t64 2.84.4-3" in gaps[1].reason
    assert list(tmp_path.iterdir()) == []


@pytest.mark.engine
def test_a_list_of_contents_that_does_not_fit_its_digest_is_told(archive: Archive) -> None:
    """Mirrors serve such lists while they are updated. What bears the same name is found all the same."""
    (archive.lists / "main/Contents-amd64.gz").write_bytes(gzip.compress(IN_PACKAGES + b"usr/bin/more x/more\n"))
    packages, gaps = resolve(archive)
    assert packages == []
    assert [gap.subject for gap in gaps] == ["gone", "libglib2.0-0", "gone, libglib2.0-0"]
    assert "the list of what is in the packages of debian 13 could not be read: Failed to fetch" in gaps[-1].reason


@pytest.mark.engine
def test_lists_of_another_hand_are_not_believed(archive: Archive) -> None:
    (archive.lists / "main/binary-amd64/Packages").write_bytes(PACKAGES + b"\n")
    with pytest.raises(NotRunError, match="Asking the archive of the base image failed"):
        resolve(archive)


def debian_archive() -> str:
    """Give the address of the archive that this machine uses."""
    listed = Path("/etc/apt/sources.list.d").glob("debian.sources")
    mine = "\n".join(path.read_text() for path in [*listed, Path("/etc/apt/sources.list")] if path.is_file())
    return read_sources(mine).split()[1]


@pytest.mark.network
def test_the_real_archive_is_asked() -> None:
    """Its lists may be out of step for hours, so here only a package that has the same name everywhere is asked for."""
    base = BaseArchive(
        release="debian 13",
        sources=f"deb {debian_archive()} trixie main\n",
        status=(stanza("libc6", "2.41-12") + stanza("gcc-14-base", "14.2.0-19")).encode(),
    )
    wish = Wish(
        package="libgomp1", version="12.2.0", why="libgomp.so.1", paths=["usr/lib/x86_64-linux-gnu/libgomp.so.1"]
    )
    packages, gaps = resolve_elsewhere([wish], base, architecture="amd64", environ=os.environ)
    assert packages[-1].name == "libgomp1"
    assert packages[-1].url.startswith("http")
    assert "libgomp1 14" in gaps[0].reason
