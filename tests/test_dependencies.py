"""The tree of a lock's packages: every package is in it, under what requires it, and no circle is endless."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from envcap.dependencies import dependants, roots, tree
from envcap.model.lock import Package, Wheel


def packages(requested: str = "", **edges: str) -> list[Package]:
    """Give packages of one letter with the letters that each requires."""
    wheel = Wheel(name="x-1-py3-none-any.whl", sha256="1" * 64)
    return [
        Package(name=name, version="1", wheel=wheel, requested=name in requested, dependencies=tuple(sorted(letters)))
        for name, letters in edges.items()
    ]


def drawn(found: list[Package]) -> list[str]:
    return [f"{len(line.last) * '.'}{line.package.name}{line.mark[:1]}" for line in tree(found)]


def test_who_requires_a_package() -> None:
    assert dependants(packages(b="c", a="bc", c="")) == {"a": [], "b": ["a"], "c": ["a", "b"]}


def test_what_was_requested_comes_first() -> None:
    found = packages("b", a="b", b="c", c="", d="")
    assert roots(found) == ["b", "a", "d"]
    assert drawn(found) == ["b", ".c", "a", ".bs", "d"]


def test_without_requested_ones_it_grows_from_those_nobody_requires() -> None:
    assert roots(packages(a="b", b="", c="b")) == ["a", "c"]


def test_a_requested_package_that_another_requires_is_a_root_too() -> None:
    assert drawn(packages("ab", a="b", b="c", c="")) == ["a", ".b", "..c", "bs"]


def test_a_circle_is_cut_and_marked() -> None:
    assert drawn(packages(a="b", b="a")) == ["a", ".b", "..ac"]
    assert drawn(packages(a="a")) == ["a", ".ac"]
    assert drawn(packages(d="a", a="b", b="a")) == ["d", ".a", "..b", "...ac"]


def test_a_long_chain_is_no_danger() -> None:
    wheel = Wheel(name="x-1-py3-none-any.whl", sha256="1" * 64)
    first = Package(name="0", version="1", wheel=wheel)
    chain = [first] + [
        msgspec.structs.replace(first, name=str(number), dependencies=(str(number - 1),)) for number in range(1, 2000)
    ]
    assert len(tree(chain)) == 2000


_EDGES = st.fixed_dictionaries(dict.fromkeys("abcdef", st.text("abcdef", max_size=4)))


@given(edges=_EDGES, requested=st.text("abcdef", max_size=3))
def test_each_package_is_explained_once_and_each_edge_shown(edges: dict[str, str], requested: str) -> None:
    found = packages(requested, **{name: "".join(set(letters)) for name, letters in edges.items()})
    lines = tree(found)
    assert {line.package.name for line in lines} == set(edges)
    opened = [line.package.name for line in lines if not line.mark and line.package.dependencies]
    assert len(opened) == len(set(opened))
    shown = len(lines) - len(roots(found))
    assert shown == sum(len(item.dependencies) for item in found)
