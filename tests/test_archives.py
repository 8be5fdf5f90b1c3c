"""Archives from elsewhere: nothing leaves the folder, and nothing but files, folders and links comes."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from envcap.archives import unpack
from envcap.errors import RefusedError


def member(name: str, content: bytes | None = b"x", **attributes: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content or b"")
    for key, value in attributes.items():
        setattr(info, key, value)
    return info, content or b""


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, b"", type=kind, linkname=target)


def archive(*members: tuple[tarfile.TarInfo, bytes]) -> io.BytesIO:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as file:
        for info, content in members:
            file.addfile(info, io.BytesIO(content))
    stream.seek(0)
    return stream


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inside = tmp_path / "outer" / "inside"
    inside.mkdir(parents=True)
    (tmp_path / "outer" / "precious").write_text("precious", encoding="utf-8")
    return inside


def everything(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): f"-> {path.readlink()}" if path.is_symlink() else path.read_text("utf-8")
        for path in root.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def test_files_and_folders_come(folder: Path) -> None:
    unpack(archive(member("a", b"one"), member("deep/below/b", b"two"), member("é\n", b"three")), folder, links=False)
    assert everything(folder) == {"a": "one", "deep/below/b": "two", "é\n": "three"}


def test_links_come_only_where_they_are_wanted(folder: Path) -> None:
    members = member("a", b"one"), link("to-a", "a"), link("deep/to-a", "../a")
    unpack(archive(*members), folder, links=True)
    assert everything(folder) == {"a": "one", "to-a": "-> a", "deep/to-a": "-> ../a"}
    other = folder.parent / "other"
    other.mkdir()
    unpack(archive(*members), other, links=False)
    assert everything(other) == {"a": "one"}


def test_files_belong_to_us_and_have_plain_modes(folder: Path) -> None:
    unpack(
        archive(
            member("run", mode=0o6777, uid=12345, gid=12345, uname="nobody"),
            member("read", mode=0o004),
            member("sub", b"", type=tarfile.DIRTYPE, mode=0o000),
            member("sub/file", mode=0o600),
        ),
        folder,
        links=False,
    )
    modes = {path.name: path.stat().st_mode & 0o7777 for path in folder.rglob("*") if path.is_file()}
    assert modes == {"run": 0o755, "read": 0o644, "file": 0o644}
    assert {path.stat().st_uid for path in folder.rglob("*")} == {os.getuid()}


def test_devices_pipes_and_hard_links_are_left_out(folder: Path) -> None:
    unpack(
        archive(
            member("device", b"", type=tarfile.CHRTYPE),
            member("block", b"", type=tarfile.BLKTYPE),
            member("pipe", b"", type=tarfile.FIFOTYPE),
            link("hard", "../precious", tarfile.LNKTYPE),
            member("kept"),
        ),
        folder,
        links=True,
    )
    assert [path.name for path in folder.iterdir()] == ["kept"]


OUTSIDE = "/" + "no-such-folder/envcap-test"
HOSTILE = {
    "above": [member("../precious", b"stolen")],
    "above, later": [member("a/../../precious", b"stolen")],
    "absolute": [member(f"{OUTSIDE}/precious", b"stolen")],
    "absolute folder": [member(OUTSIDE, b"", type=tarfile.DIRTYPE)],
    "link above": [link("out", "../precious")],
    "absolute link": [link("out", "/")],
    "link above, deep": [link("a/b/out", "../../../precious")],
    "a file through a link": [link("out", ".."), member("out/precious", b"stolen")],
    "a link through a link": [link("a", "b/../.."), link("b", "."), member("a/precious", b"stolen")],
    "a folder that becomes a link": [
        member("d/e/f", b""),
        link("up", "d/e/../.."),
        link("d/g", "../.."),
        member("d/g/precious", b"stolen"),
    ],
}


@pytest.mark.parametrize("case", HOSTILE)
def test_nothing_leaves_the_folder(case: str, folder: Path) -> None:
    with pytest.raises(RefusedError) as refused:
        unpack(archive(*HOSTILE[case]), folder, links=True)
    assert refused.value.exit_code == 5
    assert (folder.parent / "precious").read_text(encoding="utf-8") == "precious"
    assert not Path(OUTSIDE).exists()


def test_a_chain_of_links_is_judged_by_where_it_leads_now(folder: Path) -> None:
    """`up` is harmless when it comes and leads out once `d/e` has become a link; writing through it is refused."""
    members = link("up", "d/e/../.."), link("d/e", ".."), member("up/../precious", b"stolen")
    with pytest.raises(RefusedError):
        unpack(archive(*members), folder, links=True)
    assert (folder.parent / "precious").read_text(encoding="utf-8") == "precious"


def test_what_was_there_before_can_be_replaced(folder: Path) -> None:
    (folder / "a").write_text("old", encoding="utf-8")
    unpack(archive(member("a", b"new")), folder, links=False)
    assert everything(folder) == {"a": "new"}


@pytest.mark.parametrize("content", [b"", b"not a tar", bytes(100), b"\x1f\x8b" + bytes(600)])
def test_what_is_no_archive_is_refused(content: bytes, folder: Path) -> None:
    with pytest.raises(RefusedError, match="cannot be read"):
        unpack(io.BytesIO(content), folder, links=False)


def test_a_cut_archive_is_refused(folder: Path) -> None:
    whole = archive(member("a", b"x" * 5_000), member("b", b"x" * 5_000)).getvalue()
    with pytest.raises(RefusedError, match="cannot be read"):
        unpack(io.BytesIO(whole[:7_000]), folder, links=False)
