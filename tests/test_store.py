"""Files in a store are what their digest says, come whole or not at all, and a failed freeze adds none."""

import hashlib
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from envcap.errors import RefusedError
from envcap.places import download_cache, lock_store
from envcap.store import Store, file_sha256
from envcap.store_memory import Memory

CONTENT = b"some content"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def all_files(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def test_bytes_and_files_are_kept_by_digest(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "a file.bin"
    source.write_bytes(CONTENT)
    assert store.add_bytes(CONTENT, "name") == SHA256
    assert store.add_file(source) == SHA256
    assert file_sha256(store.require(SHA256, "name", what="It")) == SHA256
    assert all_files(store.root) == [f"{SHA256}/a file.bin", f"{SHA256}/name"]
    assert store.path(SHA256, "name").stat().st_mode & 0o777 == 0o644


def test_an_empty_file_is_a_file(store: Store) -> None:
    sha256 = store.add_bytes(b"", "empty")
    assert store.require(sha256, "empty", what="It").read_bytes() == b""


def test_adding_twice_changes_nothing(store: Store) -> None:
    store.add_bytes(CONTENT, "name")
    before = store.path(SHA256, "name").stat()
    store.add_bytes(CONTENT, "name")
    assert store.path(SHA256, "name").stat().st_ino == before.st_ino


def test_what_is_not_there_is_not_found(store: Store) -> None:
    assert store.find(SHA256, "name") is None
    store.add_bytes(CONTENT, "name")
    assert store.find(SHA256, "another name") is None
    with pytest.raises(RefusedError, match=r"The code `code\.tar` .* is missing or damaged") as refused:
        store.require(SHA256, "code.tar", what="The code")
    assert "copy it along" in refused.value.hint


@pytest.mark.parametrize("damaged", [b"", CONTENT[:-1], CONTENT + b"x", b"Some content"])
def test_a_damaged_file_is_found_out_and_replaced(damaged: bytes, store: Store) -> None:
    store.add_bytes(CONTENT, "name")
    store.path(SHA256, "name").write_bytes(damaged)
    with pytest.raises(RefusedError):
        store.require(SHA256, "name", what="It")
    store.add_bytes(CONTENT, "name")
    assert store.require(SHA256, "name", what="It").read_bytes() == CONTENT


def fail_while_receiving(store: Store) -> None:
    with store.receive("name") as incoming:
        incoming.write(CONTENT)
        raise RuntimeError


def fail_while_staging(store: Store, failure: type[BaseException]) -> None:
    with store.staged() as staged:
        staged.add_bytes(CONTENT, "name")
        raise failure


def test_a_failure_while_receiving_leaves_nothing(store: Store) -> None:
    with pytest.raises(RuntimeError):
        fail_while_receiving(store)
    assert list(store.root.iterdir()) == []


def test_received_pieces_are_counted(store: Store) -> None:
    with store.receive("name") as incoming:
        for piece in (b"some", b" ", b"content"):
            assert incoming.write(piece) == len(piece)
    assert (incoming.size, incoming.sha256) == (len(CONTENT), SHA256)
    assert store.find(SHA256, "name") is not None


def test_a_full_disk_leaves_nothing(store: Store, tmp_path: Path) -> None:
    store.add_bytes(CONTENT, "kept")
    source = tmp_path / "large"
    source.write_bytes(bytes(1 << 17))

    program = (
        "import resource, signal, sys; from pathlib import Path; from envcap.store import Store\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))\n"
        "with Store(Path(sys.argv[1])).staged() as staged:\n"
        "    staged.add_bytes(b'small', 'small'); staged.add_file(Path(sys.argv[2]))"
    )
    words = [sys.executable, "-c", program, str(store.root), str(source)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "OSError: [Errno 27]" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["large", "store"]
    assert all_files(store.root) == [f"{SHA256}/kept"]


def test_staged_files_come_together_at_the_end(store: Store) -> None:
    with store.staged() as staged:
        staged.add_bytes(CONTENT, "name")
        assert store.find(SHA256, "name") is None
        assert staged.find(SHA256, "name") is not None
    assert store.find(SHA256, "name") is not None
    assert [path.name for path in store.root.parent.iterdir()] == ["store"]


def test_staged_finds_what_was_there_and_does_not_keep_it_twice(store: Store) -> None:
    store.add_bytes(CONTENT, "name")
    with store.staged() as staged:
        assert staged.find(SHA256, "name") == store.path(SHA256, "name")
        staged.add_bytes(CONTENT, "name")
        assert all_files(staged.root) == []


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_a_project_as_it_was(failure: type[BaseException], tmp_path: Path) -> None:
    with pytest.raises(failure):
        fail_while_staging(lock_store(tmp_path), failure)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_an_older_store_as_it_was(tmp_path: Path) -> None:
    lock_store(tmp_path).add_bytes(b"old", "old")
    before = all_files(tmp_path)
    with pytest.raises(RuntimeError):
        fail_while_staging(lock_store(tmp_path), RuntimeError)
    assert all_files(tmp_path) == before
    assert [path.name for path in (tmp_path / ".envcap").iterdir()] == ["store"]


def test_nothing_staged_makes_no_folder(tmp_path: Path) -> None:
    with lock_store(tmp_path).staged():
        pass
    assert list(tmp_path.iterdir()) == []


def test_several_processes_may_add_the_same_file(store: Store) -> None:
    program = (
        "import sys; from pathlib import Path; from envcap.store import Store\n"
        "store = Store(Path(sys.argv[1]))\n"
        "for number in range(30):\n"
        "    content = bytes([number]) * 100_000\n"
        "    assert store.require(store.add_bytes(content, 'name'), 'name', what='It').read_bytes() == content\n"
    )
    children = [subprocess.Popen([sys.executable, "-c", program, str(store.root)]) for _ in range(4)]
    assert [child.wait(timeout=60) for child in children] == [0, 0, 0, 0]
    expected = sorted(f"{hashlib.sha256(bytes([number]) * 100_000).hexdigest()}/name" for number in range(30))
    assert all_files(store.root) == expected
    assert not (store.root / "incoming").exists()


def test_the_cache_is_where_the_user_says(tmp_path: Path) -> None:
    assert download_cache({"ENVCAP_CACHE": str(tmp_path)}).root == tmp_path / "files"
    assert download_cache({}).root.is_absolute()


def test_a_digest_is_that_of_the_bytes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    content = os.urandom(3 << 20)
    path.write_bytes(content)
    assert file_sha256(path) == hashlib.sha256(content).hexdigest()


def test_many_files_at_once_do_not_lose_the_folder_of_what_is_on_its_way(tmp_path: Path) -> None:
    """Whoever is done first removes the empty folder, in which the next one is about to open its file."""
    store = Store(tmp_path / "store")
    contents = [f"content {number}".encode() for number in range(400)]

    def bring(content: bytes) -> None:
        sha256 = hashlib.sha256(content).hexdigest()
        with store.reserve(sha256, waiting=pytest.fail), store.resume(sha256, "file") as incoming:
            incoming.write(content)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(bring, contents))
    assert len(list(store.root.glob("*/file"))) == len(contents)
    assert not (store.root / "partial").exists()


def test_what_is_known_is_not_read_again(tmp_path: Path) -> None:
    """As long as inode, size and time are the same: a link and an older use change nothing of them."""
    store = Store(tmp_path / "store", memory=Memory(tmp_path / "known"))
    path = store.path(store.add_bytes(CONTENT, "name"), "name")
    status = path.stat()
    os.link(path, tmp_path / "linked")
    path.write_bytes(CONTENT[::-1])
    os.utime(path, ns=(1, status.st_mtime_ns))
    assert store.find(SHA256, "name") == path
    assert path.stat().st_atime_ns > status.st_mtime_ns - 10**10, "its use is noted"
    assert path.stat().st_mtime_ns == status.st_mtime_ns
    os.utime(path)
    assert store.find(SHA256, "name") is None
    assert not path.exists()


def test_what_was_read_once_is_known_then(tmp_path: Path) -> None:
    Store(tmp_path / "store").add_bytes(CONTENT, "name")
    store = Store(tmp_path / "store", memory=Memory(tmp_path / "known"))
    path = store.path(SHA256, "name")
    assert store.find(SHA256, "name") == path
    assert Memory(tmp_path / "known").knows(SHA256, path)
    path.rename(path.with_name("other"))
    shutil.copy2(path.with_name("other"), path)
    assert not Memory(tmp_path / "known").knows(SHA256, path)  # another inode
    assert store.find(SHA256, "name") == path
    (tmp_path / "known" / SHA256).write_bytes(b"damaged")
    assert store.find(SHA256, "name") == path
