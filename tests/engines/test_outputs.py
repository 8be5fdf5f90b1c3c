"""What a run wrote comes back: links as what they lead to, nothing from elsewhere, and no more than is allowed."""

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envcap.engines.outputs import Outputs, follow
from envcap.errors import NotRunError

HARD = tarfile.LNKTYPE


def archive(members: dict[str, Any]) -> Iterator[bytes]:
    """Give the pieces of an archive: content as bytes, a symbolic link as text, a hard one as its kind and target."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as file:
        for name, what in members.items():
            info = tarfile.TarInfo(name)
            if isinstance(what, bytes):
                info.size = len(what)
                file.addfile(info, io.BytesIO(what))
            else:
                info.type, info.linkname = (tarfile.SYMTYPE, what) if isinstance(what, str) else what
                file.addfile(info)
    content = stream.getvalue()
    return (content[at : at + 1000] for at in range(0, len(content), 1000))


def test_links_within_a_folder_come_as_what_they_lead_to(tmp_path: Path) -> None:
    outputs = Outputs(tmp_path, most=None)
    members: dict[str, Any] = {
        "out/epoch3.csv": b"three",
        "out/last.csv": "epoch3.csv",
        "out/hard.csv": (HARD, "out/epoch3.csv"),
        "out/deep/absolute.csv": "/work/results/out/last.csv",
        "out/outside": "/etc/hostname",
        "out/above": "../../../precious",
        "out/round": "round",
    }
    (tmp_path.parent / "precious").write_text("precious")
    outputs.take("results/out", archive(members))
    assert list(outputs.missing()) == []
    outputs.settle()
    found = {path.relative_to(tmp_path).as_posix(): path for path in tmp_path.rglob("*") if not path.is_dir()}
    assert set(found) == {f"results/out/{name}" for name in ("epoch3.csv", "last.csv", "hard.csv", "deep/absolute.csv")}
    assert {path.read_text() for path in found.values()} == {"three"}
    assert not any(path.is_symlink() for path in found.values())


def test_what_a_link_leads_to_elsewhere_below_is_asked_for(tmp_path: Path) -> None:
    outputs = Outputs(tmp_path, most=None)
    outputs.take("last", archive({"last": "runs/3"}))
    assert list(outputs.missing()) == ["runs/3"]
    outputs.take("runs/3", archive({"3/metrics.json": b"{}"}))
    assert list(outputs.missing()) == []
    outputs.settle()
    assert (tmp_path / "last" / "metrics.json").read_text() == "{}"


def test_more_than_is_allowed_is_not_taken(tmp_path: Path) -> None:
    outputs = Outputs(tmp_path, most=40_000)
    outputs.take("a", archive({"a": b"x" * 15_000}))
    with pytest.raises(NotRunError, match="more than 40,000 bytes"):
        outputs.take("b", archive({"b": b"x" * 15_000}))
    assert not (tmp_path / "b").exists()


@given(
    st.lists(st.sampled_from(["a", "b", "..", "."]), min_size=1, max_size=5).map("/".join),
    st.dictionaries(st.sampled_from(["a", "b", "a/b", "b/a"]), st.sampled_from(["..", "b/..", "/work/a", "/", "a/b"])),
)
def test_no_way_leads_out(path: str, links: dict[str, str]) -> None:
    place = follow(path, links)
    assert place is None or not (place.startswith("/") or ".." in place.split("/"))
