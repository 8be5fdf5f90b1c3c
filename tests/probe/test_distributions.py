"""What the probe reads from real installs, and what it makes of broken ones."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from envcap.model.facts import Distribution, Facts
from envcap.probe.handover import probe_host
from envcap.probe.target.distributions import list_distributions, normalise
from envcap.probe.target.gaps import Gaps

_BACKEND = """
import os, zipfile
def _wheel(folder, files):
    name = "mine-1.5-py3-none-any.whl"
    files.update({
        "mine-1.5.dist-info/METADATA": "Metadata-Version: 2.1\\nName: mine\\nVersion: 1.5\\n",
        "mine-1.5.dist-info/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        "mine-1.5.dist-info/RECORD": "",
    })
    with zipfile.ZipFile(os.path.join(folder, name), "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return name
def build_wheel(folder, *_):
    return _wheel(folder, {"mine.py": ""})
def build_editable(folder, *_):
    return _wheel(folder, {"mine.pth": os.getcwd()})
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Give a project with a build backend of its own, so that no index is needed."""
    folder = tmp_path / "my project"
    folder.mkdir()
    (folder / "backend.py").write_text(_BACKEND)
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "mine"\nversion = "1.5"\n'
    )
    return folder


def _only(facts: Facts) -> Distribution:
    (distribution,) = facts.distributions
    return distribution


def _listed(*folders: Path) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    gaps = Gaps()
    return list_distributions([str(folder) for folder in folders], gaps), gaps.found


def test_an_empty_environment_has_none(environment: Path) -> None:
    facts = probe_host(environment / "bin" / "python")
    assert facts.distributions == []
    assert facts.interpreter.kind == "venv"
    assert facts.base_prefix != facts.prefix == str(environment)


def test_a_wheel_installed_by_uv(
    environment: Path, site: Path, install: Callable[..., None], make_wheel: Callable[..., Path]
) -> None:
    wheel = make_wheel("tiny", "1.0", build="7local")
    install(wheel)
    found = _only(probe_host(environment / "bin" / "python"))
    assert (found.name, found.version, found.layout) == ("tiny", "1.0", "dist-info")
    assert found.path == str(site / "tiny-1.0.dist-info")
    assert (found.installer, found.tags, found.build_tag) == ("uv", ["py3-none-any"], "7local")
    assert found.record
    assert found.requested
    assert not found.built_here
    assert found.direct_url is not None
    assert found.direct_url.url == wheel.as_uri()


def test_an_editable_install_and_its_source_tree_are_one(
    environment: Path, project: Path, install: Callable[..., None]
) -> None:
    install("--editable", project)
    (project / "mine.egg-info").mkdir()
    (project / "mine.egg-info" / "PKG-INFO").write_text("Name: Mine\nVersion: 1.4\n")
    for env in ({}, {"PYTHONPATH": str(project)}):  # behind site-packages, and before it
        facts = probe_host(environment / "bin" / "python", env=env)
        found = _only(facts)
        assert found.version == "1.5"
        assert found.direct_url is not None
        assert (found.direct_url.url, found.direct_url.editable) == (project.as_uri(), True)
        assert found.direct_url.directory
        assert not [gap for gap in facts.gaps if gap.where == "packages"]


def test_a_package_built_from_source_is_marked(environment: Path, project: Path, install: Callable[..., None]) -> None:
    install(project)
    found = _only(probe_host(environment / "bin" / "python"))
    assert found.built_here
    assert found.direct_url is not None
    assert found.direct_url.directory
    assert not found.direct_url.editable


def test_egg_info_as_folder_file_egg_and_link(tmp_path: Path) -> None:
    folder = tmp_path / "site-packages"
    (folder / "one.egg-info").mkdir(parents=True)
    (folder / "one.egg-info" / "PKG-INFO").write_text("Name: one\nVersion: 1\n")
    (folder / "two-2.egg-info").write_text("Name: two\nVersion: 2\n")
    egg = folder / "three-3-py3.6.egg"
    (egg / "EGG-INFO").mkdir(parents=True)
    (egg / "EGG-INFO" / "PKG-INFO").write_text("Name: three\nVersion: 3\n")
    source = tmp_path / "the source"
    (source / "my_four.egg-info").mkdir(parents=True)
    (source / "my_four.egg-info" / "PKG-INFO").write_text("Name: my.four\nVersion: 4\n")
    (folder / "my-four.egg-link").write_text(f"{source}\n.")
    found, gaps = _listed(folder, egg, source)
    assert [(one["name"], one["version"], one["layout"]) for one in found] == [
        ("my.four", "4", "egg-link"),
        ("one", "1", "egg-info"),
        ("two", "2", "egg-info"),
        ("three", "3", "egg-info"),
    ]
    assert found[0]["direct_url"] == {"url": source.as_uri(), "editable": True, "directory": True}
    assert found[0]["path"] == str(source / "my_four.egg-info")
    assert gaps == []


@pytest.mark.parametrize("way", ["../", "..", "../..", "", "../../../../nowhere"])
def test_an_egg_link_leads_to_the_project_around_its_packages(tmp_path: Path, way: str) -> None:
    (tmp_path / "project" / "setup.py").parent.mkdir()
    (tmp_path / "project" / "setup.py").touch()
    packages = tmp_path / "project" / "src"
    (packages / "five.egg-info").mkdir(parents=True)
    (packages / "five.egg-info" / "PKG-INFO").write_text("Name: five\nVersion: 5\n")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "five.egg-link").write_text(f"{packages}\n{way}")
    found, _ = _listed(tmp_path / "site")
    (one,) = found
    project = tmp_path / "project" if way in {"../", ".."} else packages
    assert one["direct_url"] == {"url": project.as_uri(), "editable": True, "directory": True}
    assert one["path"] == str(packages / "five.egg-info")


def test_the_first_of_a_name_wins_and_the_other_is_a_gap(tmp_path: Path, add_dist_info: Callable[..., Path]) -> None:
    add_dist_info(tmp_path / "first", "Some.Thing", "1.0")
    add_dist_info(tmp_path / "second", "some_thing", "2.0")
    found, gaps = _listed(tmp_path / "first", tmp_path / "second")
    assert [(one["name"], one["version"]) for one in found] == [("Some.Thing", "1.0")]
    (gap,) = gaps
    assert gap["where"] == "packages"
    assert "some_thing" in str(gap["subject"])
    assert "2.0" in str(gap["reason"])


@pytest.mark.parametrize(
    ("installed", "versions", "chosen"),
    [
        ("2.0.0", ["1.26.4", "2.0.0"], "2.0.0"),
        ("1.26.4", ["1.26.4", "2.0.0"], "1.26.4"),
        (None, ["1.26.4", "2.0.0"], "2.0.0"),
        (None, ["1.9", "1.10", "1.10rc1"], "1.10"),
        (None, ["2.0", "2.0+cu121", "1!1.0"], "1!1.0"),
        (None, ["2.0", "2.0rc1", "2"], "2.0"),
        (None, ["2.0.1", "2.0+9"], "2.0.1"),
        (None, ["2.0.dev1", "2.0.post1", "2.0"], "2.0.post1"),
    ],
)
def test_of_two_in_one_folder_the_one_whose_files_are_there_is_taken(
    tmp_path: Path, add_dist_info: Callable[..., Path], installed: str | None, versions: list[str], chosen: str
) -> None:
    for version in versions:
        record = {"RECORD": f"thing/__init__.py,,{len(version)}\nthing/gone.py,,1\n"} if installed else None
        add_dist_info(tmp_path, "thing", version, record)
    if installed:
        (tmp_path / "thing").mkdir()
        (tmp_path / "thing" / "__init__.py").write_text(installed)
    found, gaps = _listed(tmp_path)
    assert [one["version"] for one in found] == [chosen]
    assert len(gaps) == len(versions) - 1
    assert all(f"installed more than once: {chosen} " in str(gap["reason"]) for gap in gaps)


def test_a_folder_reached_twice_is_no_duplicate(tmp_path: Path, add_dist_info: Callable[..., Path]) -> None:
    add_dist_info(tmp_path / "lib", "thing", "1.0")
    (tmp_path / "lib64").symlink_to("lib")
    found, gaps = _listed(tmp_path / "lib", tmp_path / "lib64", tmp_path / "lib", tmp_path / "absent")
    assert len(found) == 1
    assert gaps == []


@pytest.mark.parametrize(
    ("name", "file", "content", "reason"),
    [
        ("gone-1.0.dist-info", "RECORD", b"", "METADATA cannot be read: No such file or directory"),
        ("gone-1.0.dist-info", "METADATA", b"Name: gone\n\nVersion: 1\n", "METADATA has no Version"),
        ("gone-1.0.dist-info", "METADATA", b"", "METADATA has no Name and no Version"),
        ("gone-1.0.dist-info", "METADATA", b"\xff\xfe\x00", "METADATA has no Name and no Version"),
        ("gone.egg-info", "SOURCES.txt", b"", "PKG-INFO cannot be read: No such file or directory"),
        ("~one-1.0.dist-info", "METADATA", b"Name: gone\nVersion: 1\n", "pip left it behind when it was interrupted"),
    ],
)
def test_half_an_install_is_a_gap(tmp_path: Path, name: str, file: str, content: bytes, reason: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / file).write_bytes(content)
    found, gaps = _listed(tmp_path)
    assert found == []
    assert [(gap["subject"], gap["reason"]) for gap in gaps] == [(str(tmp_path / name), reason)]


def test_things_that_only_look_like_distributions_are_gaps(tmp_path: Path) -> None:
    (tmp_path / "file-1.dist-info").touch()
    (tmp_path / "broken-1.dist-info").symlink_to("nowhere")
    (tmp_path / "loop-1.egg-info").symlink_to("loop-1.egg-info")
    (tmp_path / "lost.egg-link").write_text("/nowhere/at/all\n")
    (tmp_path / "bundle.egg").write_bytes(b"PK")
    found, gaps = _listed(tmp_path, tmp_path / "bundle.egg")
    assert found == []
    assert len(gaps) == 5


def test_metadata_in_another_encoding_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "old-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_bytes("Author: J\xe9r\xf4me\nName: old\nVersion: 1\n".encode("latin-1"))
    env = {"PYTHONPATH": str(tmp_path)}
    assert probe_host(Path(sys.executable), env=env).distributions[0].name == "old"


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (
            {
                "url": "https://u:p@example.org/r.git",
                "vcs_info": {"vcs": "git", "commit_id": "c0ffee"},
                "subdirectory": "s",
            },
            {"vcs": "git", "commit": "c0ffee", "subdirectory": "s"},
        ),
        ({"url": "https://example.org/a.whl", "archive_info": {"hashes": {"sha256": "ab"}}}, {"sha256": "ab"}),
        ({"url": "https://example.org/a.whl", "archive_info": {"hash": "sha256=cd"}}, {"sha256": "cd"}),
        ({"url": "https://example.org/a.whl", "archive_info": {}}, {}),
        ({"url": "file:///w", "dir_info": {}}, {"directory": True}),
    ],
)
def test_direct_url(
    tmp_path: Path, add_dist_info: Callable[..., Path], document: dict[str, object], expected: dict[str, object]
) -> None:
    add_dist_info(tmp_path, "thing", "1.0", {"direct_url.json": json.dumps(document)})
    found = probe_host(Path(sys.executable), env={"PYTHONPATH": str(tmp_path)}).distributions[0].direct_url
    assert found is not None
    everything = {field: getattr(found, field) for field in found.__struct_fields__}
    defaults = {
        "editable": False,
        "directory": False,
        "vcs": None,
        "commit": None,
        "sha256": None,
        "subdirectory": None,
    }
    assert everything == {**defaults, "url": document["url"], **expected}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"url": 1}', "{}"])
def test_a_broken_direct_url_is_a_gap(tmp_path: Path, add_dist_info: Callable[..., Path], content: str) -> None:
    add_dist_info(tmp_path, "thing", "1.0", {"direct_url.json": content, "INSTALLER": ""})
    found, gaps = _listed(tmp_path)
    assert len(found) == 1
    assert "direct_url" not in found[0]
    assert "PEP 610" in str(gaps[0]["reason"])


def test_an_unreadable_folder_is_a_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> list[str]:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "listdir", refuse)  # file modes do not stop root, who runs tests in containers
    found, gaps = _listed(tmp_path)
    assert found == []
    assert "Permission denied" in str(gaps[0]["reason"])


@pytest.mark.parametrize("name", ["a", "A-B", "a_.-b", "a--b__c", "Zope.Interface", "x-1"])
def test_names_are_compared_as_the_standard_says(name: str) -> None:
    from packaging.utils import canonicalize_name

    assert normalise(name) == canonicalize_name(name)
