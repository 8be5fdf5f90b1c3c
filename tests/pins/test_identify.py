"""Which offered wheel is the installed one, by names alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from envcap.model.facts import Distribution
from envcap.pins.identify import distinct, expand, matching
from envcap.pins.pages import Offer

INTERPRETERS = ["py3", "cp311", "cp310", "pp310"]
ABIS = ["none", "abi3", "cp311"]
PLATFORMS = ["any", "linux_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64", "manylinux1_x86_64", "win_amd64"]
parts = st.tuples(
    st.lists(st.sampled_from(INTERPRETERS), min_size=1, max_size=2, unique=True),
    st.lists(st.sampled_from(ABIS), min_size=1, max_size=2, unique=True),
    st.lists(st.sampled_from(PLATFORMS), min_size=1, max_size=3, unique=True),
)
builds = st.sampled_from(["", "1", "2local"])


def installed(*tags: str, build: str | None = None) -> Distribution:
    return Distribution(
        name="demo", version="1.0", path="/s/demo-1.0.dist-info", layout="dist-info", tags=list(tags), build_tag=build
    )


def offer(tags: str, build: str = "", sha256: str | None = None) -> Offer:
    return Offer(
        filename="-".join(part for part in ("demo", "1.0", build, tags) if part) + ".whl",
        url="https://f.example.org/x.whl",
        sha256=sha256,
    )


@given(st.lists(st.tuples(parts, builds), max_size=5), parts, builds)
def test_a_match_has_the_tags_and_the_build_of_the_installed_wheel(
    offered: list[tuple[tuple[list[str], list[str], list[str]], str]],
    tags: tuple[list[str], list[str], list[str]],
    build: str,
) -> None:
    lines = [f"{one}-{two}-{three}" for one in tags[0] for two in tags[1] for three in tags[2]]
    offers = [offer("-".join(".".join(part) for part in three), build) for three, build in offered]
    found = matching(installed(*lines, build=build or None), offers)
    equal = [
        one
        for one, (three, its) in zip(offers, offered, strict=True)
        if its == build and [set(part) for part in three] == [set(part) for part in tags]
    ]
    assert found == equal or (not equal and all(line.split("-")[2] == "linux_x86_64" for line in lines))


def test_compressed_lines_are_expanded() -> None:
    assert matching(installed("py2.py3-none-any"), [offer("py2.py3-none-any"), offer("py3-none-any")]) == [
        offer("py2.py3-none-any")
    ]
    assert len(expand(["py2.py3-none-any", "nonsense", "a-b"])) == 2


def test_a_wheel_that_was_renamed_to_manylinux_is_accepted() -> None:
    torch = offer("cp311-cp311-manylinux1_x86_64")
    others = [offer("cp310-cp310-manylinux1_x86_64"), offer("cp311-cp311-manylinux2014_aarch64"), offer("py3-none-any")]
    assert matching(installed("cp311-cp311-linux_x86_64"), [*others, torch]) == [torch]
    exact = offer("cp311-cp311-linux_x86_64")
    assert matching(installed("cp311-cp311-linux_x86_64"), [torch, exact]) == [exact]
    assert matching(installed("cp311-cp311-manylinux1_x86_64"), [exact]) == []


def test_nothing_is_guessed_without_tags_or_from_broken_names() -> None:
    assert matching(installed(), [offer("py3-none-any")]) == []
    assert matching(installed("py3-none-any"), [Offer(filename="demo-1.0.whl", url="https://f.example.org/x")]) == []


def test_the_same_bytes_from_several_places_are_one() -> None:
    one, two, unknown = offer("py3-none-any", sha256="a" * 64), offer("py3-none-any", sha256="b" * 64), offer("x-y-z")
    assert distinct([one, two, one, unknown, unknown]) == [one, two, unknown, unknown]
