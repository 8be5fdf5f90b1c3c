"""dpkg's database: versions in dpkg's own order, owners by real path, and what must be installed for what."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envcap.machine.archive import Offered, read_addresses, read_candidates, read_records
from envcap.machine.closure import missing_packages, unmet_packages
from envcap.machine.debian import (
    Installed,
    Relation,
    compare_versions,
    is_met,
    owners,
    paragraphs,
    read_status,
    relations,
)
from envcap.machine.rpm import read_answer

VERSIONS = [
    "0", "009", "9", "1.0", "1.0~rc1", "1.0~~", "1.0a", "1.0+", "1.0.", "1.9", "1.10", "1:0.1", "1.0-1", "1.0-1+b1",
    "1.0-1~bpo1", "2.39.5-0+deb12u3", "1.6-2.1+deb12u1", "1.6-2.1+deb12u3", "2.4+20151223.gitfa8646d.1-2+b2", "a",
]  # fmt: skip


def test_versions_are_ordered_as_dpkg_orders_them() -> None:
    if shutil.which("dpkg") is None:
        pytest.fail("dpkg is what this is compared with")
    for first in VERSIONS:
        for second in VERSIONS:
            order = compare_versions(first, second)
            word = "lt" if order < 0 else "gt" if order > 0 else "eq"
            done = subprocess.run(["dpkg", "--compare-versions", first, word, second], capture_output=True, check=False)
            assert done.returncode == 0, (first, word, second)


PART = st.text(alphabet="019az.+~", min_size=1, max_size=6).map(lambda text: f"1{text}")


@given(first=PART, second=PART, third=PART)
def test_the_order_is_one(first: str, second: str, third: str) -> None:
    assert compare_versions(first, first) == 0
    assert (compare_versions(first, second) > 0) == (compare_versions(second, first) < 0)
    if compare_versions(first, second) <= 0 and compare_versions(second, third) <= 0:
        assert compare_versions(first, third) <= 0


def test_owners_are_found_on_a_merged_system() -> None:
    if not Path("/var/lib/dpkg/status").is_file():
        pytest.fail("this needs a system of Debian packages")
    links = ["/lib64/ld-linux-x86-64.so.2", "/bin/sh", "/bin/uname", "/sbin/ldconfig"]
    paths = {link: os.path.realpath(link) for link in links if Path(link).exists()}
    found = owners([*paths.values(), "/etc/absent"])
    expected = {"/lib64/ld-linux-x86-64.so.2": "libc6", "/bin/uname": "coreutils", "/sbin/ldconfig": "libc-bin"}
    for link, package in expected.items():
        if link in paths:
            assert found[paths[link]] == package
    assert "/etc/absent" not in found
    assert set(found) <= set(paths.values())


def test_the_owner_is_who_lists_the_file_and_not_the_link(tmp_path: Path) -> None:
    system, info = tmp_path / "system", tmp_path / "info"
    (system / "usr" / "lib").mkdir(parents=True)
    info.mkdir()
    (system / "lib").symlink_to("usr/lib")
    (system / "usr" / "lib" / "libx.so.1.2").touch()
    (system / "usr" / "lib" / "libx.so").symlink_to("libx.so.1.2")
    (info / "libx-dev:amd64.list").write_text(f"/.\n{system}/usr/lib/libx.so\n")
    (info / "libx1:amd64.list").write_text(f"/.\n{system}/lib\n{system}/lib/libx.so.1.2\n")
    real = os.path.realpath(system / "lib" / "libx.so")
    assert owners([real], info=str(info)) == {real: "libx1"}
    assert owners([real], info=str(tmp_path / "absent")) == {}


STATUS = """\
Package: one
Status: install ok installed
Architecture: amd64
Version: 1:1.0-1
Depends: two (>= 2),
 three | four
Pre-Depends: libc6

Package: gone
Status: deinstall ok config-files
Version: 1
Architecture: amd64

