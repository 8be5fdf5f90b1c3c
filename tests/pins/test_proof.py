"""Which file is installed is proven by the RECORD inside it: names and tags alone would name the wrong one."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from envcap.errors import NotRunError
from envcap.pins.answers import Answers
from envcap.pins.configuration import Configuration, place, read_configuration
from envcap.pins.pages import Wanted
from envcap.pins.pip import Pinned, pin
from envcap.pins.record import compare_records
from envcap.store import STORE_FOLDER, Store

if TYPE_CHECKING:
    from tests.pins.conftest import Environment, Index, MakeWheel

OTHER = {"demo_more.py": "x = 1\n"}


def pinned_in(environment: Environment, folder: Path, *indexes: str, refresh: bool = False) -> Pinned:
    configuration = Configuration(indexes=[place(one) for one in indexes], retries=1, timeout=5.0)
    store, cache = Store(folder / STORE_FOLDER), Store(folder / "cache" / "files")
    return pin(
        environment.facts(),
        configuration=configuration,
        store=store,
        cache=cache,
        tell=lambda _: None,
        refresh=refresh,
    )


def install(environment: Environment, wheel: Path) -> None:
    environment.install("demo==1.0", options=("--find-links", str(wheel.parent)))


def asked_for_ranges(index: Index) -> int:
    return sum("range" in headers for _, _, headers in index.asked)


@pytest.mark.parametrize("ranges", [True, False])
def test_a_second_freeze_asks_for_no_range_and_no_file(
    environment: Environment, index: Index, make_wheel: MakeWheel, tmp_path: Path, *, ranges: bool
) -> None:
    index.ranges = ranges
    wheel = make_wheel("demo", "1.0")
    index.add(wheel)
    install(environment, wheel)
    first = pinned_in(environment, tmp_path / "lock", index.simple)
    assert [package.confidence for package in first.packages] == ["proven"]
    assert asked_for_ranges(index) == 1
    index.asked.clear()
    assert pinned_in(environment, tmp_path / "lock", index.simple) == first
    assert index.paths() == []
    assert pinned_in(environment, tmp_path / "lock", index.simple, refresh=True) == first
    assert index.paths() == ["/simple/demo/"]


def test_the_index_is_asked_again_where_its_old_answer_proves_nothing(
    environment: Environment, index: Index, make_wheel: MakeWheel, tmp_path: Path
) -> None:
    wheel = make_wheel("demo", "1.0")
    install(environment, wheel)
    (gap,) = pinned_in(environment, tmp_path, index.simple).gaps
    assert "no index offers a wheel of it" in gap.reason
    index.add(wheel)
    pinned = pinned_in(environment, tmp_path, index.simple)
    assert [package.confidence for package in pinned.packages] == ["proven"]
    other = make_wheel("demo", "1.0", files=OTHER, folder=tmp_path / "other")
    sha256 = index.add(other)  # in place of the first
    environment.install("demo==1.0", options=("--reinstall", "--find-links", str(other.parent)))
    pinned = pinned_in(environment, tmp_path, index.simple)
    assert [(package.confidence, package.wheel.sha256) for package in pinned.packages] == [("proven", sha256)]
    assert index.paths().count("/simple/demo/") == 3


def test_an_answer_of_yesterday_is_not_believed(
    environment: Environment, index: Index, make_wheel: MakeWheel, tmp_path: Path
) -> None:
    wheel = make_wheel("demo", "1.0")
    index.add(wheel)
    install(environment, wheel)
    first = pinned_in(environment, tmp_path, index.simple)
    answers, release = Answers(tmp_path / "cache" / "answers"), Wanted(name="demo", version="1.0")
    answer = answers.recall(index.simple, release)
    assert answer is not None
    answers.remember(index.simple, release, msgspec.structs.replace(answer, asked_at=time.time() - 25 * 3600))
    assert pinned_in(environment, tmp_path, index.simple) == first
    assert index.paths().count("/simple/demo/") == 2
    index.files.clear()  # withdrawn: seen when the index is asked
    assert pinned_in(environment, tmp_path, index.simple) == first
    assert "withdrawn" in pinned_in(environment, tmp_path, index.simple, refresh=True).gaps[0].reason


def test_another_index_has_not_been_asked(
    environment: Environment, make_index: Any, make_wheel: MakeWheel, tmp_path: Path
) -> None:
    one, two = make_index(), make_index()
    wheel = make_wheel("demo", "1.0")
    install(environment, wheel)
    for index in (one, two):
        index.add(wheel)
    first, second = (pinned_in(environment, tmp_path, index.simple).packages[0] for index in (one, two))
    assert (first.index, second.index) == (one.simple, two.simple)
    assert (first.wheel.url or "").startswith(one.url)
    assert (second.wheel.url or "").startswith(two.url)


def test_two_freezes_at_once_agree(
    environment: Environment, index: Index, make_wheel: MakeWheel, tmp_path: Path
) -> None:
    wheels = [make_wheel(name, "1.0") for name in ("demo", "more", "third")]
    for wheel in wheels:
        index.add(wheel)
    environment.install(*wheels)
    for origin in environment.site.glob("*/direct_url.json"):
        origin.unlink()  # as from an index
    with ThreadPoolExecutor(4) as several:
        pinned = list(several.map(lambda _: pinned_in(environment, tmp_path, index.simple), range(4)))
    assert [package.confidence for package in pinned[0].packages] == ["proven"] * 3
    assert pinned == pinned[:1] * 4


def test_a_damaged_memory_is_read_anew(
    environment: Environment, index: Index, make_wheel: MakeWheel, tmp_path: Path
) -> None:
    wheel = make_wheel("demo", "1.0")
    index.add(wheel)
    install(environment, wheel)
    first = pinned_in(environment, tmp_path, index.simple)
    (remembered,) = (tmp_path / "cache" / "records").iterdir()
    remembered.write_bytes(remembered.read_bytes().replace(b"demo.py", b"dem0.py"))
    assert pinned_in(environment, tmp_path, index.simple) == first
    assert asked_for_ranges(index) == 2


def test_what_pip_built_of_an_sdist_is_not_the_wheel_with_the_same_tags(
    environment: Environment, index: Index, make_wheel: MakeWheel, tmp_path: Path
) -> None:
    index.add(make_wheel("demo", "1.0"))
    built = make_wheel("demo", "1.0", files={"demo.py": "VERSION = 'built here'\n"}, folder=tmp_path / "built")
    backend = (
        f"import shutil\ndef build_wheel(to, *_):\n    return shutil.copy({str(built)!r}, to).rpartition('/')[2]\n"
    )
    (source := tmp_path / "demo-1.0").mkdir()
    (source / "backend.py").write_text(backend)
    (source / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n")
    (source / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    (links := tmp_path / "links").mkdir()
    with tarfile.open(links / "demo-1.0.tar.gz", "w:gz") as archive:
        archive.add(source, "demo-1.0")
    environment.pip("demo==1.0", "--find-links", str(links), "--no-build-isolation")
    assert not list(environment.site.glob("*/direct_url.json"))

    pinned = pinned_in(environment, tmp_path / "lock", index.simple)
    (package,), (gap,) = pinned.packages, pinned.gaps
    assert (package.origin, package.confidence) == ("repacked", "carried")
    assert "is not what is installed: 1 of 3 files differ, first `demo.py`" in gap.reason
    with zipfile.ZipFile(tmp_path / "lock" / str(package.wheel.path)) as wheel:
        assert wheel.read("demo.py") == b"VERSION = 'built here'\n"


def test_a_wheel_that_is_listed_and_refused_is_carried(
    environment: Environment, index: Index, make_wheel: MakeWheel, tmp_path: Path
) -> None:
    wheel = make_wheel("demo", "1.0")
    index.add(wheel)
    install(environment, wheel)
    index.pages["demo"] = index.page("demo") or ("", b"")
    index.files.clear()
    pinned = pinned_in(environment, tmp_path, index.simple)
    assert [package.confidence for package in pinned.packages] == ["carried"]
    assert "HTTP 404" in pinned.gaps[0].reason


def test_a_server_that_fails_stops_the_freeze(
    environment: Environment, index: Index, make_wheel: MakeWheel, tmp_path: Path
) -> None:
    wheel = make_wheel("demo", "1.0")
    index.add(wheel)
    install(environment, wheel)
    index.failing[f"/files/{wheel.name}"] = 100
    with pytest.raises(NotRunError, match="503"):
        pinned_in(environment, tmp_path, index.simple)


def test_a_wheel_without_a_record_is_found_by_its_tags_alone(
    environment: Environment, index: Index, make_wheel: MakeWheel, tmp_path: Path
) -> None:
    wheel = make_wheel("demo", "1.0")
    install(environment, wheel)
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("demo.py", "")
    index.add(wheel)
    pinned = pinned_in(environment, tmp_path, index.simple)
    assert [(package.origin, package.confidence) for package in pinned.packages] == [("index", "tags")]
    assert "RECORD is missing" in pinned.gaps[0].reason
    assert "by its name and tags alone" in pinned.gaps[0].reason


@pytest.mark.parametrize("is_edited", [False, True])
def test_without_an_installed_record_the_files_themselves_speak(
    environment: Environment, index: Index, make_wheel: MakeWheel, tmp_path: Path, *, is_edited: bool
) -> None:
    wheel = make_wheel("demo", "1.0")
    index.add(wheel)
    install(environment, wheel)
    (environment.site / "demo-1.0.dist-info" / "RECORD").unlink()
    if is_edited:
        (environment.site / "demo.py").write_text("VERSION = 'mine'\n")
    pinned = pinned_in(environment, tmp_path, index.simple)
    expected = ("repacked", "carried") if is_edited else ("index", "proven")
    assert [(package.origin, package.confidence) for package in pinned.packages] == [expected]
    assert ["holds other contents" in gap.reason for gap in pinned.gaps] == [True] * is_edited


def test_local_and_direct_wheels_are_proven(
    environment: Environment, index: Index, make_wheel: MakeWheel, tmp_path: Path
) -> None:
    local, direct = make_wheel("demo", "1.0"), make_wheel("second", "1.0")
    index.add(direct)
    environment.install(local, f"second @ {index.url}/files/{direct.name}")
    pinned = pinned_in(environment, tmp_path / "lock")
    assert [(one.origin, one.confidence) for one in pinned.packages] == [("local", "proven"), ("archive", "proven")]


def test_rows_without_a_hash_prove_nothing() -> None:
    assert compare_records({"a.py": ""}, {"a.py": ""}).proves is False


def test_a_file_that_the_wheel_put_into_the_site_directory_by_its_data_is_known() -> None:
    wheel = {"a.py": "sha256=a", "a-1.data/data/lib/python3/site-packages/a.pth": "sha256=b"}
    assert compare_records(wheel, {"a.py": "sha256=a", "a.pth": "sha256=b"}).proves
    assert compare_records(wheel, {"a.py": "sha256=a", "a.pth": "sha256=c"}).differing == ["a.pth"]


@pytest.mark.network
def test_real_packages_are_all_proven(environment: Environment, tmp_path: Path) -> None:
    wishes = ["numpy", "six==1.16.0", "setuptools", "pyyaml", "charset-normalizer", "jinja2", "markupsafe", "regex"]
    pip = [sys.executable, "-m", "pip", "--python", str(environment.python), "install", "-q"]
    done = subprocess.run([*pip, *wishes], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    pinned = pin(
        environment.facts(),
        configuration=read_configuration(environment.python),
        store=Store(tmp_path / STORE_FOLDER),
        cache=Store(tmp_path / "cache" / "files"),
        tell=lambda _: None,
    )
    assert pinned.gaps == []
    confidences = {package.name: package.confidence for package in pinned.packages}
    assert confidences == {wish.partition("=")[0]: "proven" for wish in wishes}
