"""Pinning real environments against a real index on loopback."""

from __future__ import annotations

import hashlib
import json
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from envcap.model.gap import Gap
from envcap.model.lock import Checkout, Package
from envcap.pins.configuration import Configuration, place
from envcap.pins.pip import Pinned, pin
from envcap.store import STORE_FOLDER, Store

if TYPE_CHECKING:
    from tests.pins.conftest import Environment, Index, MakeWheel

CANARY = "c4n4ry-s3cret"
DIFFERENT = {"demo_more.py": "x = 1\n"}

# A build back end that needs nothing installed: it zips one module.
BACKEND = """
import zipfile
INFO = "demo-1.0.dist-info/"
def _write(folder, module):
    name = "demo-1.0-py3-none-any.whl"
    with zipfile.ZipFile(folder + "/" + name, "w") as archive:
        archive.writestr(module, "VERSION = 'built'\\n")
        archive.writestr(INFO + "METADATA", "Metadata-Version: 2.1\\nName: demo\\nVersion: 1.0\\n")
        archive.writestr(INFO + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        archive.writestr(INFO + "RECORD", f"{module},,\\n{INFO}METADATA,,\\n{INFO}WHEEL,,\\n{INFO}RECORD,,\\n")
    return name
def build_wheel(folder, config_settings=None, metadata_directory=None):
    return _write(folder, "demo.py")
def build_editable(folder, config_settings=None, metadata_directory=None):
    return _write(folder, "demo_editable.pth")
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Give a source tree of demo 1.0 that builds offline."""
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "backend.py").write_text(BACKEND)
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "demo"\nversion = "1.0"\n'
    )
    return folder


class Pinning:
    """Pins one environment, with a store and a cache of its own."""

    def __init__(self, environment: Environment, lock: Path) -> None:
        self.environment = environment
        self.lock = lock
        self.store = Store(lock / STORE_FOLDER)
        self.cache = Store(lock / "cache")

    def __call__(self, *indexes: str, **settings: Any) -> Pinned:
        configuration = Configuration(indexes=[place(one) for one in indexes], retries=1, timeout=5.0, **settings)
        return pin(
            self.environment.facts(),
            configuration=configuration,
            store=self.store,
            cache=self.cache,
            tell=lambda _: None,
        )

    def carried(self, package: Package) -> bytes:
        assert package.wheel.path == f"{STORE_FOLDER}/{package.wheel.sha256}/{package.wheel.name}"
        assert package.wheel.url is None
        content = (self.lock / package.wheel.path).read_bytes()
        assert hashlib.sha256(content).hexdigest() == package.wheel.sha256
        assert len(content) == package.wheel.size
        return content


@pytest.fixture
def pinning(environment: Environment, tmp_path: Path) -> Pinning:
    return Pinning(environment, tmp_path / "lock")


def one(pinned: Pinned) -> Package:
    assert pinned.gaps == []
    (package,) = pinned.packages
    return package


def repacked(pinned: Pinned) -> tuple[Package, Gap]:
    (package,), (gap,) = pinned.packages, pinned.gaps
    assert (package.origin, package.index, gap.where, gap.subject) == ("repacked", None, "packages", "demo==1.0")
    return package, gap


@pytest.mark.parametrize("json", [True, False])
def test_a_package_of_an_index(
    pinning: Pinning, environment: Environment, index: Index, make_wheel: MakeWheel, *, json: bool
) -> None:
    index.json = json
    wheel = make_wheel("demo", "1.0")
    sha256 = index.add(wheel)
    index.add(make_wheel("demo", "1.0", tags=("py2-none-any",)))
    environment.install(wheel.parent / wheel.name, options=("--find-links", str(wheel.parent)))
    for direct_url in environment.site.glob("*/direct_url.json"):
        direct_url.unlink()
    package = one(pinning(index.simple))
    assert package.wheel.url == f"{index.url}/files/{wheel.name}"
    assert (package.wheel.sha256, package.wheel.size, package.wheel.path) == (sha256, wheel.stat().st_size, None)
    assert (package.index, package.origin, package.installer) == (index.simple, "index", "uv")
    assert not package.requested  # uv says so of every package
    assert not (pinning.lock / STORE_FOLDER).exists()


