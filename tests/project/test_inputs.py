"""The declared data: the same files give the same digest, and any other give another."""

import os
import random
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envcap.errors import NotRunError, WrongUsageError
from envcap.model.lock import DataInput
from envcap.project.digests import Lines
from envcap.project.inputs import MeasuredData, changed_data, measure_data
from envcap.project.manifest import DataFile, dump_manifest, parse_manifest, tell_changes
from envcap.store import Store


def fill(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def store_of(project: Path) -> Store:
    return Store(project / ".store")


def measured(project: Path, *paths: str) -> MeasuredData:
    return measure_data(project, list(paths), store_of(project))


def measure(folder: Path) -> DataInput:
    return measured(folder.parent, folder.name).inputs[0]


FILES = {"a.csv": "1\n", "b.csv": "2\n", "deep/c.csv": "3\n"}


def test_a_folder_and_a_file(tmp_path: Path) -> None:
    fill(tmp_path / "data", FILES)
    folder, file = measured(tmp_path, "data", "data/a.csv").inputs
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
    elsewhere = measured(tmp_path / "project", str(outside)).inputs[0]
    assert (elsewhere.path, elsewhere.files) == (str(outside), 3)


@pytest.mark.parametrize("path", ["../outside", "data/../../outside", "missing", "data/missing"])
def test_data_that_cannot_be_meant(path: str, tmp_path: Path) -> None:
    fill(tmp_path / "outside", FILES)
    fill(tmp_path / "project" / "data", FILES)
    with pytest.raises(WrongUsageError) as wrong:
        measured(tmp_path / "project", path)
    assert f"`{path}`" in wrong.value.message


def test_changes_are_told_in_words(tmp_path: Path) -> None:
    fill(tmp_path, {"data/a": "1", "other/b": "2", "third": "3"})
    frozen = measured(tmp_path, "data", "other", "third").inputs
    assert changed_data(tmp_path, frozen, store_of(tmp_path)) == []
    (tmp_path / "data" / "a").write_text("changed", encoding="utf-8")
    (tmp_path / "third").unlink()
    first, second = changed_data(tmp_path, frozen, store_of(tmp_path))
    assert first.startswith("`data` was changed: 1 files, 1 bytes, ")
    assert " 1 files, 7 bytes, " in first
    assert second == "`third` is not there"


def test_a_lock_that_leaves_the_project_finds_nothing(tmp_path: Path) -> None:
    fill(tmp_path / "outside", FILES)
    (tmp_path / "project").mkdir()
    frozen = [DataInput(path="../outside", size=6, files=3, sha256="0" * 64)]
    assert changed_data(tmp_path / "project", frozen, store_of(tmp_path)) == ["`../outside` is not there"]


def changes_of(project: Path, frozen: list[DataInput]) -> str:
    return "\n".join(changed_data(project, frozen, store_of(project)))


def test_a_change_names_the_files(tmp_path: Path) -> None:
    data = fill(tmp_path / "data", {**FILES, "table.csv": "x\ny\n", "old.csv": "kept\n"})
    frozen = measured(tmp_path, "data").inputs
    (data / "table.csv").write_text("y\nx\n", encoding="utf-8")
    (data / "old.csv").rename(data / "deep" / "new.csv")
    (data / "a.csv").unlink()
    (data / "b.csv").write_text("changed\n", encoding="utf-8")
    (data / "two\nlines").write_text("came\n", encoding="utf-8")
    words = changes_of(tmp_path, frozen)
    assert "; changed: `b.csv`; only in the order of lines: `table.csv`; " in words
    assert "; moved: `old.csv` to `deep/new.csv`; gone: `a.csv`; new: `two\\nlines`" in words


def test_of_many_changes_the_first_are_named(tmp_path: Path) -> None:
    data = fill(tmp_path / "data", {f"{number}.csv": str(number) for number in range(9)})
    frozen = measured(tmp_path, "data").inputs
    for path in data.iterdir():
        path.write_text("other", encoding="utf-8")
    assert changes_of(tmp_path, frozen).endswith("changed: `0.csv`, `1.csv`, `2.csv`, `3.csv`, `4.csv` and 4 more")


@pytest.mark.parametrize("damage", [b"", b"[1]\n", b"not json\n"])
def test_without_a_sound_list_the_totals_are_told(damage: bytes, tmp_path: Path) -> None:
    data = fill(tmp_path / "data", FILES)
    frozen = measured(tmp_path, "data").inputs
    for path in store_of(tmp_path).root.glob("*/data.jsonl"):
        path.write_bytes(damage)
    (data / "a.csv").write_text("other", encoding="utf-8")
    assert changes_of(tmp_path, frozen).endswith("… now")


def test_what_cannot_be_measured_is_a_gap(tmp_path: Path) -> None:
    data = fill(tmp_path / "data", FILES)
    (data / "broken").symlink_to("nowhere")
    (data / "large.bin").symlink_to("../.git/annex/objects/aa/bb/SHA256E-s9--00/SHA256E-s9--00")
    os.mkfifo(data / "pipe")
    (data / "weights.pt").write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", encoding="utf-8"
    )
    (data / "unlocked").write_text("/annex/objects/SHA256E-s9--00\n", encoding="utf-8")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(data / "socket"))
        gaps = {gap.subject: gap.reason for gap in measured(tmp_path, "data").gaps}
    assert gaps == {
        "data/broken": "the link leads nowhere, or to no plain file",
        "data/large.bin": "git-annex has not fetched its content",
        "data/pipe": "it is a socket, a pipe or a device",
        "data/socket": "it is a socket, a pipe or a device",
        "data/unlocked": "it is a pointer of git-annex whose content was not fetched",
        "data/weights.pt": "it is a pointer of Git LFS whose content was not fetched",
    }


