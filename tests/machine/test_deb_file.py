"""Which programs of a package run when it is installed: read of real packages that dpkg's own tool made."""

import subprocess
from pathlib import Path

import pytest

from envcap.machine.deb_file import has_scripts, os_scripts


def make_deb(folder: Path, name: str, *, script: str = "", packing: str = "xz") -> Path:
    control = folder / f"{name}-root" / "DEBIAN" / "control"
    control.parent.mkdir(parents=True)
    control.write_text(
        f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n"
    )
    if script:
        (control.parent / script).write_text("#!/bin/sh\n")
        (control.parent / script).chmod(0o755)
    path = folder / f"000-{name}_1_all.deb"
    words = ["dpkg-deb", f"-Z{packing}", "--uniform-compression", "--root-owner-group", "--build"]
    subprocess.run([*words, control.parents[1], path], check=True, capture_output=True)
    return path


@pytest.mark.parametrize("packing", ["xz", "gzip", "none"])
def test_scripts_that_run_are_found(packing: str, tmp_path: Path) -> None:
    assert has_scripts(make_deb(tmp_path, "plain", packing=packing)) is False
    assert has_scripts(make_deb(tmp_path, "ends", script="postrm", packing=packing)) is False
    for script in ("preinst", "postinst"):
        assert has_scripts(make_deb(tmp_path, f"has-{script}", script=script, packing=packing)) is True
    assert os_scripts(tmp_path) == [
        "the installation script of `has-postinst`",
        "the installation script of `has-preinst`",
    ]


def test_what_cannot_be_read_is_not_said_to_be_harmless(tmp_path: Path) -> None:
    whole = make_deb(tmp_path, "whole").read_bytes()
    for number, content in enumerate(
        (b"", b"!<arch>\n", whole[:100], whole[:-1].replace(b"control.tar", b"other.tar  "))
    ):
        (tmp_path / f"00{number}-bad_1_all.deb").write_bytes(content)
        assert has_scripts(tmp_path / f"00{number}-bad_1_all.deb") is None
    assert os_scripts(tmp_path) == ["a possible installation script of `bad`"] * 4
