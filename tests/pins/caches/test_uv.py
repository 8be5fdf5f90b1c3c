"""uv's cache: as uv itself filled it, and pointers that lie or are no pointers."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from uv import find_uv_bin

from envcap.pins.caches.uv import UvCache
from envcap.pins.pages import Wanted
from envcap.pins.record import installed_rows, same_contents

if TYPE_CHECKING:
    from tests.pins.conftest import Environment, Index, MakeWheel

SIX = Wanted(name="six", version="1.0")
POINTER = (
    b"\x95\xb0gFuCpNfOqFXKufkg\x91\x81\xa6Sha256\xd9@" + b"a" * 64 + b"\xbcsix-1.0-py3-none-any.whl\x00\xcd+-"
    b"junkhttps://files.example.org/six-1.0-py3-none-any.whl\x00\x00\x8a\x02"
)


def cached(folder: Path, pointer: bytes) -> UvCache:
    (folder / "archive-v0" / "gFuCpNfOqFXKufkg" / "six-1.0.dist-info").mkdir(parents=True)
    path = folder / "wheels-v8" / "pypi" / "six" / "1.0-py3-none-any.http"
    path.parent.mkdir(parents=True)
    path.write_bytes(pointer)
    return UvCache(folder, default_index="https://index.example.org/simple/")


@pytest.mark.parametrize("way", ["--default-index", "--index"])
def test_what_uv_unpacked_is_found_with_its_hash(
    environment: Environment, index: Index, make_wheel: MakeWheel, tmp_path: Path, way: str
) -> None:
    digest = index.add(make_wheel("six", "1.0", files={"more.py": "x = 1\n"}))
    command = [find_uv_bin(), "pip", "install", "-q", "--no-config", "--python", str(environment.python)]
    subprocess.run([*command, way, index.simple, "--cache-dir", str(tmp_path / "uv"), "six==1.0"], check=True)
    cache = UvCache(tmp_path / "uv", default_index="https://index.example.org/simple/")
    (found,) = cache.wheels(SIX)
    assert (found.offer.filename, found.offer.sha256) == ("six-1.0-py3-none-any.whl", digest)
    assert found.offer.url == f"{index.url}/files/six-1.0-py3-none-any.whl"
    assert found.offer.index is None  # it is not the one that uv takes for granted
    assert same_contents(found.rows(), installed_rows(environment.site / "six-1.0.dist-info"))
    assert cache.wheels(Wanted(name="six", version="1.1")) == []


def test_a_pointer_says_file_address_and_hash(tmp_path: Path) -> None:
    (found,) = cached(tmp_path, POINTER).wheels(SIX)
    assert (found.offer.url, found.offer.sha256) == ("https://files.example.org/six-1.0-py3-none-any.whl", "a" * 64)
    assert found.offer.index == "https://index.example.org/simple/"
    assert found.rows() == {}


@pytest.mark.parametrize(
    "pointer",
    [
        b"",
        POINTER.replace(b"gFuCp", b"../.."),
        POINTER.replace(b"Sha256", b"Sha512"),
        POINTER + b"\xa6Sha256\xd9@" + b"b" * 64,
        POINTER + b"https://files.example.org/other-1.0-py3-none-any.whl\x00",
        POINTER.replace(b"example.org/six-1.0", b"example.org/six-9.0"),
    ],
)
def test_what_is_not_plain_counts_for_nothing(tmp_path: Path, pointer: bytes) -> None:
    assert cached(tmp_path, pointer).wheels(SIX) == []


@given(st.binary(max_size=200), st.integers(0, len(POINTER)))
def test_any_bytes_are_read_without_trouble(tmp_path_factory: pytest.TempPathFactory, noise: bytes, place: int) -> None:
    folder = tmp_path_factory.mktemp("uv")
    for found in cached(folder, POINTER[:place] + noise + POINTER[place:]).wheels(SIX):
        assert found.offer.filename.startswith("six-1.0-")
        assert found.archive.is_relative_to(folder)