def install(environment: Environment, wheel: Path, *, installer: str = "uv") -> None:
    """Install as if from an index: by name, from the wheel's folder."""
    options = ("--find-links", str(wheel.parent))
    if installer == "uv":
        environment.install("demo==1.0", options=options)
    else:
        environment.pip("demo==1.0", *options)
    assert not list(environment.site.glob("*/direct_url.json"))


def test_what_pip_installed_by_request_is_requested(
    pinning: Pinning, environment: Environment, index: Index, make_wheel: MakeWheel
) -> None:
    wheel = make_wheel("demo", "1.0")
    index.add(wheel)
    install(environment, wheel, installer="pip")
    package = one(pinning(index.simple))
    assert (package.requested, package.installer) == (True, "pip")


def test_an_index_without_hashes_is_downloaded_from(
    pinning: Pinning, environment: Environment, index: Index, make_wheel: MakeWheel
) -> None:
    index.hashes = False
    wheel = make_wheel("demo", "1.0")
    sha256 = index.add(wheel)
    install(environment, wheel)
    package = one(pinning(index.simple))
    assert (package.wheel.sha256, package.wheel.size) == (sha256, wheel.stat().st_size)
    assert pinning.cache.find(sha256, wheel.name) is not None


@pytest.mark.parametrize("ranges", [True, False])
def test_of_different_files_under_one_name_the_installed_one_is_proven(
    pinning: Pinning, environment: Environment, make_index: Any, make_wheel: MakeWheel, tmp_path: Path, *, ranges: bool
) -> None:
    indexes: list[Index] = [make_index(), make_index()]
    other, installed = make_wheel("demo", "1.0", files=DIFFERENT), make_wheel("demo", "1.0", folder=tmp_path / "b")
    for one_of, wheel in zip(indexes, (other, installed), strict=True):
        one_of.add(wheel)
        one_of.ranges = ranges
    install(environment, installed)
    package = one(pinning(indexes[0].simple, indexes[1].simple))
    assert package.wheel.url == f"{indexes[1].url}/files/{installed.name}"
    assert package.wheel.sha256 == hashlib.sha256(installed.read_bytes()).hexdigest()
    assert (pinning.lock / "cache").exists() is not ranges


def test_what_cannot_be_told_is_carried_and_said(
    pinning: Pinning, environment: Environment, make_index: Any, make_wheel: MakeWheel, tmp_path: Path
) -> None:
    indexes: list[Index] = [make_index(), make_index()]
    indexes[0].add(make_wheel("demo", "1.0", files=DIFFERENT))
    indexes[1].add(make_wheel("demo", "1.0", files={"demo_other.py": ""}, folder=tmp_path / "b"))
    install(environment, make_wheel("demo", "1.0", folder=tmp_path / "c"))
    package, gap = repacked(pinning(indexes[0].simple, indexes[1].simple))
    assert "ambiguous" in gap.reason
    assert pinning.carried(package)


def test_the_same_file_in_several_places_is_referenced_by_url(
    pinning: Pinning, environment: Environment, index: Index, make_wheel: MakeWheel
) -> None:
    wheel = make_wheel("demo", "1.0")
    index.add(wheel)
    install(environment, wheel)
    package = one(pinning(index.simple, find_links=[place(str(wheel.parent))]))
    assert package.wheel.url is not None


def test_a_file_of_a_local_place_is_carried(
    pinning: Pinning, environment: Environment, index: Index, make_wheel: MakeWheel
) -> None:
    wheel = make_wheel("demo", "1.0")
    install(environment, wheel)
    package = one(pinning(index.simple, find_links=[place(str(wheel.parent))]))
    assert (package.origin, package.index) == ("local", None)
    assert pinning.carried(package) == wheel.read_bytes()


def test_a_local_index_that_states_a_wrong_hash_is_not_believed(
    pinning: Pinning, environment: Environment, make_wheel: MakeWheel, tmp_path: Path
) -> None:
    wheel = make_wheel("demo", "1.0")
    install(environment, wheel)
    page = tmp_path / "index" / "demo" / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text(f'<a href="{wheel.as_uri()}#sha256={"0" * 64}">x</a>')
    _, gap = repacked(pinning(str(tmp_path / "index")))
    assert "not what it says" in gap.reason