Package: two
Status: hold ok installed
Version: 2.1
Architecture: all
Provides: virtual (= 2.1), other"""


def test_the_status_is_read() -> None:
    assert read_status(STATUS) == {
        "one": Installed(
            name="one", version="1:1.0-1", architecture="amd64", depends="libc6, two (>= 2), three | four"
        ),
        "two": Installed(name="two", version="2.1", architecture="all", provides="virtual (= 2.1), other"),
    }


@given(st.text())
def test_any_text_can_be_read_as_a_status(text: str) -> None:
    read_status(text)
    list(paragraphs(text))
    relations(text)
    read_addresses(text)
    read_answer(text)
    read_records(text)
    read_candidates(text)


def test_relations() -> None:
    assert relations("a (>= 1:2), b:any | c (<< 3), !!") == [
        [Relation(name="a", operator=">=", version="1:2")],
        [Relation(name="b"), Relation(name="c", operator="<<", version="3")],
    ]
    installed = read_status(STATUS)
    for text, met in {
        "two (>= 2)": "two", "two (>= 3)": None, "two (= 2.1)": "two", "two (<< 2.1)": None, "two (<= 2.1)": "two",
        "two (>> 2.0)": "two", "virtual": "two", "virtual (>= 2)": "two", "virtual (>= 3)": None, "other (>= 1)": None,
        "absent": None,
    }.items():  # fmt: skip
        assert is_met(relations(text)[0][0], installed) == met, text


def package(name: str, version: str = "1", depends: str = "") -> Installed:
    return Installed(name=name, version=version, architecture="amd64", depends=depends)


def test_what_is_missing_comes_in_the_order_of_installation() -> None:
    host = {
        item.name: item
        for item in [
            package("tool", depends="libtool (= 1), libc6, data | virtual-data"),
            package("libtool", depends="libdeep"),
            package("libdeep", depends="tool"),  # a circle, as there are some
            package("data"),
            package("libc6", "2.36"),
        ]
    }
    base = {"libc6": package("libc6", "2.36")}
    assert list(missing_packages({"tool": "it is run"}, host=host, base=base)) == ["libdeep", "libtool", "data", "tool"]
    assert missing_packages({"libc6": "x", "unknown": "y"}, host=host, base=base) == {}


def test_a_base_that_is_too_old_is_brought_up_to_the_host() -> None:
    host = {"tool": package("tool", depends="libnew (>= 2)"), "libnew": package("libnew", "2.1")}
    old, new = {"libnew": package("libnew", "1.9")}, {"libnew": package("libnew", "2.0")}
    assert list(missing_packages({"tool": "x"}, host=host, base=old)) == ["libnew", "tool"]
    assert list(missing_packages({"tool": "x"}, host=host, base=new)) == ["tool"]


def test_what_lacks_a_dependency_is_refused_with_all_that_needs_it() -> None:
    known = {
        "tool": package("tool", depends="libtool (>= 2), libc6"),
        "libtool": package("libtool", "2.1", "absent | other"),
        "alone": package("alone", depends="libc6"),
        "newer": package("newer", depends="alone (>= 9)"),
        "round": package("round", depends="trip"),
        "trip": package("trip", depends="round"),
    }
    base = {"libc6": package("libc6", "2.36")}
    assert unmet_packages(known, known=known, base=base) == {"libtool": "absent", "newer": "alone", "tool": "libtool"}
    assert unmet_packages(known, known=known, base={**base, "other": package("other")}) == {"newer": "alone"}


def test_addresses_as_apt_prints_them() -> None:
    digest = "2c57221bf8cc0ff5d2295ececb9215cc1b9ff9040dacb152c385bba3087ab1df"
    file = "file_1%3a5.44-3_amd64.deb"
    text = (
        f"'https://user:secret@archive.example.org/f/file_5.44-3_amd64.deb' {file} 42472 SHA256:{digest}\n"
        "'https://archive.example.org/f/old_1_amd64.deb' old_1_amd64.deb 42472 MD5Sum:0\n"
        f"'https://archive.example.org/f/x' x.txt 1 SHA256:{digest}\n"
    )
    assert read_addresses(text) == {
        "file": Offered(
            name="file",
            version="1:5.44-3",
            architecture="amd64",
            file="file_1%3a5.44-3_amd64.deb",
            size=42472,
            sha256=digest,
            url="https://archive.example.org/f/file_5.44-3_amd64.deb",
        )
    }


def test_what_apt_tells_of_several_packages() -> None:
    shown = (
        "Package: jq\nVersion: 1.6-3\nArchitecture: amd64\nDepends: libjq1 (= 1.6-3), libc6\nFilename: pool/jq.deb\n\n"
        "Package: jq\nStatus: install ok installed\nVersion: 1.6-1\nArchitecture: amd64\n\n"
    )
    assert read_records(shown) == {("jq", "1.6-3"): package("jq", "1.6-3", "libjq1 (= 1.6-3), libc6")}
    policy = (
        "jq:\n  Installed: 1.6-1\n  Candidate: 1.6-3\n  Version table:\n     1.6-3 500\n"
        "libjq1:\n  Installed: (none)\n  Candidate: 1.6-3\n  Version table:\n"
    )
    assert read_candidates(policy) == {"jq": "1.6-3", "libjq1": "1.6-3"}
