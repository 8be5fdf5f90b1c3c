"""A scanned page gives what a parsed one gives, or is not scanned."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envcap.pins.pages import Offer, Wanted, read_json, scan

INDEX = "https://i.example.org/simple/"
DEMO = Wanted(name="demo", version="1.0")
VERSIONS = ["1.0", "1.0.0", "1", "1.0.post1", "11.0", "1.0+cpu", "2.0"]


def page_of(
    files: list[dict[str, Any]], *, api: str | None = "1.1", first: bool = False, **more: Any
) -> dict[str, Any]:
    meta = {} if api is None else {"meta": {"api-version": api}}
    return {**(meta if first else {}), "files": files, **({} if first else meta), "name": "demo", **more}


def file_of(filename: str, **more: Any) -> dict[str, Any]:
    return {"filename": filename, "hashes": {"sha256": f"{len(filename):064x}"}, "url": f"../../f/{filename}", **more}


def parsed(page: bytes, wanted: Wanted) -> list[Offer]:
    """Read the page after a change that hinders scanning and changes nothing for a parser."""
    hindered = b" " + page
    assert scan(hindered, wanted) is None
    return read_json(hindered, wanted=wanted, url=f"{INDEX}demo/", index=INDEX)


filenames = st.builds(
    "{}-{}{}-py3-none-{}".format,
    st.sampled_from(["demo", "Demo", "de.mo", "other"]),
    st.sampled_from(VERSIONS),
    st.sampled_from(["", "-1", "-1.0"]),
    st.sampled_from(["any.whl", "any.whl.metadata", "1.0-any.whl", "linux_x86_64.whl", "any.zip"]),
) | st.builds("demo-{}.tar.gz".format, st.sampled_from(VERSIONS))
reasons = (
    st.booleans()
    | st.text(alphabet='ab-1.0 {}[]",\\é:', max_size=12)
    | st.sampled_from(["}]", "-1.0-", '{"filename":'])
)
files = st.builds(
    lambda name, reason, size, last: {
        **({} if last else {"filename": name}),
        "hashes": {"sha256": "a" * 64},
        **({} if size is None else {"size": size}),
        "core-metadata": {"sha256": "b" * 64},
        "url": f"https://f.example.org/{name}",
        "yanked": reason,
        **({"filename": name} if last else {}),
    },
    filenames,
    reasons,
    st.none() | st.integers(0, 1 << 40),
    st.sampled_from([False] * 9 + [True]),
)
layouts = st.sampled_from([{}, {"separators": (",", ":")}, {"indent": 1}, {"ensure_ascii": False}])


@given(st.lists(files, max_size=8), st.sampled_from(VERSIONS), layouts, st.booleans())
def test_scanning_finds_what_parsing_finds(
    offered: list[dict[str, Any]],
    version: str,
    layout: dict[str, Any],
    first: bool,  # noqa: FBT001
) -> None:
    page = json.dumps(page_of(offered, first=first, versions=["-1.0-", "1.0"]), **layout).encode()
    wanted = Wanted(name="demo", version=version)
    assert read_json(page, wanted=wanted, url=f"{INDEX}demo/", index=INDEX) == parsed(page, wanted)


def test_a_usual_page_is_scanned() -> None:
    names = [f"demo-{version}-py3-none-any.whl" for version in VERSIONS]
    for layout in ({}, {"separators": (",", ":")}):
        page = json.dumps(page_of([file_of(name, yanked="why {not}") for name in names]), **layout).encode()  # type: ignore[arg-type]
        for version, name in zip(VERSIONS, names, strict=True):
            found = scan(page, Wanted(name="demo", version=version))
            assert found is not None
            assert [file.filename for file in found] == [name]


@pytest.mark.parametrize(
    "page",
    [
        page_of([file_of("demo-1.0-py3-none-any.whl")], api=None),
        page_of([file_of("demo-1.0-py3-none-any.whl")], api="2.0"),
        page_of([file_of("demo-1.0-py3-none-any.whl")], also={"api-version": "1.2"}),
        page_of([file_of("demo-1.0-py3-none-any.whl", yanked='a "reason"')]),
        page_of([file_of("demo-1.0.0-py3-none-any.whl")]),
        page_of([file_of("demo-1.0-py3-none-any.whl")], versions=["-1.0-"]),
        page_of([{"size": 1, **file_of("demo-1.0-py3-none-any.whl")}]),
        page_of([{"filename": "demo-1.0-py3-none-any.whl"}]),
    ],
)
def test_an_unusual_page_is_parsed(page: dict[str, Any]) -> None:
    assert scan(msgspec.json.encode(page), DEMO) is None