def test_a_wheel_from_a_url(pinning: Pinning, environment: Environment, index: Index, make_wheel: MakeWheel) -> None:
    wheel = make_wheel("demo", "1.0")
    sha256 = index.add(wheel)
    index.login = ("me", CANARY)
    address = f"{index.url}/files/{wheel.name}"
    environment.install(f"demo @ {address.replace('://', f'://me:{CANARY}@')}")
    package = one(pinning(f"http://me:{CANARY}@{index.host}/simple/"))
    assert (package.origin, package.wheel.url, package.wheel.sha256) == ("archive", address, sha256)
    # Replaced since: what is there now is not what is installed.
    index.files[wheel.name] = make_wheel("demo", "1.0", files=DIFFERENT).read_bytes()
    carried, gap = repacked(pinning(f"http://me:{CANARY}@{index.host}/simple/"))
    assert "is not what is installed: 1 of 4 files differ, first `demo_more.py`" in gap.reason
    index.files.clear()
    carried, gap = repacked(pinning(f"http://me:{CANARY}@{index.host}/simple/"))
    assert "cannot be had any more" in gap.reason
    assert CANARY not in repr((package, carried, gap))


def test_a_wheel_from_a_url_whose_hash_pip_noted_down(
    pinning: Pinning, environment: Environment, index: Index, make_wheel: MakeWheel
) -> None:
    wheel = make_wheel("demo", "1.0")
    sha256 = index.add(wheel)
    environment.pip(f"{index.url}/files/{wheel.name}")
    assert one(pinning()).wheel.sha256 == sha256
    index.files[wheel.name] += b"more"
    assert one(pinning()).wheel.sha256 == sha256  # from the cache
    (pinning.cache.path(sha256, wheel.name)).unlink()
    _, gap = repacked(pinning())
    assert "is not the file whose sha256 was noted down" in gap.reason


def test_a_wheel_from_a_file(pinning: Pinning, environment: Environment, make_wheel: MakeWheel) -> None:
    wheel = make_wheel("demo", "1.0")
    environment.install(wheel)
    package = one(pinning())
    assert package.origin == "local"
    assert pinning.carried(package) == wheel.read_bytes()
    make_wheel("demo", "1.0", files=DIFFERENT)
    package, gap = repacked(pinning())
    assert "of this machine is not what is installed: 1 of 4 files differ, first `demo_more.py`" in gap.reason
    assert "demo_more.py" not in zipfile.ZipFile(pinning.lock / str(package.wheel.path)).namelist()


@pytest.mark.parametrize("how", ["folder", "sdist", "git"])
def test_what_was_built_here_is_carried(
    pinning: Pinning, index: Index, make_wheel: MakeWheel, source: Path, how: str
) -> None:
    index.add(make_wheel("demo", "1.0"))  # an index has the same name, version and tags: not what is installed
    what: str | Path = source
    if how == "git":
        git = ["git", "-C", str(source), "-c", "user.name=n", "-c", "user.email=e@example.org"]
        for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "x"]):
            subprocess.run([*git, *words], check=True, capture_output=True)
        what = f"demo @ git+file://{source}"
    if how == "sdist":
        what = source.parent / "demo-1.0.tar.gz"
        with tarfile.open(what, "w:gz") as archive:
            archive.add(source, "demo-1.0")
    pinning.environment.install(what)
    package, gap = repacked(pinning(index.simple))
    assert "built on this machine" in gap.reason
    assert str(source.parent) not in gap.reason
    with zipfile.ZipFile(pinning.lock / str(package.wheel.path)) as archive_:
        assert archive_.read("demo.py") == b"VERSION = 'built'\n"
    pinning.carried(package)


def test_a_folder_that_was_built_tells_the_commit_that_it_is_at_now(pinning: Pinning, source: Path) -> None:
    git = ["git", "-C", str(source), "-c", "user.name=n", "-c", "user.email=e@example.org"]
    origin = "https://user:c4n4ry@example.org/demo.git"
    for words in (
        ["init", "-q", "-b", "main"],
        ["remote", "add", "origin", origin],
        ["add", "."],
        ["commit", "-qm", "x"],
    ):
        subprocess.run([*git, *words], check=True, capture_output=True)
    pinning.environment.install(source)
    done = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    commit = done.stdout.strip()
    (source / "backend.py").write_text(BACKEND + "# changed\n")
    package, gap = repacked(pinning())
    assert (
        f"from a folder of this machine, which now is at commit {commit[:12]}, with uncommitted changes" in gap.reason
    )
    patch = package.checkout.patch if package.checkout is not None else None
    address = "https://example.org/demo.git"
    assert package.checkout == Checkout(kind="folder", repository=address, commit=commit, branch="main", patch=patch)
    assert patch is not None
    assert b"+# changed" in pinning.store.require(patch, "demo-1.0.patch", what="The patch").read_bytes()


