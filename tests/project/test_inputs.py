"""The declared data: the same files give the same digest, and any other give another."""

import os
from pathlib import Path

import pytest

from envcap.errors import WrongUsageError
from envcap.model.lock import DataInput
from envcap.project.inputs import changed_data, measure_data


def fill(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def measure(folder: Path) -> DataInput:
    return measure_data(folder.parent, [folder.name])[0]


FILES = {"a.csv": "1\n", "b.csv": "2\n", "deep/c.csv": "3\n"}


def test_a_folder_and_a_file(tmp_path: Path) -> None:
    fill(tmp_path / "data", FILES)
    folder, file = measure_data(tmp_path, ["data", "data/a.csv"])
    assert (folder.path, folder.files, folder.size) == ("data", 3, 6)
    assert (file.path, file.files, file.size) == ("data/a.csv", 1, 2)
    assert folder.sha256 != file.sha256


def test_order_time_and_mode_do_not_matter(tmp_path: Path) -> None:
    first = fill(tmp_path / "one" / "data", FILES)
    second = fill(tmp_path / "two" / "data", dict(reversed(FILES.items())))
    for path in second.rglob("*.csv"):
        path.chmod(0o600)
        os.utime(path, (1, 1))
    assert measure(first) == measure(second)


@pytest.mark.parametrize(
    "other",
    [
        {"a.csv": "1\n", "b.csv": "2\n", "deep/c.csv": "4\n"},
        {"a.csv": "1\n", "b.csv": "2\n", "deep/d.csv": "3\n"},
        {"a.csv": "1\n", "b.csv": "2\n", "c.csv": "3\n"},
        {"a.csv": "2\n", "b.csv": "1\n", "deep/c.csv": "3\n"},
        {"a.csv": "1\n", "b.csv": "2\n"},
        {**FILES, "d.csv": ""},
        {},
    ],
    ids=["content", "name", "folder", "swapped", "fewer", "more", "none"],
)
def test_another_tree_has_another_digest(other: dict[str, str], tmp_path: Path) -> None:
    first = fill(tmp_path / "one" / "data", FILES)
    second = fill(tmp_path / "two" / "data", other)
    second.mkdir(parents=True, exist_ok=True)
    assert measure(first).sha256 != measure(second).sha256


def test_a_name_cannot_pass_for_content(tmp_path: Path) -> None:
    one = measure(fill(tmp_path / "one" / "data", {"a\nb": "x"}))
    two = measure(fill(tmp_path / "two" / "data", {"a": "x", "b": "x"}))
    assert one.sha256 != two.sha256


def test_odd_names_are_data_too(tmp_path: Path) -> None:
    data = fill(tmp_path / "data", {"é😀": "x", "two\nlines": "y"})
    Path(os.fsdecode(os.fsencode(data) + b"/caf\xe9")).write_text("z", encoding="utf-8")
    assert measure(data).files == 3


def test_linked_data_are_followed(tmp_path: Path) -> None:
    real = fill(tmp_path / "elsewhere", FILES)
    linked = tmp_path / "project" / "data"
    linked.parent.mkdir()
    linked.symlink_to(real)
    plain = fill(tmp_path / "plain" / "data", FILES)
    assert measure(linked) == measure(plain)
    within = fill(tmp_path / "within" / "data", {"a.csv": "1\n", "b.csv": "2\n"})
    (within / "deep").symlink_to(real / "deep")
    assert measure(within) == measure(plain)


def test_links_in_a_circle_are_measured_once(tmp_path: Path) -> None:
    data = fill(tmp_path / "data", FILES)
    expected = measure(data)
    (data / "self").symlink_to(".")
    (data / "deep" / "up").symlink_to("..")
    (data / "deep" / "again").symlink_to("../deep")
    (data / "broken").symlink_to("nowhere")
    assert measure(data) == expected


def test_links_that_cross_come_to_an_end(tmp_path: Path) -> None:
    data = fill(tmp_path / "data", {"a/x": "1", "b/y": "2"})
    (data / "a" / "to-b").symlink_to("../b")
    (data / "b" / "to-a").symlink_to("../a")
    assert measure(data).files == 4


def test_data_may_lie_elsewhere(tmp_path: Path) -> None:
    outside = fill(tmp_path / "outside", FILES)
    (tmp_path / "project").mkdir()
    measured = measure_data(tmp_path / "project", [str(outside)])[0]
    assert (measured.path, measured.files) == (str(outside), 3)


@pytest.mark.parametrize("path", ["../outside", "data/../../outside", "missing", "data/missing"])
def test_data_that_cannot_be_meant(path: str, tmp_path: Path) -> None:
    fill(tmp_path / "outside", FILES)
    fill(tmp_path / "project" / "data", FILES)
    with pytest.raises(WrongUsageError) as wrong:
        measure_data(tmp_path / "project", [path])
    assert f"`{path}`" in wrong.value.message


def test_changes_are_told_in_words(tmp_path: Path) -> None:
    fill(tmp_path, {"data/a": "1", "other/b": "2", "third": "3"})
    frozen = measure_data(tmp_path, ["data", "other", "third"])
    assert changed_data(tmp_path, frozen) == []
    (tmp_path / "data" / "a").write_text("changed", encoding="utf-8")
    (tmp_path / "third").unlink()
    first, second = changed_data(tmp_path, frozen)
    assert first.startswith("`data` was changed: 1 files, 1 bytes, ")
    assert " 1 files, 7 bytes, " in first
    assert second == "`third` is not there"


def test_a_lock_that_leaves_the_project_finds_nothing(tmp_path: Path) -> None:
    fill(tmp_path / "outside", FILES)
    (tmp_path / "project").mkdir()
    frozen = [DataInput(path="../outside", size=6, files=3, sha256="0" * 64)]
    assert changed_data(tmp_path / "project", frozen) == ["`../outside` is not there"]
