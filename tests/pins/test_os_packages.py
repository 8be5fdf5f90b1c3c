"""A .deb comes from its archive, from the dated snapshot when it has moved on, or not at all: then clearly."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from envcap.errors import NotRunError, RefusedError, WrongUsageError
from envcap.model.lock import OsPackage
from envcap.model.progress import say_nothing
from envcap.pins.configuration import Configuration
from envcap.pins.os_packages import fetch_os_packages, snapshot_address, snapshot_service
from envcap.pins.session import open_session
from envcap.store import Store

if TYPE_CHECKING:
    from tests.pins.conftest import Index

FROZEN = "2024-05-06T07:08:09Z"
POOL = "pool/main/libg/libgomp1_12_amd64.deb"
CONTENT = b"a package"


def bring(index: Index, folder: Path, archive: str = "debian") -> Path:
    package = OsPackage(
        name="libgomp1",
        version="12",
        architecture="amd64",
        file="libgomp1_12_amd64.deb",
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        size=len(CONTENT),
        url=f"{index.url}/files/mirror/{archive}/{POOL}",
        why="x",
    )
    with open_session(Configuration(retries=0, timeout=3.0)) as session:
        return fetch_os_packages(
            [package],
            frozen_at=FROZEN,
            cache=Store(folder / "cache"),
            session=session,
            environ={"ENVCAP_SNAPSHOT_DEBIAN": f"{index.url}/files/snapshots"},
            tell=say_nothing,
        )[package.sha256]


@pytest.mark.parametrize("archive", ["debian", "debian-security"])
@pytest.mark.parametrize("there_now", [None, b"a newer package", b"b package"])
def test_what_has_moved_on_comes_from_the_snapshot(
    archive: str, there_now: bytes | None, index: Index, tmp_path: Path
) -> None:
    if there_now is not None:
        index.files[f"mirror/{archive}/{POOL}"] = there_now
    index.files[f"snapshots/{archive}/20240506T070809Z/{POOL}"] = CONTENT
    assert bring(index, tmp_path, archive).read_bytes() == CONTENT


def test_what_is_in_neither_is_a_clear_error(index: Index, tmp_path: Path) -> None:
    with pytest.raises(NotRunError, match="Nor is it in the snapshot") as caught:
        bring(index, tmp_path)
    assert "ENVCAP_SNAPSHOT_DEBIAN" in caught.value.hint


def test_another_file_in_the_snapshot_is_refused(index: Index, tmp_path: Path) -> None:
    index.files[f"snapshots/debian/20240506T070809Z/{POOL}"] = b"c package"
    with pytest.raises(RefusedError, match="not the file that was frozen"):
        bring(index, tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_the_service_that_a_portable_build_is_told() -> None:
    packages = [
        OsPackage(name="x", version="1", architecture="amd64", file="x.deb", sha256="1" * 64, size=1, why="x", url=url)
        for url in (f"http://example.org/cuda/{POOL}", f"http://mirror.example.org/ubuntu/{POOL}")
    ]
    named = {
        "ENVCAP_SNAPSHOT_DEBIAN": "https://other.example.org",
        "ENVCAP_SNAPSHOT_UBUNTU": "https://old.example.org/",
    }
    assert snapshot_service(packages, environ=named) == "https://old.example.org"
    assert snapshot_service(packages, environ={}) is None
    assert snapshot_service([], environ=named) is None
    with pytest.raises(WrongUsageError, match="would stay in the image") as refused:
        snapshot_service(packages, environ={"ENVCAP_SNAPSHOT_UBUNTU": "https://me:canary@old.example.org/"})
    assert "canary" not in refused.value.message


def test_the_services_and_archives_that_have_none() -> None:
    named = {
        "ENVCAP_SNAPSHOT_UBUNTU": "https://old.example.org",
        "ENVCAP_SNAPSHOT_DEBIAN": "https://old.example.org/a/",
    }
    address = snapshot_address(f"http://mirror.example.org/ubuntu/{POOL}", frozen_at=FROZEN, environ=named)
    assert address == f"https://old.example.org/ubuntu/20240506T070809Z/{POOL}"
    address = snapshot_address(f"http://example.org/debian-security/{POOL}", frozen_at=FROZEN, environ=named)
    assert address == f"https://old.example.org/a/debian-security/20240506T070809Z/{POOL}"
    assert snapshot_address(f"http://example.org/cuda/{POOL}", frozen_at=FROZEN, environ=named) is None
    assert snapshot_address(f"http://example.org/ubuntu/{POOL}", frozen_at=FROZEN, environ={}) is None
    with pytest.raises(WrongUsageError):
        snapshot_address(
            f"http://example.org/debian/{POOL}", frozen_at=FROZEN, environ={"ENVCAP_SNAPSHOT_DEBIAN": "file:///x"}
        )
