"""Pinning an environment full of broken packages, and reading wheels and pages that lie: a Gap each, and no more."""

from __future__ import annotations

import io
import json
import os
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envcap import lockfile
from envcap.errors import NotRunError
from envcap.model.facts import Distribution, Facts
from envcap.model.lock import Lock
from envcap.pins.configuration import Configuration, parse_listing, place, settle
from envcap.pins.connection import Connection
from envcap.pins.damage import Damage
from envcap.pins.identify import expand, matching
from envcap.pins.integrity import check_files
from envcap.pins.pages import Offer, Wanted, read_html, read_json, wheels_of
from envcap.pins.patch import make_patch
from envcap.pins.pip import Pinned, pin
from envcap.pins.ranges import open_remote
from envcap.pins.record import compare_records, installed_rows, parse_record, wheel_rows
from envcap.pins.scripts import made_scripts
from envcap.probe.handover import probe_host
from envcap.requirements import relate
from envcap.store import STORE_FOLDER, Store

if TYPE_CHECKING:
    from tests.pins.conftest import Environment, Index, MakeWheel

PAGE = "https://example.org/simple/demo/"
DEMO = Wanted(name="demo", version="1.0")
MARKER = "text-of-another-place"

RECORDS = {
    "empty": b"",
    "huge-field": b"a" * 300_000 + b",sha256=x,1\n",
    "carriage": b"a\rb,sha256=x,1\n",
    "nul": b"a\0b.py,sha256=x,1\n",
    "quote": b'"a.py,sha256=x,1\n' * 3,
    "bytes": b"\xff\xfe.py,sha256=x,1\n",
    "climbing": b"../" * 30 + b"etc/passwd,sha256=x,1\n",
    "absolute": b"/etc/passwd,sha256=x,1\n/dev/zero,sha256=y,\n/proc/self/mem,sha256=y,\n",
    "escape": b"a\x1b[2J\tb.py,sha256=x,1\n",
    "huge-size": b"a.py,sha256=x," + b"9" * 9000 + b"\n",
    "long-name": b"a" * 5000 + b".py,sha256=x,1\n",
    "commas": b"," * 100_000 + b"\n",
    "algorithm": b"a.py,md5=x,1\na.py,=,1\na.py,sha256,1\n",
    "folder": b".,sha256=x,1\n..,sha256=x,1\n",
}
WHEELS = {
    "tags": b"Tag: " + b"-".join([b".".join(b"a%d" % number for number in range(2000))] * 3) + b"\n",
    "climbing-tag": b"Tag: py3-none-any/../../../x\n",
    "build": b"Tag: py3-none-any\nBuild: 1/../../../x\n",
    "odd-build": b"Tag: py3-none-any\nBuild: 1@ \x7f\n",
    "no-dashes": b"Tag: py3\n",
    "many": b"Tag: py3-none-any\n" * 20_000,
}
POINTS = {
    "headless": b"a = b\n",
    "bytes": b"\xff\xfe\n",
    "nul": b"[console_scripts]\na\0 = b\n",
    "odd": b"[console_scripts\n[]\n = \n\t\n  x\n",
    "percent": b"[console_scripts]\na = %(b)s\n[DEFAULT]\nx = y\n",
}


def _add(site: Path, name: str, **files: bytes) -> None:
    folder = site / f"{name}-1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    for file, content in {"WHEEL": b"Tag: py3-none-any\n", "RECORD": b"x.py,,\n", **files}.items():
        (folder / file.replace("_txt", ".txt").replace("_json", ".json")).write_bytes(content)


def _break(site: Path) -> None:
    for name, content in RECORDS.items():
        _add(site, f"record-{name}", RECORD=content)
    for name, content in WHEELS.items():
        _add(site, f"wheel-{name}", WHEEL=content)
    for name, content in POINTS.items():
        _add(site, f"points-{name}", entry_points_txt=content)
    _add(site, "points-none")
    for kind in ("pipe", "loop", "folder"):
        for file in ("RECORD", "entry_points.txt"):
            _add(site, f"{kind}-{file[:5].lower().strip('_')}")
            path = site / f"{kind}-{file[:5].lower().strip('_')}-1.0.dist-info" / file
            path.unlink(missing_ok=True)
            if kind == "pipe":
                os.mkfifo(path)
            elif kind == "loop":
                path.symlink_to(path)
            else:
                path.mkdir()
    origins = {
        "address": "http://[::1",
        "port": "https://example.org:99999999/origin_port-1.0-py3-none-any.whl",
        "long": "https://127.0.0.1:1/" + "-".join(["a.b" * 3000] * 5) + ".whl",
        "climbing": "file:///x/%2e%2e%2fetc%2fpasswd",
        "nul": "file:///%00",
        "other": "javascript:alert(1)",
        "refused": "https://127.0.0.1:1/origin_refused-1.0-py3-none-any.whl",
    }
    for name, url in origins.items():
        _add(site, f"origin-{name}", direct_url_json=json.dumps({"url": url, "archive_info": {}}).encode())


