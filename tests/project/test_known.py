"""What was read of data before: never read again while nothing has changed, never believed when something has."""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from envcap.model.lock import DataInput
from envcap.model.progress import Progress
from envcap.project import inputs
from envcap.project.digests import Digests, read_digests
from envcap.project.inputs import changed_data, measure_data
from envcap.project.known import KnownDigests
from envcap.store import Store

PAST = -3600.0  # a moment that lies ahead: every file counts as settled, however young it is


class Reader:
    """Reads as the real one does, and notes which files it was asked for."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def __call__(self, path: Path, *, with_lines: bool) -> Digests:
        self.read.append(path.name)
        return read_digests(path, with_lines=with_lines)


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Reader:
    made = Reader()
    monkeypatch.setattr(inputs, "read_digests", made)
    return made


@pytest.fixture
def measure(tmp_path: Path, reader: Reader) -> Callable[..., tuple[DataInput, list[str]]]:
    """Give the function that measures `data` and tells which files were read for it."""
    for name in ("a.csv", "b.csv", "deep/c.csv"):
        (tmp_path / "project/data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "project/data" / name).write_text(f"{name}\n")

    def once(moment: float = PAST, *, trusted: bool = True) -> tuple[DataInput, list[str]]:
        known = KnownDigests(tmp_path / "cache", moment=moment, trusted=trusted)
        reader.read.clear()
        found = measure_data(tmp_path / "project", ["data"], Store(tmp_path / "store"), known=known).inputs[0]
        return found, sorted(reader.read)

    return once


ALL = ["a.csv", "b.csv", "c.csv"]


def test_nothing_is_read_twice(measure: Callable[..., tuple[DataInput, list[str]]], tmp_path: Path) -> None:
    first, read = measure()
    assert read == ALL
    assert measure() == (first, [])
    known = KnownDigests(tmp_path / "cache")
    assert changed_data(tmp_path / "project", [first], Store(tmp_path / "store"), known=known) == []


@pytest.mark.parametrize("how", ["content", "same size, old time", "replaced", "touched"])
def test_what_changed_is_read_again(
    how: str, measure: Callable[..., tuple[DataInput, list[str]]], tmp_path: Path
) -> None:
    first, _ = measure()
    file = tmp_path / "project/data/a.csv"
    status = file.stat()
    if how == "content":
        file.write_text("other content\n")
    elif how == "same size, old time":
        file.write_text("A.CSV\n")
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    elif how == "replaced":
        (tmp_path / "new").write_text("A.CSV\n")
        os.utime(tmp_path / "new", ns=(status.st_atime_ns, status.st_mtime_ns))
        (tmp_path / "new").rename(file)
    else:
        os.utime(file)
    second, read = measure()
    assert read == ["a.csv"]
    assert (second.sha256 == first.sha256) == (how == "touched")
    assert measure() == (second, [])


def test_a_file_that_was_only_just_written_is_not_trusted(
    measure: Callable[..., tuple[DataInput, list[str]]],
) -> None:
    """It may be changed once more within the same tick of the file system's clock."""
    measure(60.0)
    assert measure(60.0)[1] == ALL


def test_of_a_settled_file_a_young_one_beside_it_is_read(
    measure: Callable[..., tuple[DataInput, list[str]]], tmp_path: Path
) -> None:
    measure()
    file = tmp_path / "project/data/a.csv"
    ahead = time.time_ns() + 10**13
    os.utime(file, ns=(ahead, ahead))
    assert measure()[1] == ["a.csv"]
    assert measure()[1] == ["a.csv"]


def test_a_moved_folder_is_read_anew_and_a_linked_one_is_known(
    measure: Callable[..., tuple[DataInput, list[str]]], tmp_path: Path
) -> None:
    first, _ = measure()
    (tmp_path / "project/data").rename(tmp_path / "elsewhere")
    (tmp_path / "project/data").symlink_to(tmp_path / "elsewhere")
    assert measure() == (first, ALL)
    assert measure() == (first, [])


def test_a_memory_that_is_not_trusted_is_made_anew(measure: Callable[..., tuple[DataInput, list[str]]]) -> None:
    measure()
    assert measure(trusted=False)[1] == ALL
    assert measure()[1] == []


@pytest.mark.parametrize("damage", [b"", b"x" * 100, b"0" * 64 + b"\x93"])
def test_a_damaged_memory_says_nothing(
    damage: bytes, measure: Callable[..., tuple[DataInput, list[str]]], tmp_path: Path
) -> None:
    first, _ = measure()
    for file in (tmp_path / "cache").iterdir():
        file.write_bytes(damage)
    assert measure() == (first, ALL)


def test_a_cache_that_cannot_be_written_is_none(
    measure: Callable[..., tuple[DataInput, list[str]]], tmp_path: Path
) -> None:
    (tmp_path / "cache").write_text("a file in its place")
    first, _ = measure()
    assert measure() == (first, ALL)


def test_several_processes_may_write_at_once(
    measure: Callable[..., tuple[DataInput, list[str]]], tmp_path: Path
) -> None:
    first, _ = measure()
    project, store = tmp_path / "project", Store(tmp_path / "store")

    def again(number: int) -> list[str]:
        known = KnownDigests(tmp_path / "cache", moment=PAST, trusted=bool(number % 2))
        return changed_data(project, [first], store, known=known)

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(again, range(40))) == [[]] * 40
    assert len(list((tmp_path / "cache").iterdir())) == 1
    assert measure() == (first, [])


def test_lines_are_known_too(measure: Callable[..., tuple[DataInput, list[str]]], tmp_path: Path) -> None:
    """A reordering is told from a change, with what the memory held."""
    data = tmp_path / "project/data"
    (data / "table.csv").write_text("x\ny\n")
    measure()
    frozen, read = measure()
    assert read == []
    (data / "table.csv").write_text("y\nx\n")
    (words,) = changed_data(tmp_path / "project", [frozen], Store(tmp_path / "store"))
    assert words.endswith("; only in the order of lines: `table.csv`")


def test_a_long_reading_is_told(tmp_path: Path) -> None:
    with (tmp_path / "large.bin").open("wb") as file:
        file.truncate(300 << 20)
    told: list[Progress] = []
    known = KnownDigests(tmp_path / "cache", moment=PAST)
    for _ in range(2):
        measure_data(tmp_path, ["large.bin"], Store(tmp_path / "store"), known=known, tell=told.append)
    assert [one.text for one in told] == ["reading the data `large.bin` (0.3 GB)"]
