"""Bringing wheels here: checked, whole, and stopped promptly."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from envcap.errors import NotRunError, RefusedError
from envcap.model.lock import Package, Wheel
from envcap.model.progress import Progress
from envcap.pins.configuration import Configuration, place
from envcap.pins.download import Source, are_here, download, fetch
from envcap.pins.session import open_session
from envcap.store import STORE_FOLDER, Store

if TYPE_CHECKING:
    from tests.pins.conftest import Index

CANARY = "c4n4ry-s3cret"


def package(index: Index, project: str = "demo", content: bytes = b"some bytes", **wheel: Any) -> Package:
    """Offer a file and give the package that references it, with `wheel` in place of what is right."""
    filename = f"{project}-1.0-py3-none-any.whl"
    index.files[filename] = content
    right = {
        "name": filename,
        "sha256": hashlib.sha256(content).hexdigest(),
        "url": f"{index.url}/files/{filename}",
        "size": len(content),
    }
    return Package(name=project, version="1.0", wheel=Wheel(**{**right, **wheel}))


def bring(
    packages: Sequence[Package], folder: Path, *, said: list[Progress] | None = None, **settings: Any
) -> dict[str, Path]:
    tell = said.append if said is not None else (lambda _: None)
    with open_session(Configuration(retries=1, timeout=3.0, **settings)) as session:
        return fetch(packages, cache=Store(folder / "cache"), lock_folder=folder, session=session, tell=tell)


def left(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_every_file_once_and_from_the_cache_the_second_time(index: Index, tmp_path: Path) -> None:
    packages = [package(index, f"demo{number}", b"%d" % number * 1000) for number in range(20)]
    said: list[Progress] = []
    files = bring(packages, tmp_path, said=said)
    assert {sha256: path.read_bytes() for sha256, path in files.items()} == {
        one.wheel.sha256: index.files[one.wheel.name] for one in packages
    }
    assert [(one.kind, one.done, one.total) for one in said] == [("count", done, 20) for done in range(1, 21)]
    cache = Store(tmp_path / "cache")
    assert are_here(packages, cache=cache)
    assert not are_here([*packages, package(index, "another", b"1")], cache=cache)
    assert bring(packages, tmp_path) == files
    assert len(index.asked) == 20
    assert not (tmp_path / "cache" / "incoming").exists()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"sha256": "0" * 64}, f"should be {'0' * 64} and is"), ({"size": 9}, "9 bytes"), ({"size": 11}, "11 bytes")],
)
def test_what_is_not_what_was_frozen_is_refused(
    index: Index, tmp_path: Path, wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(RefusedError, match=r"`demo` 1\.0 from .* is not the file that was frozen") as caught:
        bring([package(index, **wrong)], tmp_path)
    assert message in caught.value.message
    assert left(tmp_path) == []


def test_a_transfer_that_breaks_off_is_tried_again(index: Index, tmp_path: Path) -> None:
    one = package(index, content=b"x" * 100_000)
    path = f"/files/{one.wheel.name}"
    index.truncated[path] = 1
    assert len(bring([one], tmp_path)) == 1
    other = package(index, "other", b"y" * 100_000)
    index.truncated[f"/files/{other.wheel.name}"] = 9
    with pytest.raises(NotRunError, match="broke off"):
        bring([one, other], tmp_path)
    assert [path.name for path in left(tmp_path)] == [one.wheel.name]


def test_a_server_that_is_not_there_or_has_it_no_more(index: Index, tmp_path: Path) -> None:
    gone = package(index)
    index.files.clear()
    with pytest.raises(NotRunError, match="HTTP 404"):
        bring([gone], tmp_path)
    with pytest.raises(NotRunError, match="no connection") as caught:
        bring([package(index, url=f"http://me:{CANARY}@127.0.0.1:9/x.whl")], tmp_path)
    assert CANARY not in caught.value.message + caught.value.hint


def test_a_closed_index_gets_the_login_of_this_machine(index: Index, tmp_path: Path) -> None:
    index.login = ("me", CANARY)
    assert len(bring([package(index)], tmp_path, indexes=[place(f"http://me:{CANARY}@{index.host}/simple/")])) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "file:///etc/passwd"},
        {"url": "ftp://files.example.org/x.whl"},
        {"url": None},
        {"name": "../../evil.whl"},
        {"name": ".."},
        {"name": ""},
        {"sha256": "../" * 21 + "x"},
        {"url": None, "path": "/etc/passwd"},
        {"url": None, "path": ".envcap/store/../../secret"},
        {"url": None, "path": "secret"},
        {"url": None, "path": ".envcap/store/link/passwd"},
        {"url": None, "path": ""},
    ],
)
def test_a_lock_cannot_lead_out_of_its_folder_or_off_the_web(
    index: Index, tmp_path: Path, wrong: dict[str, Any]
) -> None:
    (tmp_path / STORE_FOLDER).mkdir(parents=True)
    (tmp_path / STORE_FOLDER / "link").symlink_to("/etc")
    (tmp_path / "secret").write_bytes(b"some bytes")
    with pytest.raises(RefusedError):
        bring([package(index, **wrong)], tmp_path)
    assert index.asked == []


def test_carried_files_are_checked(index: Index, tmp_path: Path) -> None:
    content = b"some bytes"
    store = Store(tmp_path / STORE_FOLDER)
    sha256 = store.add_bytes(content, "demo-1.0-py3-none-any.whl")
    path = f"{STORE_FOLDER}/{sha256}/demo-1.0-py3-none-any.whl"
    carried = package(index, url=None, path=path)
    assert bring([carried], tmp_path) == {sha256: tmp_path / path}
    (tmp_path / path).write_bytes(b"other bytes")
    with pytest.raises(RefusedError, match="carried file of `demo`"):
        bring([carried], tmp_path)
    (tmp_path / path).unlink()
    with pytest.raises(RefusedError, match="is missing"):
        bring([carried], tmp_path)


FETCH = """
import signal
import sys
from pathlib import Path
from envcap.model.lock import Package, Wheel
from envcap.pins.configuration import Configuration
from envcap.pins.download import fetch
from envcap.pins.session import open_session
from envcap.store import Store
url, folder = sys.argv[1], Path(sys.argv[2])
wheels = [Wheel(name=f"d{n}-1.0-py3-none-any.whl", sha256=f"{n}" * 64, url=url) for n in range(6)]
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job begins without
with open_session(Configuration(timeout=60)) as session:
    sys.stdout.write("ready\\n")
    sys.stdout.flush()
    packages = [Package(name=wheel.name, version="1.0", wheel=wheel) for wheel in wheels]
    fetch(packages, cache=Store(folder), lock_folder=folder, session=session, tell=lambda _: None)
