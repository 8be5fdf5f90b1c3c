"""The user's cache: what it holds, and what pruning takes away and leaves."""

import os
import shutil
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from envcap.cache import look_at_cache
from envcap.errors import WrongUsageError
from envcap.inputs import _context_folder
from envcap.places import assembled_cache, context_folders, download_cache

DAY = 86_400


def age(path: Path, days: float) -> None:
    then = time.time() - days * DAY
    os.utime(path, (then, then))


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Name a folder for the cache which holds something of the user's too."""
    root = tmp_path / "cache"
    (root / "mine").mkdir(parents=True)
    (root / "mine" / "thesis.txt").write_text("x")
    age(root / "mine" / "thesis.txt", 4000)
    return {"ENVCAP_CACHE": str(root)}


def test_adds_up_and_removes_nothing_unasked(environ: dict[str, str]) -> None:
    download_cache(environ).add_bytes(b"12345", "a.whl")
    assembled_cache(environ).add_bytes(b"123", "a.tar")
    contents = look_at_cache(environ, days=None)
    known = contents.sizes.pop("known")  # of the two files
    assert contents.sizes == {"assembled": 3, "files": 5}
    contents.sizes["known"] = known
    assert contents.removed == 0
    assert look_at_cache(environ, days=None) == contents


def test_removes_what_nobody_used(environ: dict[str, str]) -> None:
    store = download_cache(environ)
    old, young = store.add_bytes(b"12345", "old.whl"), store.add_bytes(b"123", "young.whl")
    age(store.path(old, "old.whl"), 91)
    age(store.path(young, "young.whl"), 89)
    contents = look_at_cache(environ, days=90)
    assert (contents.sizes["files"], contents.removed) == (3, 5)
    assert store.find(old, "old.whl") is None
    assert not store.path(old, "old.whl").parent.exists()
    assert store.find(young, "young.whl") is not None
    assert look_at_cache(environ, days=0).removed > 3
    assert [path.name for path in Path(environ["ENVCAP_CACHE"]).iterdir()] == ["mine"]


def test_leaves_what_a_process_is_at_work_on(environ: dict[str, str]) -> None:
    """A download that is on its way keeps its place and its lock, however long it was quiet."""
    store, sha256 = download_cache(environ), "0" * 64
    begun, go_on = threading.Event(), threading.Event()

    def download() -> None:
        with (
            suppress(KeyboardInterrupt),
            store.reserve(sha256, waiting=lambda: None),
            store.resume(sha256, "slow.whl") as incoming,
        ):
            incoming.write(b"half")
            begun.set()
            go_on.wait(30)
            raise KeyboardInterrupt

    worker = threading.Thread(target=download)
    worker.start()
    assert begun.wait(30)
    files = [path for path in store.root.rglob("*") if path.is_file()]
    for path in files:
        age(path, 4000)
    look_at_cache(environ, days=0)
    assert files
    assert all(path.exists() for path in files)
    go_on.set()
    worker.join()


def test_takes_away_what_killed_builds_left_and_no_other(environ: dict[str, str], tmp_path: Path) -> None:
    """The folder of a project, and those of builds beside it: locked as long as their build is at work."""
    store, root = download_cache(environ), context_folders(environ)
    sha256 = store.add_bytes(b"12345", "a.whl")
    with _context_folder(root, tmp_path) as first, _context_folder(root, tmp_path) as second:
        for folder in (first, second):
            (folder / "Dockerfile").write_text("FROM x")
            os.link(store.path(sha256, "a.whl"), folder / "a.whl")
        assert look_at_cache(environ, days=None).sizes["contexts"] == 12
        look_at_cache(environ, days=0)
        assert [path.exists() for path in (first / "Dockerfile", second / "Dockerfile")] == [True, True]
        shutil.copytree(second, root / "tmp-killed")
    assert look_at_cache(environ, days=None).sizes["contexts"] == 11
    assert look_at_cache(environ, days=1000).removed == 11
    assert list(root.iterdir()) == []
    with _context_folder(root, tmp_path) as again:
        assert again == first


def test_counts_no_days_below_none(environ: dict[str, str]) -> None:
    with pytest.raises(WrongUsageError, match="`--older-than` is `-1`"):
        look_at_cache(environ, days=-1)
