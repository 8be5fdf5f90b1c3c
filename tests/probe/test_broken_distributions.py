"""No installed package, however broken, costs the description of the others, nor stops the probe."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from envcap.model.facts import Facts
from envcap.probe.handover import probe_host
from envcap.probe.target.distributions import list_distributions
from envcap.probe.target.gaps import Gaps
from envcap.probe.target.hardware import parse_cpuinfo, parse_meminfo
from envcap.probe.target.headers import head, parse_headers, values_of
from envcap.probe.target.libc import parse_musl
from envcap.probe.target.origins import is_within, parse_direct_url
from envcap.probe.target.requires import parse_requires_txt
from envcap.probe.target.system import parse_os_release, zone_of_link, zone_of_variable

GOOD = b"Metadata-Version: 2.1\nName: NAME\nVersion: 1.0\n\nText.\n"

# The content of METADATA, of which nothing can be made, and a word of the reason that the Gap must give.
UNREADABLE = {
    "empty": (b"", "no Name and no Version"),
    "nul": (b"\0" * 4096, "no Name and no Version"),
    "not-text": (bytes(range(128, 256)) * 64, "no Name and no Version"),
    "utf16": ("Name: x\nVersion: 1\n".encode("utf-16"), "no Name and no Version"),
    "no-version": (b"Name: no-version\n\nVersion: 1.0\n", "no Version"),
    "blank-name": (b"Name: \t\nVersion: 1.0\n", "no Name"),
    "huge-name": (b"Name: " + b"n" * 5_000_000 + b"\nVersion: 1\n", "Name"),
    "climbing-name": (b"Name: ../../etc/passwd\nVersion: 1\n", "Name"),
    "escape-name": (b"Name: a\x1b[2Jb\nVersion: 1\n", "Name"),
    "nul-name": (b"Name: a\0b\nVersion: 1\n", "Name"),
    "climbing-version": (b"Name: x\nVersion: 1/../../../x\n", "Version"),
    "carriage-version": (b"Name: x\nVersion: 1\rVersion: 2\n", "Version"),
    "huge-version": (b"Name: x\nVersion: 1" + b".0" * 1_000_000 + b"\n", "Version"),
}

# The content of direct_url.json that says nothing.
ORIGINS = {
    "nested": b'{"url": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "deep-object": b'{"a":' * 100_000,
    "huge-number": b'{"url": ' + b"9" * 3_000_000 + b"}",
    "huge-exponent": b'{"url": 1e' + b"9" * 1000 + b"}",
    "latin": b'{"url": "\xe9"}',
    "twice": b'{"url": "https://example.org/"}{"url": "x"}',
    "nothing": b"",
    "no-object": b"[1]",
    "no-text": b'{"url": null}',
    "nul": b"\0",
    "surrogate-key": b'{"\\ud800": 1}',
    "bad-address": b'{"url": "http://[::1"}',
    "bad-port": b'{"url": "https://example.org:99999999/x.whl"}',
    "nul-in-address": b'{"url": "https://example.org/\\u0000x.whl"}',
    "line-in-address": b'{"url": "https://example.org/\\nx.whl"}',
}


def _write(folder: Path, name: str, metadata: bytes = GOOD, **files: bytes) -> Path:
    made = folder / f"{name}-1.0.dist-info"
    made.mkdir(parents=True)
    (made / "METADATA").write_bytes(metadata.replace(b"NAME", name.encode()))
    for file, content in files.items():
        (made / file.replace("_json", ".json")).write_bytes(content)
    return made


def _make_no_file(path: Path, kind: str) -> None:
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(path if kind == "loop" else "/dev/zero")


def _break(site: Path) -> None:
    """Fill a folder with every kind of broken distribution, and three good ones between them."""
    for name, (content, _) in UNREADABLE.items():
        _write(site, f"metadata-{name}", content)
    for name, content in ORIGINS.items():
        _write(site, f"origin-{name}", direct_url_json=content)
    for file in ("METADATA", "WHEEL", "INSTALLER", "direct_url.json", "RECORD", "REQUESTED"):
        kind = file.lower().replace("_", "-").replace(".", "-")
        for other in ("folder", "pipe", "loop", "device"):
            made = _write(site, f"{other}-{kind}") / file
            made.unlink(missing_ok=True)
            _make_no_file(made, other)
    _write(site, "headers", GOOD.replace(b"\n\n", b"\nName: other\nVersion: 2\n" + b"Requires-Dist: a\n" * 20_000))
    _write(site, "windows", GOOD.replace(b"\n", b"\r\n"))
    _write(site, "long-line", GOOD.replace(b"\n\n", b"\nKeywords: " + b"k" * 17_000_000 + b"\n\n"))
    _write(site, "folded", GOOD.replace(b"\n\n", b"\nSummary: a\n" + b" b\n" * 50_000 + b"\n"))
    _write(site, "tags", WHEEL=b"Tag: " + b".".join([b"py3"] * 9999) + b"-none-any\nBuild: 1/../../x\n")
    _write(site, "good", INSTALLER=b"pip\n", WHEEL=b"Tag: py3-none-any\n")
    for name, link in {
        "nul": b"/a\0b\n",
        "long": b"/x" * 9000,
        "empty": b"",
        "self": b".\n",
        "bytes": b"\xff\n",
    }.items():
        (site / f"link-{name}.egg-link").write_bytes(link)
    os.mkfifo(site / "pipe.egg-link")
    os.mkfifo(site / "pipe.egg-info")
    os.mkfifo(site / "pipe-1.dist-info")
    egg = site / "requires.egg-info"
    egg.mkdir()
    (egg / "PKG-INFO").write_bytes(b"Name: requires\nVersion: 1\n")
    os.mkfifo(egg / "requires.txt")
    (site / "sneaky\n\x1b[2J-1.dist-info").mkdir()
    Path(os.fsdecode(os.fsencode(site) + b"/\xff\xfe-1.dist-info")).mkdir()


def _probe(python: Path, site: Path) -> Facts:
    return probe_host(python, env={"PYTHONPATH": str(site)})


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    site = tmp_path_factory.mktemp("broken")
    _break(site)
    return site


@pytest.fixture(scope="module")
def seen(broken: Path) -> Facts:
    """Give what one run of the probe makes of all of them at once."""
    return _probe(Path(sys.executable), broken)


def test_good_ones_among_broken_ones_are_described(seen: Facts) -> None:
    names = {one.name for one in seen.distributions}
    assert {"good", "windows", "folded", "long-line", "headers", "requires"} <= names
    found = next(one for one in seen.distributions if one.name == "headers")
    assert (found.version, len(found.requires)) == ("1.0", 20_000)
    assert {name for name in names if name.startswith("metadata-")} == set()


@pytest.mark.parametrize("name", UNREADABLE)
def test_each_broken_metadata_file_is_a_gap_of_its_own(seen: Facts, broken: Path, name: str) -> None:
    gaps = [gap for gap in seen.gaps if gap.subject == str(broken / f"metadata-{name}-1.0.dist-info")]
    assert len(gaps) == 1
    assert "METADATA" in gaps[0].reason
    assert UNREADABLE[name][1] in gaps[0].reason
    assert len(gaps[0].reason) < 300


@pytest.mark.parametrize("name", ORIGINS)
def test_each_broken_origin_is_a_gap_and_the_package_is_described(seen: Facts, name: str) -> None:
    found = next(one for one in seen.distributions if one.name == f"origin-{name}")
    assert found.direct_url is None
    gaps = [gap for gap in seen.gaps if gap.subject in {found.name, found.path} and "direct_url.json" in gap.reason]
    assert len(gaps) == 1


@pytest.mark.parametrize("kind", ["folder", "pipe", "loop", "device"])
@pytest.mark.parametrize("file", ["metadata", "wheel", "installer", "direct-url-json"])
def test_what_is_no_file_is_a_gap_that_names_it(seen: Facts, kind: str, file: str) -> None:
    place = f"{kind}-{file}-1.0.dist-info"
    gaps = [gap for gap in seen.gaps if place in gap.subject]
    assert len(gaps) == 1
    assert file.partition("-")[0] in (gaps[0].subject.rpartition(place)[2] + gaps[0].reason).lower()
    assert "be read" in gaps[0].reason
    described = [one for one in seen.distributions if place in one.path]
    assert len(described) == (0 if file == "metadata" else 1)


@pytest.mark.parametrize("kind", ["folder", "pipe", "loop", "device"])
def test_a_record_that_is_no_file_is_none(seen: Facts, kind: str) -> None:
    assert [one.record for one in seen.distributions if one.name == f"{kind}-record"] == [False]


def test_every_python_makes_the_same_of_them(seen: Facts, broken: Path, interpreter: Path) -> None:
    facts = _probe(interpreter, broken)
    here = str(broken)
    # What is installed beside the interpreter differs; what is in the folder must not.
    assert [one for one in facts.distributions if one.path.startswith(here)] == [
        one for one in seen.distributions if one.path.startswith(here)
    ]
    theirs = {(gap.where, gap.subject) for gap in facts.gaps if "broken" in gap.subject or "origin-" in gap.subject}
    ours = {(gap.where, gap.subject) for gap in seen.gaps if "broken" in gap.subject or "origin-" in gap.subject}
    assert theirs == ours


def test_files_that_vanish_during_the_scan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(tmp_path, "vanishing", direct_url_json=b'{"url": "https://example.org/"}', INSTALLER=b"pip")
    _write(tmp_path, "zlast")
    listdir = os.listdir

    def vanish(path: str) -> list[str]:
        names = listdir(path)
        if path.endswith("vanishing-1.0.dist-info"):
            for name in names:
                if name != "METADATA":
                    Path(path, name).unlink()
        return names

    monkeypatch.setattr(os, "listdir", vanish)
    gaps = Gaps()
    assert [one["name"] for one in list_distributions([str(tmp_path)], gaps)] == ["vanishing", "zlast"]
    assert len(gaps.found) == 2


def test_a_working_folder_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    _write(tmp_path / "site", "good")
    assert [one["name"] for one in list_distributions(["", "lib", str(tmp_path / "site")], Gaps())] == ["good"]


@pytest.mark.parametrize("url", ["file://[", "file:///%00", "file:///" + "a/" * 5000, "http://a\nb/", ""])
def test_an_origin_that_is_no_folder_holds_nothing(tmp_path: Path, url: str) -> None:
    assert not is_within(str(tmp_path), {"url": url})


_PIECES = (
    *(b"Name: ", b"Version: ", b"Requires-Dist: ", b"Tag", b":", b" ", b"\t", b"\n", b"\r\n", b"\r", b"\0", b"\xff"),
    *(b"\xef\xbb\xbf", b"\x0c", b"\xe2\x80\xa8", b"[extra:", b"]", b"#", b"=", b'"', b"a", b"1.0", b"\\"),
)
_LINES = st.lists(st.sampled_from(_PIECES), max_size=30).map(b"".join)


@given(_LINES | st.binary(max_size=300))
@settings(max_examples=400)
def test_parsers_take_any_bytes(content: bytes) -> None:
    parse_headers(content, ("Name", "Version"), first_only=True)
    together = parse_headers(head(content), ("Requires-Dist",))["Requires-Dist"]
    alone = values_of(head(content), "Requires-Dist")
    if not content.startswith(b"\xef\xbb\xbf") and b"\r" not in content:
        assert alone == together
    parse_requires_txt(content)
    text = content.decode("utf-8", "replace")
    parse_os_release(text)
    parse_cpuinfo(text)
    parse_meminfo(text)
    parse_musl(text)
    zone_of_link(text)
    zone_of_variable(text)


@pytest.mark.parametrize("told", ["\u00b2 kB", "\u0661\u0662 kB", "", "-1", "9" * 9000])
def test_memory_that_is_no_number_is_unknown(told: str) -> None:
    assert parse_meminfo(f"MemTotal: {told}") is None


@given(st.binary(max_size=200) | st.text('{}[]":,url \\0eE-+.NaInfity', max_size=60).map(str.encode))
@settings(max_examples=400)
def test_an_origin_is_read_or_refused_with_a_value_error(content: bytes) -> None:
    try:
        found = parse_direct_url(content)
    except ValueError:
        return
    assert isinstance(found["url"], str)


@pytest.fixture(scope="module")
def real_files() -> dict[str, list[bytes]]:
    """Give the metadata files of what is installed beside these tests."""
    found: dict[str, list[bytes]] = {}
    for folder in sorted(Path(pytest.__file__).parents[1].glob("*.dist-info"))[:40]:
        for name in ("METADATA", "WHEEL", "INSTALLER", "direct_url.json"):
            if (folder / name).is_file():
                found.setdefault(name, []).append((folder / name).read_bytes()[:4000])
    return found


_DAMAGE = (b"\0", b"\n", b"\r\n", b"\n\n", b": ", b"\xff", b"", b"\x1b", b"{", b'"')


@given(data=st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_mutations_of_real_files(
    data: st.DataObject, real_files: dict[str, list[bytes]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Cut, doubled and overwritten files: described or a Gap, and the good neighbour is always there."""
    site = tmp_path_factory.mktemp("mutated")
    _write(site, "neighbour")
    made = _write(site, "mutated")
    for name, contents in sorted(real_files.items()):
        content = bytearray(data.draw(st.sampled_from(contents)))
        for _ in range(data.draw(st.integers(0, 4))):
            place = data.draw(st.integers(0, len(content)))
            piece = data.draw(st.sampled_from(_DAMAGE))
            content[place : place + data.draw(st.integers(0, 40))] = piece
        (made / name).write_bytes(content)
    gaps = Gaps()
    found = list_distributions([str(site)], gaps)
    assert "neighbour" in {one["name"] for one in found}
    assert len(found) + len(gaps.found) >= 2


def test_modules_that_cannot_be_asked_are_left_alone(tmp_path: Path, add_dist_info: Callable[..., Path]) -> None:
    """Some .pth files put objects into sys.modules whose attributes raise what is no AttributeError."""
    add_dist_info(tmp_path, "good", "1.0")
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Lazy:\n"
        "    def __getattr__(self, name):\n"
        "        raise RuntimeError('not now')\n"
        "    flush = 1\n"
        "sys.modules['lazy'] = Lazy()\n"
        "sys.meta_path.append(Lazy())\n"
        "sys.path.append(3)\n"
        "sys.stdout = Lazy()\n"
    )
    facts = _probe(Path(sys.executable), tmp_path)
    assert "good" in {one.name for one in facts.distributions}
