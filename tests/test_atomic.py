"""A reader sees the old file whole or the new file whole, whatever happens in between."""

import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from envcap.atomic import replacing, write_bytes, write_cached

OLD = b"old " * 100
NEW = b"new " * 100


# Files of at most 64 KiB: the disk is full, as far as the program can tell. It is not killed; the write fails.
FULL_DISK = """\
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
"""


def run(program: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=False)


def fail_midway(target: Path, failure: type[BaseException]) -> None:
    with replacing(target) as file:
        file.write(NEW)
        raise failure


def test_a_new_file_is_written(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "below" / "file"
    write_bytes(target, NEW)
    assert target.read_bytes() == NEW
    assert [item.name for item in target.parent.iterdir()] == ["file"]


def test_an_old_file_is_replaced(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(OLD)
    write_bytes(target, NEW)
    assert target.read_bytes() == NEW


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_a_failure_inside_the_block_leaves_the_old_file(failure: type[BaseException], tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(OLD)
    with pytest.raises(failure):
        fail_midway(target, failure)
    assert target.read_bytes() == OLD
    assert [item.name for item in tmp_path.iterdir()] == ["file"]


def test_a_failure_leaves_no_file_where_there_was_none(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        fail_midway(tmp_path / "file", RuntimeError)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_its_place_is_an_error_and_stays(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(OSError, match="file") as error:
        write_bytes(tmp_path / "file", NEW)
    assert error.value.errno == errno.EISDIR
    assert [item.name for item in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(OLD)
    program = (
        f"{FULL_DISK}import sys; from pathlib import Path; from envcap.atomic import write_bytes\n"
        "write_bytes(Path(sys.argv[1]), bytes(1 << 17))"
    )
    done = run(program, str(target))
    assert done.returncode == 1
    assert "OSError: [Errno 27]" in done.stderr  # EFBIG, which stands in for ENOSPC
    assert target.read_bytes() == OLD
    assert [item.name for item in tmp_path.iterdir()] == ["file"]


def test_a_killed_writer_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(OLD)
    program = (
        "import os, signal, sys; from pathlib import Path; from envcap.atomic import replacing\n"
        "with replacing(Path(sys.argv[1])) as file:\n"
        "    file.write(b'half'); file.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = run(program, str(target))
    assert done.returncode == -signal.SIGKILL
    assert target.read_bytes() == OLD


def test_readers_never_see_a_part(tmp_path: Path) -> None:
    target = tmp_path / "file"
    write_bytes(target, OLD)
    stop = threading.Event()
    seen: set[bytes] = set()

    def read() -> None:
        while not stop.is_set():
            seen.add(target.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(20):
        write_bytes(target, NEW if number % 2 else OLD)
    stop.set()
    reader.join()
    assert seen <= {OLD, NEW}


def test_the_file_is_as_open_as_the_user_has_said(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_bytes(tmp_path / "file", NEW)
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def test_what_can_be_learned_again_is_written_for_its_user_alone(tmp_path: Path) -> None:
    target = tmp_path / "new" / "cached"
    for content in (b"one", b"other"):
        write_cached(target, content)
        assert target.read_bytes() == content
    assert target.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in target.parent.iterdir()] == ["cached"]


def test_a_cached_file_that_cannot_be_put_in_place_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "cached" / "sub").mkdir(parents=True)
    with pytest.raises(OSError, match="cached"):
        write_cached(tmp_path / "cached", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["cached"]
