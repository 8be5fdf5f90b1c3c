"""Whether a base is new enough for what the packages were compiled for."""

import pytest

from envcap.machine.debian import Installed
from envcap.machine.floors import floor_gaps
from envcap.model.lock import Base, Floor, OsPackage

BASE = Base(reference="python:3.11.7-slim-bookworm", digest="sha256:" + "a" * 64)
FLOOR = Floor(glibc="2.28", glibcxx="3.4.30", cxxabi="1.3.13")


def packages(**versions: str) -> dict[str, Installed]:
    named = {name.replace("stdcxx6", "stdc++6"): version for name, version in versions.items()}
    return {name: Installed(name=name, version=version, architecture="amd64") for name, version in named.items()}


@pytest.mark.parametrize(
    ("held", "told"),
    [
        (packages(libc6="2.36-9+deb12u4", libstdcxx6="12.2.0-14"), []),
        (packages(libc6="2.27-3", libstdcxx6="12.2.0-14"), ["glibc 2.28"]),
        (packages(libc6="2.36-9", libstdcxx6="10.2.1-6"), ["GLIBCXX 3.4.30", "CXXABI 1.3.13"]),
        (packages(libc6="2.36-9", libstdcxx6="99.1"), []),  # a release that the table does not know
        (packages(libc6="2.36-9"), []),  # one that it lacks is installed, or told elsewhere
        (None, []),  # by the suite in its name
    ],
)
def test_what_is_too_old(held: dict[str, Installed] | None, told: list[str]) -> None:
    gaps = floor_gaps(FLOOR, BASE, held)
    assert [text in gap.reason for text, gap in zip(told, gaps, strict=True)] == [True] * len(told)


def test_what_comes_on_top_counts() -> None:
    added = OsPackage(
        name="libstdc++6",
        version="12.2.0-14",
        architecture="amd64",
        file="x.deb",
        sha256="0" * 64,
        size=1,
        url="http://archive.example.org/x.deb",
        why="libstdc++.so.6",
    )
    held = packages(libc6="2.36-9", libstdcxx6="10.2.1-6")
    assert floor_gaps(FLOOR, BASE, held, added=[added]) == []


def test_no_floor_asks_for_nothing() -> None:
    assert floor_gaps(Floor(), BASE, packages(libc6="2.1")) == []
    old = Base(reference="python:3.8.0-slim-buster", digest=None)
    assert "glibc 2.36" in floor_gaps(Floor(glibc="2.36"), old, None)[0].reason
