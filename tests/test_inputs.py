"""The folder that an image is built from: the same each time for a project, so that a builder knows what it has."""

from pathlib import Path

import pytest

from envcap.inputs import _context_folder, _lay


def test_a_project_has_one_folder(tmp_path: Path) -> None:
    root, project = tmp_path / "contexts", tmp_path / "project"
    with _context_folder(root, project) as first:
        (first / "layers").mkdir()
        (first / "layers" / "a.tar").write_bytes(b"x")
    assert list(first.iterdir()) == []
    with _context_folder(root, project) as again, _context_folder(root, tmp_path / "other") as other:
        assert again == first
        assert other != first


def test_two_builds_at_once_have_two(tmp_path: Path) -> None:
    root, project = tmp_path / "contexts", tmp_path / "project"
    with _context_folder(root, project) as first:
        (first / "Dockerfile").write_text("FROM one")
        with _context_folder(root, project) as second:
            assert second != first
            assert list(second.iterdir()) == []
        assert not second.exists()
        assert (first / "Dockerfile").read_text() == "FROM one"


def test_a_failing_build_leaves_it_empty_and_free(tmp_path: Path) -> None:
    root, project = tmp_path / "contexts", tmp_path / "project"
    with pytest.raises(FileNotFoundError), _context_folder(root, project) as first:
        (first / "Dockerfile").rename(first / "layers" / "Dockerfile")
    with _context_folder(root, project) as again:
        assert (again, list(again.iterdir())) == (first, [])


def test_only_files_of_the_cache_keep_their_time(tmp_path: Path) -> None:
    """Two locks may bring files of one size and one time, as archives give them, with other contents."""
    cache, store = tmp_path / "cache", tmp_path / "project"
    for folder in (cache, store):
        folder.mkdir()
        (folder / "file.tar").write_bytes(b"x")
    _lay(cache / "file.tar", tmp_path / "linked", cache=cache)
    _lay(store / "file.tar", tmp_path / "copied", cache=cache)
    assert (tmp_path / "linked").stat().st_ino == (cache / "file.tar").stat().st_ino
    assert (tmp_path / "copied").stat().st_ino != (store / "file.tar").stat().st_ino