"""


def test_ctrl_c_ends_it_promptly(index: Index, tmp_path: Path) -> None:
    one = package(index, content=b"x" * 1000)
    index.slow.set()
    words = [sys.executable, "-c", FETCH, str(one.wheel.url), str(tmp_path / "cache")]
    child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        while len(index.asked) < 4:
            time.sleep(0.01)
        child.send_signal(signal.SIGINT)
        _, said = child.communicate(timeout=20)  # a third of what the download itself would wait
    assert b"KeyboardInterrupt" in said
    assert left(tmp_path) == []


def test_what_broke_off_is_gone_on_with(index: Index, tmp_path: Path) -> None:
    one = package(index, content=bytes(range(256)) * 4096)
    path = f"/files/{one.wheel.name}"
    index.truncated[path], index.marks[path], index.ranges = 1, '"first"', True
    assert bring([one], tmp_path)[one.wheel.sha256].read_bytes() == index.files[one.wheel.name]
    assert [headers.get("range") for _, asked, headers in index.asked if asked == path] == [None, "bytes=524288-"]
    assert [item.parent.name for item in left(tmp_path)] == [one.wheel.sha256]


def test_the_beginning_of_another_file_is_thrown_away(index: Index, tmp_path: Path) -> None:
    one = package(index, content=b"right" * 1000)
    cache = Store(tmp_path / "cache")
    part = cache.validator(one.wheel.sha256).with_suffix(".part")
    part.parent.mkdir(parents=True)
    part.write_bytes(b"wrong")
    cache.validator(one.wheel.sha256).write_text('"old"')
    index.ranges = True
    index.marks[f"/files/{one.wheel.name}"] = '"old"'
    assert bring([one], tmp_path)[one.wheel.sha256].read_bytes() == b"right" * 1000
    assert [item.parent.name for item in left(tmp_path)] == [one.wheel.sha256]


def test_two_that_want_one_file_download_it_once(index: Index, tmp_path: Path) -> None:
    one = package(index, content=b"large" * 1000)
    said: list[Progress] = []
    cache = Store(tmp_path / "cache")
    waits = threading.Event()

    def tell(progress: Progress) -> None:
        said.append(progress)
        waits.set()

    source = Source(url=str(one.wheel.url), name=one.wheel.name, what="`demo`", sha256=one.wheel.sha256)
    with open_session(Configuration(retries=1, timeout=3.0)) as session, ThreadPoolExecutor(1) as pool:
        with cache.reserve(one.wheel.sha256, waiting=pytest.fail):
            got = pool.submit(download, source, session=session, cache=cache, tell=tell)
            assert waits.wait(20)
            cache.add_bytes(b"large" * 1000, one.wheel.name)
        assert got.result(20).path.read_bytes() == b"large" * 1000
    assert index.asked == []
    assert "waiting for another envcap" in said[0].text
