"""Reading ELF files: what the system's own tools say of real ones, and no harm from damaged ones."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envcap.machine.elf import BrokenElfError, Elf, read_elf

REAL = [
    Path(sys.executable).resolve(),
    Path("/bin/ls").resolve(),
    *sorted(Path("/usr/lib").glob("*-linux-gnu/libstdc++.so.6")),
]


def told_by_readelf(path: Path) -> Elf:
    text = subprocess.run(["readelf", "-dVlW", path], capture_output=True, text=True, check=True).stdout
    needs = text.partition("Version needs section")[2]

    def folders(kind: str) -> list[str]:
        found = re.search(rf"\({kind}\)\s+Library \w+: \[(.*)\]", text)
        return [part for part in found[1].split(":") if part] if found else []

    soname = re.search(r"\(SONAME\)\s+Library soname: \[(.*)\]", text)
    interpreter = re.search(r"Requesting program interpreter: (.*)\]", text)
    return Elf(
        machine={"x86_64": 62, "aarch64": 183}[os.uname().machine],
        bits=64,
        needed=re.findall(r"\(NEEDED\)\s+Shared library: \[(.*)\]", text),
        soname=soname[1] if soname else None,
        rpath=folders("RPATH"),
        runpath=folders("RUNPATH"),
        interpreter=interpreter[1] if interpreter else None,
        versions=sorted(set(re.findall(r"Name: (\S+)\s+Flags", needs))),
    )


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.name)
def test_it_says_what_readelf_says(path: Path) -> None:
    if shutil.which("readelf") is None:
        pytest.fail("binutils are needed: `apt-get install binutils`")
    assert read_elf(path) == told_by_readelf(path)


@pytest.mark.parametrize("content", [b"", b"#!/bin/sh\n", b"\x7fEL", b"PK\x03\x04"])
def test_another_file_is_none(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    assert read_elf(tmp_path / "file") is None


def test_a_static_object_needs_nothing(tmp_path: Path) -> None:
    head = bytearray(64)
    head[:6] = b"\x7fELF\2\1"
    head[18:20] = (62).to_bytes(2, "little")
    (tmp_path / "static").write_bytes(bytes(head))
    assert read_elf(tmp_path / "static") == Elf(machine=62, bits=64)


def read_or_complain(path: Path) -> Elf | None:
    try:
        return read_elf(path)
    except BrokenElfError:
        return None


@given(data=st.data())
def test_a_damaged_file_does_no_harm(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.so"
    content = bytearray(REAL[1].read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        # Most of what is read lies in the first kilobytes; the dynamic section is near the end.
        at = data.draw(st.one_of(st.integers(0, 2047), st.integers(0, len(content) - 8)))
        change = data.draw(st.binary(min_size=1, max_size=8))
        content[at : at + len(change)] = change
    path.write_bytes(content[: data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))])
    found = read_or_complain(path)
    assert found is None or found.bits in (32, 64)


@given(rest=st.binary(max_size=600), big=st.booleans(), wide=st.booleans())
def test_noise_behind_the_magic_number_does_no_harm(
    rest: bytes, *, big: bool, wide: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "noise.so"
    path.write_bytes(b"\x7fELF" + bytes([1 + wide, 1 + big]) + rest)
    read_or_complain(path)
