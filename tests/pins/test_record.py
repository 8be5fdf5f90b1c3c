"""The RECORD of a wheel against the RECORD that installers leave."""

from __future__ import annotations

import csv
import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envcap.pins.configuration import Configuration
from envcap.pins.connection import Connection
from envcap.pins.ranges import open_remote
from envcap.pins.record import (
    compare_records,
    encode_digest,
    installed_rows,
    parse_record,
    same_contents,
    wheel_rows,
)
from envcap.pins.scripts import rewritten_scripts

if TYPE_CHECKING:
    from tests.pins.conftest import Environment, Index, MakeWheel

FILES = {
    "demo_data/table.csv": "1,2\n",
    "demo-1.0.data/scripts/demo-run": "#!python\nprint(1)\n",
    "demo-1.0.data/data/share/demo/x.txt": "x",
    "demo-1.0.data/purelib/demo_more.py": "",
    "demo-1.0.dist-info/entry_points.txt": "[console_scripts]\ndemo = demo:main\n",
}


@given(st.dictionaries(st.text(min_size=1).filter(lambda text: "\0" not in text), st.sampled_from(["", "sha256=x"])))
def test_rows_come_back_as_they_were_written(rows: dict[str, str]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text).writerows((path, digest, "") for path, digest in rows.items())
    assert parse_record(text.getvalue()) == rows


def test_the_digest_is_written_as_pep_376_has_it() -> None:
    assert encode_digest(hashlib.sha256(b"").digest()) == "sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_what_an_installer_leaves_equals_its_wheel_and_no_other(
    environment: Environment, make_wheel: MakeWheel, tmp_path: Path, installer: str
) -> None:
    wheel = make_wheel("demo", "1.0", files=FILES)
    other = make_wheel("demo", "1.0", files={**FILES, "demo_data/table.csv": "1,3\n"}, folder=tmp_path / "other")
    more = make_wheel("demo", "1.0", files={**FILES, "demo_data/extra.csv": ""}, folder=tmp_path / "more")
    if installer == "uv":
        environment.install(wheel, options=("--compile-bytecode",))
    else:
        environment.pip(wheel)
    rows = installed_rows(environment.site / "demo-1.0.dist-info")
    for path, equal in ((wheel, True), (other, False), (more, False)):
        with path.open("rb") as file:
            assert same_contents(wheel_rows(file), rows) is equal


def test_nothing_proves_nothing(tmp_path: Path) -> None:
    assert installed_rows(tmp_path) == {}
    assert wheel_rows(io.BytesIO(b"no zip")) == {}
    assert not same_contents({}, {})


@pytest.mark.parametrize("size", [10, 65_536, 400_000])
def test_pieces_of_a_remote_file(index: Index, size: int) -> None:
    index.files["big.whl"] = bytes(number * 7 % 251 for number in range(size))
    local = io.BytesIO(index.files["big.whl"])
    with Connection(Configuration()) as connection:
        remote = open_remote(f"{index.url}/files/big.whl", connection=connection)
        assert remote is not None
        for offset, length in ((0, 10), (size // 2, 100_000), (size - 5, 20), (size + 5, 3), (1, 1)):
            assert remote.seek(offset) == local.seek(offset)
            assert remote.read(length) == local.read(length)
        assert remote.seek(0, io.SEEK_END) == size
    assert all(status.get("accept-encoding") == "identity" for _, _, status in index.asked)


def test_a_server_without_ranges_is_told(index: Index) -> None:
    index.ranges = False
    index.files["big.whl"] = b"x" * 1000
    with Connection(Configuration()) as connection:
        assert open_remote(f"{index.url}/files/big.whl", connection=connection) is None
        assert open_remote(f"{index.url}/files/gone.whl", connection=connection) is None


HEADED: dict[str, str | bytes] = {
    **FILES,
    "demo-1.0.data/scripts/demo-binary": b"\x7fELF" + bytes(range(200)),
    "demo-1.0.data/scripts/demo-window": "#!pythonw\nprint(2)\n",
    "demo-1.0.data/scripts/demo-shell": "#!/bin/sh\necho 1\n",
    "demo-1.0.data/headers/demo.h": "#define DEMO 1\n",
}
ELSEWHERE: list[tuple[str, str | bytes]] = [
    ("demo-1.0.data/scripts/demo-binary", b"\x7fELF" + bytes(200)),
    ("demo-1.0.data/scripts/demo-run", "#!python\nprint(3)\n"),
    ("demo-1.0.data/scripts/demo-shell", "#!/bin/sh\necho 2\n"),
    ("demo-1.0.data/data/share/demo/x.txt", "y"),
    ("demo-1.0.data/headers/demo.h", "#define DEMO 2\n"),
]


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_scripts_headers_and_data_are_compared_too(
    environment: Environment, make_wheel: MakeWheel, tmp_path: Path, installer: str
) -> None:
    wheel = make_wheel("demo", "1.0", files=HEADED)
    (environment.install if installer == "uv" else environment.pip)(wheel)
    metadata = environment.site / "demo-1.0.dist-info"
    installed = installed_rows(metadata)
    rewritten = rewritten_scripts(metadata, installed)
    assert {row.rpartition("/")[2] for row in rewritten} >= {"demo-run", "demo-window"}
    own = compare_records(rows_of(wheel), installed, rewritten=rewritten)
    assert own.proves, own
    for number, (path, content) in enumerate(ELSEWHERE):
        other = make_wheel("demo", "1.0", files={**HEADED, path: content}, folder=tmp_path / str(number))
        assert compare_records(rows_of(other), installed, rewritten=rewritten).differing == [path]
        assert compare_records(rows_of(other), installed).proves  # who cannot see the files cannot tell
    (environment.folder / "bin" / "demo-run").write_text("#!/usr/bin/python3\nedited = True\n")
    rewritten = rewritten_scripts(metadata, installed)
    assert compare_records(rows_of(wheel), installed, rewritten=rewritten).proves


def rows_of(wheel: Path) -> dict[str, str]:
    with wheel.open("rb") as file:
        return wheel_rows(file)
