"""Requirements of the live environment: edges, extras, markers, what is unmet, and metadata that is broken."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from envcap.model.facts import Distribution, Facts, Hardware, Interpreter, System
from envcap.model.lock import Conflict, Package, Wheel
from envcap.requirements import Relations, relate, with_dependencies

MARKERS = {
    "implementation_name": "cpython",
    "implementation_version": "3.8.1",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_release": "5.10.0",
    "platform_system": "Linux",
    "platform_version": "#1 SMP",
    "python_full_version": "3.8.1",
    "python_version": "3.8",
    "sys_platform": "linux",
}


def facts_with(distributions: dict[str, tuple[str, list[str]]], **markers: str) -> Facts:
    """Give Facts of distributions told as name: (version, requirements)."""
    text: Any = dict.fromkeys(("distribution", "version", "codename", "kernel", "libc", "libc_version"), "")
    more: Any = dict.fromkeys(("architecture", "locale", "encoding", "timezone", "umask"), "")
    return Facts(
        format=1,
        interpreter=Interpreter(implementation="cpython", version="3.8.1", build="", abi="", tag="", kind="venv"),
        executable="",
        prefix="",
        base_prefix="",
        paths=[],
        distributions=[
            Distribution(name=name, version=version, path="", layout="dist-info", requires=requires)
            for name, (version, requires) in distributions.items()
        ],
        system=System(**text, **more),
        hardware=Hardware(cpu="", cores=1, memory=1),
        markers={**MARKERS, **markers},
    )


def related(**distributions: list[str]) -> Relations:
    return relate(facts_with({name: ("1.0", requires) for name, requires in distributions.items()}))


def package(name: str, **more: Any) -> Package:
    file = f"{name}-1.0-py3-none-any.whl"
    return Package(
        name=name, version="1.0", wheel=Wheel(name=file, sha256="1" * 64, url="https://x.example.org/x"), **more
    )


def test_edges_are_normalised_names() -> None:
    found = related(one=["Two_Words>=0.5", "zope.interface"], **{"two-words": [], "Zope.Interface": []})
    assert found.edges == {"one": ["two-words", "zope-interface"], "two-words": [], "zope-interface": []}
    assert not found.conflicts
    assert not found.gaps


def test_markers_are_those_of_the_probed_interpreter() -> None:
    lines = ["two; python_version < '3.9'", "three; python_version >= '3.9'", "four; sys_platform == 'win32'"]
    assert related(one=lines, two=[], three=[], four=[]).edges["one"] == ["two"]


def test_an_extra_counts_where_a_dependant_asks_for_it() -> None:
    lines = ["three; extra == 'fast'", "four; extra == 'slow_mode' and python_version == '3.8'"]
    assert related(one=["two"], two=lines, three=[], four=[]).edges["two"] == []
    assert related(one=["two[fast]"], two=lines, three=[], four=[]).edges["two"] == ["three"]
    assert related(one=["two[FAST,Slow-Mode]"], two=lines, three=[], four=[]).edges["two"] == ["four", "three"]


def test_an_extra_that_asks_for_another_of_its_own_package() -> None:
    lines = ["one[fast]; extra == 'all'", "three; extra == 'fast'"]
    found = related(one=lines, two=["one[all]"], three=[])
    assert found.edges == {"one": ["three"], "two": ["one"], "three": []}


def test_what_is_unmet_is_told() -> None:
    facts = facts_with(
        {
            "One": ("1", ["two[x]>=2,<3", "absent>1; os_name == 'posix'", "three", "absent-too; extra == 'dev'"]),
            "two": ("1.4", []),
            "three": ("3.0rc1", []),
        }
    )
    assert relate(facts).conflicts == [
        Conflict(package="one", requirement="absent>1", installed=None),
        Conflict(package="one", requirement="two[x]<3,>=2", installed="1.4"),
    ]


def test_a_prerelease_and_a_local_version_meet_a_requirement() -> None:
    facts = facts_with({"one": ("1", ["two>=2.0a1", "three==3.0"]), "two": ("2.0b1", []), "three": ("3.0+cpu", [])})
    assert relate(facts).conflicts == []


def test_broken_lines_become_gaps_and_the_rest_counts() -> None:
    broken = ["two>=", "", "(", "two; nothing == '1'", "two; " + "(" * 5000 + "os_name == 'x'" + ")" * 5000]
    found = related(one=[*broken, "three"], two=[], three=[])
    assert found.edges["one"] == ["three"]
    assert {gap.subject for gap in found.gaps} == {"one"}
    assert len(found.gaps) == len(broken)
    assert all(len(gap.reason) < 300 for gap in found.gaps)


def test_a_version_that_is_none_is_not_judged() -> None:
    found = relate(facts_with({"one": ("1", ["two>=2"]), "two": ("unknown-version", [])}))
    assert found.edges["one"] == ["two"]
    assert len(found.gaps) + len(found.conflicts) == 1


def test_credentials_reach_neither_conflicts_nor_gaps() -> None:
    address = "https://user:canary@files.example.org/t/canary/x.whl?token=canary"
    found = related(one=[f"absent @ {address}", f"broken >= @ {address} ;;"])
    assert len(found.conflicts) == len(found.gaps) == 1
    assert "canary" not in repr(found)
    assert "files.example.org" in found.conflicts[0].requirement


def test_the_lock_knows_only_its_own_packages() -> None:
    relations = related(one=["two", "three"], two=[], three=["one"])
    packages = with_dependencies([package("one"), package("two")], relations)
    assert [item.dependencies for item in packages] == [("two",), ()]


_WORDS = st.sampled_from(
    ["one", "two", "[", "]", "fast", ">=1", "==2.*", "~=", ";", " extra == 'fast'", "python_version", "<", "'3.8'"]
) | st.sampled_from(
    ["(", ")", " and ", " or ", " @ https://x.example.org/a", ",", "not in", "\x00", "é", "===x", "==1.0+local"]
)
_LINES = st.lists(st.one_of(st.text(max_size=40), st.lists(_WORDS, max_size=9).map("".join)), max_size=5)


@given(first=_LINES, second=_LINES, versions=st.tuples(st.text(max_size=5), st.sampled_from(["1.0", "2", "x", ""])))
def test_no_metadata_makes_it_fail(first: list[str], second: list[str], versions: tuple[str, str]) -> None:
    found = relate(facts_with({"one": (versions[0], first), "two": (versions[1], second)}))
    assert set(found.edges) == {"one", "two"}
    assert all(set(targets) <= {"one", "two"} for targets in found.edges.values())
