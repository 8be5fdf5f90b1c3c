"""What was read of installed files, remembered: never believed of a file that may have changed since."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envcap.model.facts import Distribution
from envcap.model.progress import Progress
from envcap.pins.claims import read_claims
from envcap.pins.contents import read_contents
from envcap.pins.damage import Damage
from envcap.pins.integrity import check_files
from envcap.pins.verified import Verified
from envcap.store import Store


def digest(content: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


class Site:
    """An environment of one distribution with two files, and the memory of it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.cache = folder / "site-packages", folder / "verified"
        info = self.folder / "demo-1.0.dist-info"
        info.mkdir(parents=True)
        self.files = {name: self.folder / name for name in ("a.py", "b.so")}
        for name, path in self.files.items():
            path.write_bytes(name.encode())
        rows = [f"{name},{digest(name.encode())},{len(name)}" for name in self.files]
        (info / "RECORD").write_text("\n".join([*rows, "demo-1.0.dist-info/RECORD,,"]) + "\n")
        self.distribution = Distribution(name="demo", version="1.0", path=str(info), layout="dist-info", record=True)

    def check(self, *, moment: float = -1.0, refresh: bool = False) -> tuple[list[str], int]:
        """Give the edited files, and how many batches were read; no file counts as just changed."""
        read: list[Progress] = []
        verified = Verified(self.cache, [self.distribution], moment=moment)
        found = check_files([self.distribution], tell=read.append, verified=verified, refresh=refresh)
        return found.get(self.distribution.path, Damage()).edited, len(read)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_nothing_is_read_again_where_nothing_changed(site: Site) -> None:
    assert site.check() == ([], 1)
    assert site.check() == ([], 0)
    assert site.check(refresh=True) == ([], 1)


def test_a_change_that_keeps_size_and_time_is_seen(site: Site) -> None:
    assert site.check() == ([], 1)
    path = site.files["a.py"]
    before = path.stat()
    path.write_bytes(b"A.py")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert site.check() == (["a.py"], 1)
    assert site.check() == (["a.py"], 0)  # remembered as it is, and compared anew


def test_a_file_put_in_its_place_is_seen(site: Site) -> None:
    assert site.check() == ([], 1)
    before = site.files["a.py"].stat()
    other = site.folder / "other"
    other.write_bytes(b"A.py")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(site.files["a.py"])
    assert site.check() == (["a.py"], 1)


def test_another_record_is_compared_with_what_was_read(site: Site) -> None:
    assert site.check() == ([], 1)
    record = site.folder / "demo-1.0.dist-info" / "RECORD"
    record.write_text(record.read_text().replace(digest(b"a.py"), digest(b"x")))
    assert site.check() == (["a.py"], 0)
    record.write_text(record.read_text().replace(digest(b"x"), "sha512=x"))
    assert site.check()[1] == 1  # another algorithm


def test_nothing_is_remembered_of_a_file_that_was_just_changed(site: Site) -> None:
    assert site.check(moment=60.0) == ([], 1)
    assert site.check(moment=60.0) == ([], 1)
    assert not site.cache.exists()


def test_nothing_is_remembered_of_a_file_from_the_future(site: Site) -> None:
    later = time.time() + 3600
    os.utime(site.files["a.py"], (later, later))
    assert site.check() == ([], 1)
    assert site.check() == ([], 1)


def test_it_belongs_to_one_environment(site: Site, tmp_path: Path) -> None:
    other = Site(tmp_path / "other")
    other.cache = site.cache
    assert [one.check()[1] for one in (site, other, site, other)] == [1, 1, 0, 0]
    assert len(list(site.cache.iterdir())) == 2


@given(position=st.integers(min_value=0), value=st.integers(0, 255), cut=st.booleans())
def test_a_damaged_memory_is_read_anew(
    tmp_path_factory: pytest.TempPathFactory, position: int, value: int, *, cut: bool
) -> None:
    site = Site(tmp_path_factory.mktemp("site"))
    assert site.check() == ([], 1)
    (file,) = site.cache.iterdir()
    content = bytearray(file.read_bytes())
    position %= len(content)
    changed = bytes(content[:position]) if cut else bytes([*content[:position], value, *content[position + 1 :]])
    file.write_bytes(changed)
    assert site.check() == ([], int(changed != bytes(content)))
    assert site.check() == ([], 0)


@pytest.mark.parametrize("body", [b"", b"\x93\x02\xa0\x80", b"\xc1"])
def test_what_another_version_wrote_is_read_anew(site: Site, body: bytes) -> None:
    site.check()
    (file,) = site.cache.iterdir()
    file.write_bytes(hashlib.sha256(body).hexdigest().encode() + body)
    assert site.check() == ([], 1)


def test_what_cannot_be_written_is_not_an_error(site: Site) -> None:
    site.cache.write_text("")
    assert site.check() == ([], 1)
    assert site.check() == ([], 1)


def test_a_file_that_changes_while_it_is_read_is_not_remembered(site: Site) -> None:
    verified = Verified(site.cache, [site.distribution], moment=-1.0)
    claims = read_claims([site.distribution])
    site.files["a.py"].write_bytes(b"longer than before")
    contents = read_contents(claims, tell=lambda _: None)
    assert contents.unsettled == {str(site.files["a.py"])}
    assert contents.digests[str(site.files["a.py"])] == [digest(b"longer than before")]
    assert verified.recall(claims) == {}


CHECK = """
import sys
from pathlib import Path
from envcap.model.facts import Distribution
from envcap.pins.integrity import check_files
from envcap.pins.verified import Verified
one = Distribution(name="demo", version="1.0", path=sys.argv[1], layout="dist-info", record=True)
for _ in range(50):
    verified = Verified(Path(sys.argv[2]), [one], moment=-1.0)
    assert check_files([one], tell=lambda _: None, verified=verified, refresh=True) == {}
"""


def test_two_processes_write_at_once(site: Site) -> None:
    command = [sys.executable, "-c", CHECK, site.distribution.path, str(site.cache)]
    checks = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(2)]
    assert [check.communicate()[1] for check in checks] == [b"", b""]
    assert len(list(site.cache.iterdir())) == 1
    assert site.check() == ([], 0)


def test_it_lies_beside_the_downloaded_files(site: Site, tmp_path: Path) -> None:
    old = time.time() - 3600
    for path in site.files.values():
        os.utime(path, (old, old))
    verified = Verified.beside(Store(tmp_path / "files"), [site.distribution])
    check_files([site.distribution], tell=lambda _: None, verified=verified)
    assert not (tmp_path / "verified").exists()  # utime itself is a change: it cannot be hidden
    verified = Verified((tmp_path / "files").with_name("verified"), [site.distribution], moment=-1.0)
    check_files([site.distribution], tell=lambda _: None, verified=verified)
    fresh = Verified.beside(Store(tmp_path / "files"), [site.distribution])
    assert len(fresh.recall(read_claims([site.distribution]))) == 2