@pytest.mark.filterwarnings("error")
def test_broken_packages_cost_no_other_one(
    environment: Environment, index: Index, make_wheel: MakeWheel, tmp_path: Path, sample_lock: Lock
) -> None:
    index.add(make_wheel("demo", "1.0"))
    environment.install(make_wheel("demo", "1.0"))
    direct = next(environment.site.glob("demo-1.0.dist-info/direct_url.json"))
    direct.unlink()
    _break(environment.site)
    facts = environment.facts()
    store = Store(tmp_path / STORE_FOLDER)
    pinned: Pinned = pin(
        facts,
        configuration=Configuration(indexes=[place(index.simple)], retries=0, timeout=2.0),
        store=store,
        cache=Store(tmp_path / "cache"),
        tell=lambda _: None,
    )
    assert [(one.name, one.origin) for one in pinned.packages if one.name == "demo"] == [("demo", "index")]
    silent = {
        one.name
        for one in facts.distributions
        if one.name != "demo" and not any(one.name in gap.subject for gap in [*pinned.gaps, *facts.gaps])
    }
    assert silent == set()
    carried = {one.name for one in pinned.packages if one.origin == "repacked"}
    assert carried.isdisjoint({"record-climbing", "record-absolute", "pipe-recor", "wheel-climbing-tag", "wheel-build"})
    # And what came of them all makes a lock that can be read again.
    relations = relate(facts)
    packages = [*pinned.packages]
    lock = msgspec.structs.replace(
        sample_lock, packages=packages, gaps=[*facts.gaps, *pinned.gaps, *relations.gaps], conflicts=relations.conflicts
    )
    assert lockfile.parse(lockfile.dump(lock), source="x").packages == packages
    for path in tmp_path.rglob("*"):
        if path.is_file() and STORE_FOLDER in str(path):
            assert b"root:" not in path.read_bytes()


def test_a_patch_shows_no_file_of_another_place(tmp_path: Path) -> None:
    """A RECORD may name any file of this machine, and the patch of an edited package is kept beside the lock."""
    site = tmp_path / "venv" / "lib" / "python3.11" / "site-packages"
    site.mkdir(parents=True)
    (site / "mine.py").write_text("shown = 2\n")
    (tmp_path / "id_rsa").write_text(f"{MARKER}\n")
    (site / "link.py").symlink_to(tmp_path / "id_rsa")
    wheel = io.BytesIO()
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("mine.py", "shown = 1\n")
        archive.writestr("link.py", "x = 1\n")
        archive.writestr("demo-1.0.data/scripts/id_rsa", "x\n")
    damage = Damage(edited=["../../../../id_rsa", "link.py", "mine.py", str(tmp_path / "id_rsa")])
    patch = make_patch(wheel, site, damage, title="t", prefix=tmp_path / "venv").decode()
    assert "+shown = 2" in patch
    assert MARKER not in patch


def test_a_record_of_many_rows(tmp_path: Path) -> None:
    (tmp_path / "RECORD").write_text("".join(f"many/module{n}.py,sha256=x{n},1\n" for n in range(200_000)))
    rows = installed_rows(tmp_path)
    assert len(rows) == 200_000
    wheel = {f"many-1.data/data/module{n}.py": f"sha256=x{n}" for n in range(20_000)}
    assert compare_records(wheel, rows).differing  # every row against every other would take days


def _wheel(record: bytes = b"demo.py,sha256=x,1\n") -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("demo.py", "x" * 500)
        archive.writestr("demo-1.0.dist-info/RECORD", record)
    return made.getvalue()


