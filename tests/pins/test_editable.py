"""What an editable install makes importable, read from what installers leave behind."""

import contextlib
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from envcap.model.facts import DirectUrl, Distribution
from envcap.pins.editable import Imports, read_imports
from envcap.pins.repack import CannotRepackError


class Site:
    """A site folder with one editable distribution in it, and its source tree."""

    def __init__(self, folder: Path) -> None:
        self.site = folder / "site-packages"
        self.project = folder / "project"
        self.metadata = self.site / "thing-1.0.dist-info"
        self.metadata.mkdir(parents=True)
        self.project.mkdir()

    def put(self, name: str, text: str) -> None:
        (self.site / name).write_text(text)
        record = self.metadata / "RECORD"
        record.write_text((record.read_text() if record.exists() else "") + f"{name},,\n")

    @property
    def distribution(self) -> Distribution:
        url = DirectUrl(url=self.project.as_uri(), editable=True, directory=True)
        return Distribution(name="thing", version="1.0", path=str(self.metadata), layout="dist-info", direct_url=url)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_a_plain_path(site: Site) -> None:
    (site.project / "src").mkdir()
    site.put("_thing.pth", f"# a remark\n\n{site.project}/src\n")
    imports = read_imports(site.distribution)
    assert imports.roots == [site.project / "src"]
    assert imports.modules == {}


def test_a_link_of_setup_py_develop_brings_the_whole_project(site: Site) -> None:
    metadata = site.project / "src" / "thing.egg-info"
    metadata.mkdir(parents=True)
    linked = msgspec.structs.replace(site.distribution, path=str(metadata), layout="egg-link")
    assert read_imports(linked) == Imports(project=site.project, roots=[site.project / "src"])
    elsewhere = DirectUrl(url=site.site.as_uri(), editable=True, directory=True)
    for url in (None, elsewhere):
        imports = read_imports(msgspec.structs.replace(linked, direct_url=url))
        assert imports == Imports(project=site.project / "src", roots=[site.project / "src"])


def test_the_finder_of_setuptools(site: Site) -> None:
    (site.project / "thing").mkdir()
    (site.project / "single.py").touch()
    (site.project / "spaces" / "one").mkdir(parents=True)
    site.put(
        "__editable__.thing-1.0.pth", "import __editable___thing_1_0_finder; __editable___thing_1_0_finder.install()"
    )
    (site.site / "__editable___thing_1_0_finder.py").write_text(
        "from __future__ import annotations\n"
        f"MAPPING: dict[str, str] = {{'thing': '{site.project}/thing', 'single': '{site.project}/single'}}\n"
        f"NAMESPACES: dict[str, list[str]] = {{'spaces.one': ['{site.project}/spaces/one', '/nowhere/one']}}\n"
        "def install(): raise RuntimeError\n"
    )
    imports = read_imports(site.distribution)
    assert imports.modules == {
        "thing": site.project / "thing",
        "single": site.project / "single.py",
        "spaces.one": site.project / "spaces" / "one",
    }


def test_links_into_the_tree(site: Site) -> None:
    (site.project / "thing").mkdir()
    (site.site / "thing").symlink_to(site.project / "thing")
    (site.metadata / "RECORD").write_text("thing/__init__.py,,\n")
    assert read_imports(site.distribution).modules == {"thing": site.project / "thing"}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("import _thing_loader", "a loader of its own"),
        ("/nowhere/at/all", "is gone"),
        ("", "nothing tells"),
        ("import __editable___gone_finder; x", "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_told(line: str, words: str, site: Site) -> None:
    site.put("thing.pth", line)
    with pytest.raises(CannotRepackError, match=words):
        read_imports(site.distribution)


def test_a_tree_that_is_gone(site: Site) -> None:
    site.project.rmdir()
    with pytest.raises(CannotRepackError, match="is gone"):
        read_imports(site.distribution)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet=st.characters(blacklist_categories=["Cs"])))
def test_any_finder_is_read_or_told(site: Site, text: str) -> None:
    (site.metadata / "RECORD").write_text("thing.pth,,\n")
    (site.site / "thing.pth").write_text("import __editable___thing_finder; x")
    (site.site / "__editable___thing_finder.py").write_text(f"MAPPING = {text}\n")
    with contextlib.suppress(CannotRepackError):
        read_imports(site.distribution)