def test_an_editable_install_that_leads_nowhere_is_a_gap(
    pinning: Pinning, environment: Environment, source: Path
) -> None:
    environment.install("-e", source)
    pinned = pinning()
    assert pinned.packages == []
    assert [gap.subject for gap in pinned.gaps] == ["demo==1.0"]
    assert "editable" in pinned.gaps[0].reason


def test_a_package_that_no_index_offers(
    pinning: Pinning, environment: Environment, index: Index, make_wheel: MakeWheel
) -> None:
    wheel = make_wheel("demo", "1.0")
    install(environment, wheel)
    package, gap = repacked(pinning(index.simple))
    assert "no index offers" in gap.reason
    pinning.carried(package)
    (environment.site / "demo.py").unlink()
    package, gap = repacked(pinning(index.simple))
    assert "no index offers" in gap.reason
    assert "missing, as if half uninstalled: 1 file, `demo.py`" in gap.reason
    pinning.carried(package)


def test_others_packages_are_gaps(pinning: Pinning, environment: Environment, index: Index) -> None:
    facts = environment.facts()
    egg = environment.site / "old-1.egg-info"
    egg.mkdir()
    (egg / "PKG-INFO").write_text("Metadata-Version: 1.0\nName: old\nVersion: 1\n")
    system = environment.site / "debs-2.dist-info"
    system.mkdir()
    (system / "METADATA").write_text("Metadata-Version: 2.1\nName: debs\nVersion: 2\n")
    (system / "INSTALLER").write_text("debian\n")
    assert facts.distributions == []
    pinned = pinning(index.simple)
    assert pinned.packages == []
    assert [gap.subject for gap in pinned.gaps] == ["debs==2", "old==1"]
    assert {path for _, path, _ in index.asked} == {"/simple/debs/", "/simple/old/"}


def test_what_conda_installed_is_carried(
    pinning: Pinning, environment: Environment, index: Index, make_wheel: MakeWheel
) -> None:
    wheel = make_wheel("demo", "1.0")
    index.add(wheel)
    environment.install(wheel)
    info = environment.site / "demo-1.0.dist-info"
    (info / "INSTALLER").write_text("conda")
    (info / "direct_url.json").write_text(json.dumps({"url": "file:///build/wheels/x.whl", "archive_info": {}}))
    _, gap = repacked(pinning(index.simple))
    assert "conda" in gap.reason


def test_no_secret_gets_anywhere(
    pinning: Pinning, index: Index, make_wheel: MakeWheel, capfd: pytest.CaptureFixture[str]
) -> None:
    index.login = (CANARY, f"{CANARY}2")
    wheels = [make_wheel("demo", "1.0"), make_wheel("second", "2.0"), make_wheel("third", "3.0")]
    for wheel in wheels[:2]:
        index.add(wheel)
    pinning.environment.install("demo", "second", "third", options=("--find-links", str(wheels[0].parent)))
    pinned = pinning(f"http://{CANARY}:{CANARY}2@{index.host}/simple/")
    assert [package.origin for package in pinned.packages] == ["index", "index", "repacked"]
    assert CANARY.encode() not in msgspec.json.encode(pinned)
    held = b"".join(path.read_bytes() for path in pinning.lock.rglob("*") if path.is_file())
    assert CANARY.encode() not in held
    assert not any(CANARY in str(path) for path in pinning.lock.rglob("*"))
    assert CANARY not in "".join(capfd.readouterr())


def test_an_address_that_needs_its_secret_to_work_is_carried_instead(
    pinning: Pinning, environment: Environment, index: Index, make_wheel: MakeWheel
) -> None:
    wheel = make_wheel("demo", "1.0")
    index.add(wheel)
    index.json = False
    page = index.page("demo")
    assert page is not None
    signed = page[1].replace(b".whl#", f".whl?token={CANARY}#".encode())
    index.pages["demo"] = ("text/html", signed)
    install(environment, wheel)
    package = one(pinning(index.simple))
    assert (package.origin, package.index) == ("index", index.simple)
    assert pinning.carried(package) == wheel.read_bytes()
    assert CANARY not in repr(package)
