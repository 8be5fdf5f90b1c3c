"""pip's HTTP cache: as pip itself filled it, and as a disk or a stranger may have left it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envcap.pins.caches.pip_http import PipAnswers
from envcap.pins.pages import Wanted

if TYPE_CHECKING:
    from tests.pins.conftest import Environment, Index, MakeWheel

SIX = Wanted(name="six", version="1.0")


@pytest.mark.parametrize("json", [True, False])
def test_what_pip_kept_is_found_by_its_address(
    environment: Environment,
    index: Index,
    make_wheel: MakeWheel,
    tmp_path: Path,
    json: bool,  # noqa: FBT001
) -> None:
    index.json, index.kept_for = json, 600
    digest = index.add(make_wheel("six", "1.0"))
    cache = tmp_path / "pip"
    command = [sys.executable, "-m", "pip", "--python", str(environment.python), "install", "-q", "six==1.0"]
    options = ["--index-url", index.simple, "--trusted-host", index.host, "--cache-dir", str(cache)]
    subprocess.run([*command, *options], check=True)
    kept = PipAnswers(cache / "http-v2")
    (offer,) = kept.offers(index.simple, SIX, public="https://index.example.org/simple/")
    assert (offer.filename, offer.sha256) == ("six-1.0-py3-none-any.whl", digest)
    assert offer.index == "https://index.example.org/simple/"
    body = kept.file(offer.url)
    assert body is not None
    assert body.read_bytes() == index.files["six-1.0-py3-none-any.whl"]
    assert list(kept.archives()) == [body]
    assert kept.offers(index.simple, Wanted(name="six", version="2.0"), public="") == []
    assert kept.offers("https://other.example.org/simple/", SIX, public="") == []


documents = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 999) | st.text(max_size=9) | st.binary(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["response", "headers", "status", "content-type"]), inner, max_size=4)
    ),
    max_leaves=9,
)


@given(
    head=st.binary(max_size=40) | documents.map(lambda one: b"cc=4," + msgspec.msgpack.encode(one)), body=st.binary()
)
def test_damage_is_as_if_nothing_was_kept(tmp_path_factory: pytest.TempPathFactory, head: bytes, body: bytes) -> None:
    kept = PipAnswers(tmp_path_factory.mktemp("cache"))
    path = kept._path("https://index.example.org/simple/six/")
    path.parent.mkdir(parents=True)
    path.write_bytes(head)
    path.with_suffix(".body").write_bytes(body)
    assert kept.offers("https://index.example.org/simple", SIX, public="") == []
