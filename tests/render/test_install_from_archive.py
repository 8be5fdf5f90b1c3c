"""The script of a portable image that takes OS packages from a dated archive: run in a real base, with a real apt."""

import hashlib
import platform
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from envcap.render.templates import fill

BASE = f"python:{platform.python_version()}-slim-bookworm"
DATE = "20240506T070809Z"
NAME, VERSION = "envcap-sample", "1.2"
WITH_PACKAGES = {"has_os_packages": True, "has_locales": False}
NEVER = "http://127.0.0.1:9"  # nobody listens there


def make_archive(folder: Path, suite: str, *, package: bool) -> None:
    """Make one suite of an archive, unsigned, as Debian's repository format has it."""
    packages = folder / "dists" / suite / "main" / "binary-amd64" / "Packages"
    packages.parent.mkdir(parents=True)
    text = ""
    if package:
        control = folder / "root" / "DEBIAN" / "control"
        control.parent.mkdir(parents=True)
        fields = f"Package: {NAME}\nVersion: {VERSION}\nArchitecture: amd64\nMaintainer: x <x@example.org>\n"
        control.write_text(f"{fields}Description: x\n")
        file = folder / "pool" / "sample.deb"
        file.parent.mkdir()
        words = ["dpkg-deb", "-Zxz", "--root-owner-group", "--build", str(folder / "root"), str(file)]
        subprocess.run(words, check=True, capture_output=True)
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        place = f"Filename: pool/sample.deb\nSize: {file.stat().st_size}\nSHA256: {digest}\n"
        text = f"{fields}{place}Description: x\n"
    packages.write_text(text)
    digest = hashlib.sha256(packages.read_bytes()).hexdigest()
    (folder / "dists" / suite / "Release").write_text(
        f"Suite: {suite}\nCodename: {suite}\nArchitectures: amd64\nComponents: main\n"
        f"Date: Mon, 06 May 2024 07:08:09 UTC\nValid-Until: Tue, 07 May 2024 07:08:09 UTC\n"
        f"SHA256:\n {digest} {packages.stat().st_size} main/binary-amd64/Packages\n"
    )


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve an archive as it was at that moment, one package and nothing after it."""
    folder = tmp_path_factory.mktemp("service")
    make_archive(folder / "archive" / "debian" / DATE, "bookworm", package=True)
    make_archive(folder / "archive" / "debian" / DATE, "bookworm-updates", package=False)
    make_archive(folder / "archive" / "debian-security" / DATE, "bookworm-security", package=False)

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/archive"
    server.shutdown()
    server.server_close()


# Tells the base to believe an archive that nobody signed, runs the script, and looks what is there and what is left.
PREPARE = """\
set -e
echo 'Acquire::AllowInsecureRepositories "1"; APT::Get::AllowUnauthenticated "1"; Acquire::Retries "0";' \\
    > /etc/apt/apt.conf.d/zz-tests
rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/*
echo "$SOURCES" > "$WHERE"
cp -r /given /os-packages
sh /os-packages/install.sh
dpkg-query --show --showformat '${Package} ${Version} ' envcap-sample
test "$(cat "$WHERE")" = "$SOURCES"
ls -d /os-packages /var/lib/apt/lists/* 2> /dev/null || true
"""
DEB822 = "# {0}/debian/20240101T000000Z\nTypes: deb\nURIs: {1}/debian\nSuites: bookworm\nComponents: main\n"
ONE_LINE = "# deb {0}/debian/20240101T000000Z bookworm main\ndeb {1}/debian bookworm main\n"


def run(folder: Path, *, sources: str, where: str, snapshot: str = "") -> "subprocess.CompletedProcess[str]":
    given = folder / "given"
    given.mkdir()
    texts = {"VERSIONS": f"{NAME}:amd64={VERSION}\n", "NAMES": f"{NAME}:amd64\n", "DATE": f"{DATE}\n"}
    for name, text in {**texts, "install.sh": fill("install_from_archive.sh.j2", WITH_PACKAGES)}.items():
        (given / name).write_text(text)
    words = ["docker", "run", "--rm", "--network", "host", "--volume", f"{given}:/given:ro"]
    for name, value in {"SOURCES": sources.strip(), "WHERE": f"/etc/apt/{where}", "SNAPSHOT": snapshot}.items():
        words += ["--env", f"{name}={value}"]
    return subprocess.run([*words, BASE, "sh", "-c", PREPARE], capture_output=True, text=True, check=False)


@pytest.mark.engine
@pytest.mark.parametrize(
    ("sources", "where", "named"),
    [
        (ONE_LINE.format(NEVER, NEVER), "sources.list", True),
        (ONE_LINE, "sources.list", False),
        (DEB822, "sources.list.d/debian.sources", False),
    ],
    ids=["named by the user", "named by the base", "named by a base with the newer format"],
)
def test_packages_come_from_the_dated_archive(
    sources: str, where: str, service: str, tmp_path: Path, *, named: bool
) -> None:
    done = run(tmp_path, sources=sources.format(service, NEVER), where=where, snapshot=f"{service}/" if named else "")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f"{NAME} {VERSION} "), done.stdout


@pytest.mark.engine
def test_where_no_dated_archive_answers(service: str, tmp_path: Path) -> None:
    """One that the base names may be out of reach, and its own archive is asked; one that was asked for may not."""
    now = f"{service}/debian/{DATE}"
    sources = f"# deb {NEVER}/debian/20240101T000000Z bookworm main\ndeb [check-valid-until=no] {now} bookworm main\n"
    done = run(tmp_path, sources=sources, where="sources.list")
    assert done.returncode == 0, done.stderr
    assert f"{NEVER} did not do" in done.stderr
    (tmp_path / "again").mkdir()
    refused = run(tmp_path / "again", sources=sources, where="sources.list", snapshot=NEVER)
    assert refused.returncode != 0
    assert "127.0.0.1:9" in refused.stderr
