"""The mounts of declared data: what links lead to is mounted in their place, and a container sees what was hashed."""

from pathlib import Path

import pytest

from envcap.errors import NotRunError
from envcap.model.lock import DataInput
from envcap.project.inputs import measure_data
from envcap.project.mounts import MOST_LINKS, mounts_of, places_of
from envcap.store import Store


def put(path: Path, text: str = "1\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def mounted(project: Path, *paths: str) -> dict[str, str]:
    """Give what is mounted where, below the folder around the project."""
    items = [DataInput(path=path, size=0, files=0, sha256="0" * 64) for path in paths]
    return {
        one.target: one.source.relative_to(project.parent).as_posix() for one in mounts_of(items, project, apart=True)
    }


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Give a project with data, and more of it elsewhere."""
    put(tmp_path / "project/data/a.csv")
    put(tmp_path / "project/data/deep/b.csv")
    put(tmp_path / "shared/set/c.csv")
    put(tmp_path / "shared/other/d.csv")
    return tmp_path / "project"


def test_links_within_an_input_need_nothing(project: Path) -> None:
    (project / "data/link").symlink_to("deep")
    (project / "data/deep/up").symlink_to("../a.csv")
    (project / "data/broken").symlink_to("nowhere")
    (project / "data/self").symlink_to(".")
    assert mounted(project, "data", "data/a.csv") == {"data": "project/data", "data/a.csv": "project/data/a.csv"}


def test_links_that_lead_out_are_mounted_in_their_place(project: Path) -> None:
    (project / "data/set").symlink_to("../../shared/set")
    (project / "data/deep/one").symlink_to(project.parent / "shared/other/d.csv")
    (project / "data/twice").symlink_to("set/c.csv")
    assert mounted(project, "data") == {
        "data": "project/data",
        "data/set": "shared/set",
        "data/deep/one": "shared/other/d.csv",
    }
    places = ["project/data", "shared/other/d.csv", "shared/set"]
    assert sorted(places_of(["data"], project)) == [str(project.parent / place) for place in places]


def test_an_absolute_link_within_leads_nowhere_in_a_container(project: Path) -> None:
    (project / "data/link").symlink_to(project / "data/deep")
    assert mounted(project, "data") == {"data": "project/data", "data/link": "project/data/deep"}
    outside = str(project.parent / "shared")
    (project.parent / "shared/link").symlink_to(project.parent / "shared/set")
    assert mounted(project, outside) == {outside: "shared"}


def test_what_a_link_leads_to_may_hold_links(project: Path) -> None:
    (project / "data/set").symlink_to("../../shared/set")
    (project.parent / "shared/set/more").symlink_to("../other")
    (project.parent / "shared/other/back").symlink_to("../set")
    assert mounted(project, "data") == {
        "data": "project/data",
        "data/set": "shared/set",
        "data/set/more": "shared/other",
    }


def test_an_input_that_is_a_link_is_mounted_as_what_it_is(project: Path) -> None:
    (project / "linked").symlink_to(project.parent / "shared/set")
    assert mounted(project, "linked") == {"linked": "shared/set"}


def test_too_many_links_are_a_gap_and_an_error(project: Path) -> None:
    annexed = put(project / ".git/annex/objects/x/y")
    for number in range(MOST_LINKS):
        (project / f"data/{number}.png").symlink_to(f"../{annexed.relative_to(project)}")
    (gap,) = measure_data(project, ["data"], Store(project / ".store")).gaps
    assert (gap.subject, gap.reason) == ("data", f"more than {MOST_LINKS} links lead out of it")
    with pytest.raises(NotRunError) as refused:
        mounted(project, "data")
    assert refused.value.hint == "`git annex unlock data` puts the files in their place."
    items = [DataInput(path="data", size=0, files=0, sha256="0" * 64)]
    assert [one.target for one in mounts_of(items, project, apart=False)] == ["data"]
    (project / "data/0.png").unlink()
    assert len(mounted(project, "data")) == MOST_LINKS