_GOOD = _wheel(b"demo.py,sha256=x,1\n" * 20)


@given(
    st.lists(st.tuples(st.integers(0, len(_GOOD)), st.integers(0, 8), st.binary(max_size=8)), min_size=1, max_size=5),
    st.integers(0, len(_GOOD)),
)
@settings(max_examples=500)
def test_a_damaged_wheel_has_rows_or_none(changes: list[tuple[int, int, bytes]], cut: int) -> None:
    damaged = bytearray(_GOOD)
    for start, length, piece in changes:
        damaged[start : start + length] = piece
    for content in (bytes(damaged), bytes(damaged[:cut]), bytes(damaged[cut:])):
        assert all(isinstance(path, str) for path in wheel_rows(io.BytesIO(content)))


def test_a_bomb_in_a_wheel_is_not_unpacked() -> None:
    made = io.BytesIO()
    name = "demo-1.0.dist-info/RECORD"
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive, archive.open(name, "w") as file:
        for _ in range(200):
            file.write(b"a" * (1 << 20))
    assert wheel_rows(made) == {}


@given(st.text(max_size=200) | st.text('a",\n\r\0/', max_size=60))
def test_any_record_is_read(text: str) -> None:
    assert all(path for path in parse_record(text))


@given(st.binary(max_size=200) | st.text("[]=: \n\t;#%a\0\r", max_size=60).map(str.encode))
def test_any_entry_points_are_read(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.getbasetemp() / "points"
    folder.mkdir(exist_ok=True)
    (folder / "entry_points.txt").write_bytes(content)
    assert all(isinstance(name, str) for name in made_scripts(folder))


LINKS = st.sampled_from(
    [
        "//[",
        "https://[",
        "file:///etc/passwd",
        "https://h:99999999/x",
        "../../x",
        "javascript:x",
        "\0",
        "http://h/é x",
        "",
    ]
)


@given(LINKS | st.text(max_size=20), st.text(max_size=20) | st.sampled_from(["demo-1.0-1/../x-py3-none-any.whl"]))
def test_a_page_sends_us_nowhere_but_to_the_web(link: str, filename: str) -> None:
    files = [
        {"filename": name, "url": link, "hashes": {}, "size": -1}
        for name in (filename, "demo-1.0-py3-none-any.whl", f"demo-1.0-{filename}-none-any.whl")
    ]
    for offer in read_json(json.dumps({"files": files}).encode(), wanted=DEMO, url=PAGE, index="i"):
        assert offer.url.startswith(("https://", "http://"))
        assert offer.url.isascii()
        assert offer.url.isprintable()
        assert "/" not in offer.filename
        assert offer.size is None
    page = f'<a href="{link}/demo-1.0-py3-none-any.whl">x</a>'.encode(errors="replace")
    try:
        offers = wheels_of(DEMO, read_html(page, url=PAGE, encoding=None, index="i"))
    except NotRunError:
        return
    assert all(offer.url.startswith(("https://", "http://")) for offer in offers)


@pytest.mark.parametrize(
    "page",
    [
        b"",
        b"{",
        b"\xff",
        b'{"files": [], "x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"files": [{"filename": "\xff", "url": "x", "hashes": {}}]}',
        b'{"files": [{"filename": 1, "url": "x", "hashes": {}}]}',
        b'{"files": [], "meta": {"api-version": "2.0"}}',
    ],
)
def test_a_page_that_is_not_json_is_an_error_of_its_index(page: bytes) -> None:
    with pytest.raises(NotRunError, match="cannot be read"):
        read_json(page, wanted=DEMO, url=PAGE, index="https://example.org/simple/")


@pytest.mark.parametrize(
    "page",
    [
        b'<a href="//[">x</a>',
        b'<base href="http://["><a href="x.whl">x</a>',
        b'<meta name="pypi:repository-version" content="nonsense">',
    ],
)
def test_a_page_that_is_not_html_is_an_error_of_its_index(page: bytes) -> None:
    with pytest.raises(NotRunError, match="cannot be read"):
        read_html(page, url=PAGE, encoding=None, index=None)


@given(st.binary(max_size=200))
def test_any_html_is_read(page: bytes) -> None:
    try:
        read_html(page, url=PAGE, encoding=None, index=None)
    except NotRunError:
        return


def test_tags_without_end_stand_for_none() -> None:
    line = "-".join([".".join(f"a{number}" for number in range(1000))] * 3)
    assert expand([line, "py3-none-any"]) == expand(["py3-none-any"])
    distribution = Distribution(name="demo", version="1", path="/x", layout="dist-info", tags=["py3-none-any"])
    assert matching(distribution, [Offer(filename=f"demo-1-{line}.whl", url="https://example.org/x")]) == []


def test_a_remote_wheel_is_read_by_its_ends(index: Index) -> None:
    index.files["demo-1.0-py3-none-any.whl"] = _wheel()
    with Connection(Configuration(retries=0, timeout=2.0)) as connection:
        remote = open_remote(f"{index.url}/files/demo-1.0-py3-none-any.whl", connection=connection)
        assert remote is not None
        with remote:
            assert wheel_rows(remote) == {"demo.py": "sha256=x"}


def test_a_file_that_cannot_be_looked_at_is_not_called_edited(tmp_path: Path) -> None:
    site = tmp_path / "lib" / "python3.11" / "site-packages"
    _add(site, "odd", RECORD=b"mem.py,sha256=x,\nloop.py,sha256=x,1\ngone.py,sha256=x,1\n")
    (site / "mem.py").symlink_to("/proc/self/mem")  # a plain file to look at, which even root cannot read
    (site / "loop.py").symlink_to("loop.py")
    path = str(site / "odd-1.0.dist-info")
    odd = Distribution(name="odd", version="1.0", path=path, layout="dist-info", record=True)
    damage = check_files([odd], tell=lambda _: None)[path]
    assert (damage.edited, damage.missing, damage.unreadable) == ([], ["gone.py"], ["loop.py", "mem.py"])


_WORDS = st.text("abc.=:'\"[]\\ \n\r\0/é", max_size=60)


@given(_WORDS, _WORDS)
def test_what_pip_prints_is_read_or_passed_over(listing: str, files: str) -> None:
    found = parse_listing(listing)
    assert isinstance(settle(found, files=files), list)
    parse_listing(f"global.index-url='{listing}'")


_PARTS = (
    *("demo", "[", "]", "(", ")", ">=1", "; ", "python_version", "<", "'3'", " and ", " or ", "@ https://[", "extra"),
    *("==", "x", " in ", "os_name", "'\x1b'", "===", "~=", ",", "platform_release", '"abc"', "not "),
)
_REQUIREMENTS = st.lists(st.sampled_from(_PARTS), max_size=12).map("".join)


@given(st.lists(_REQUIREMENTS | st.text(max_size=30), max_size=4))
@settings(max_examples=400)
def test_any_requirement_is_understood_or_a_gap(probed: Facts, lines: list[str]) -> None:
    one = Distribution(name="odd", version="1.0", path="/x", layout="dist-info", requires=lines)
    relations = relate(msgspec.structs.replace(probed, distributions=[one]))
    assert "odd" in relations.edges


@pytest.fixture(scope="module")
def probed() -> Facts:
    return probe_host(Path(sys.executable))


def test_an_edited_package_that_cannot_be_carried_is_lost_and_says_so(
    environment: Environment, index: Index, make_wheel: MakeWheel, tmp_path: Path
) -> None:
    wheel = make_wheel("demo", "1.0", files={"demo_more.py": "x = 1\n"})
    index.add(wheel)
    environment.install(wheel)
    next(environment.site.glob("*.dist-info/direct_url.json")).unlink()
    (environment.site / "demo.py").write_text("x = 2\n")
    (tmp_path / "outside.py").write_text("x = 1\n")
    (environment.site / "demo_more.py").unlink()
    (environment.site / "demo_more.py").symlink_to(tmp_path / "outside.py")
    pinned = pin(
        environment.facts(),
        configuration=Configuration(indexes=[place(index.simple)], retries=0),
        store=Store(tmp_path / STORE_FOLDER),
        cache=Store(tmp_path / "cache"),
        tell=lambda _: None,
    )
    assert pinned.packages == []
    (gap,) = pinned.gaps
    assert "edited after the installation: 1 file, `demo.py`" in gap.reason
    assert "its files cannot be carried" in gap.reason
    assert gap.consequence.startswith("the image will not have it, neither as it is here nor as it was published")