def test_a_pipe_declared_as_data_does_not_stop_us(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NotRunError) as refused:
        measured(tmp_path, "pipe")
    assert refused.value.message.endswith("cannot be read: it is no regular file.")


@given(st.lists(st.binary(min_size=1, max_size=20), unique=True), st.randoms(use_true_random=False))
def test_a_manifest_says_the_same_in_any_order(names: list[bytes], order: random.Random) -> None:
    files = [DataFile(path=os.fsdecode(name), size=1, sha256="0" * 64, lines=None) for name in names]
    shuffled = order.sample(files, len(files))
    assert dump_manifest(shuffled) == dump_manifest(files)
    assert [os.fsencode(file.path) for file in parse_manifest(dump_manifest(files))] == sorted(names)
    assert tell_changes(files, shuffled) == []


def test_of_a_large_input_the_smallest_files_are_told_by_their_lines(tmp_path: Path) -> None:
    data = fill(tmp_path / "data", {"small.csv": "x\ny\n", "large.csv": "x\ny\n" + "z" * (32 << 20)})
    frozen = measured(tmp_path, "data").inputs
    for path in data.iterdir():
        path.write_text("y\nx\n" + path.read_text(encoding="utf-8")[4:], encoding="utf-8")
    assert changes_of(tmp_path, frozen).endswith("; changed: `large.csv`; only in the order of lines: `small.csv`")


@given(
    st.lists(st.binary(max_size=12).map(lambda line: line.replace(b"\n", b"").replace(b"\0", b"")), max_size=30),
    st.data(),
)
def test_lines_have_the_same_digest_in_any_order_and_in_any_pieces(lines: list[bytes], draw: st.DataObject) -> None:
    def digest(content: bytes) -> str | None:
        found = Lines()
        size = draw.draw(st.integers(1, 40))
        for start in range(0, len(content), size):
            found.update(content[start : start + size])
        return found.digest()

    content = b"\n".join(lines)
    assert digest(b"\n".join(draw.draw(st.permutations(lines)))) == digest(content)
    assert digest(content + b"\n") != digest(content)
    assert digest(b"\n".join([*lines, b"one more"])) != digest(content)
    assert digest(content + b"\0") is None
