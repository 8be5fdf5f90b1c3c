"""From what was linked and seen to libraries, programs and the packages that an image needs."""

import os
import shutil
from pathlib import Path

import msgspec

from envcap.machine.debian import Installed
from envcap.machine.inventory import Needs, links_of, list_executables, list_libraries, wanted_packages
from envcap.machine.linked import Environment, Linked
from envcap.model.lock import Executable, Library
from envcap.model.observed import Observed

NOWHERE = Environment(executable="/srv/env/bin/python", prefix="/srv/env", base_prefix="/usr", paths=[])


def linked(path: str, *needed_by: str, interpreter_only: bool = False) -> Linked:
    return Linked(name=Path(path).name[:9], path=path, needed_by=list(needed_by), interpreter_only=interpreter_only)


def needs(found: list[Linked], **seen: list[str]) -> Needs:
    return Needs(NOWHERE, found, msgspec.convert(seen, Observed), env={}, project="/srv/project")


def installed(*names: str) -> dict[str, Installed]:
    return {name: Installed(name=name, version="1", architecture="amd64") for name in names}


def test_linked_loaded_both_and_absent() -> None:
    found = needs(
        [
            linked("/usr/lib/libaa.so.1", "_a.so"),
            linked("/usr/lib/libbb.so.1", "_b.so"),
            Linked(name="libtbb.so.12", path="", needed_by=["plugin.so"], interpreter_only=False),
        ],
        mapped=["/usr/lib/libbb.so.1", "/usr/lib/libcc.so.1.5", "/srv/env/lib/own.so", "/srv/project/mine.so"],
    )
    owner = {"/usr/lib/libaa.so.1": "liba1", "/usr/lib/libcc.so.1.5": "libc1"}
    libraries = list_libraries(
        found, owner=owner, installed=installed("liba1", "libc1"), sonames={"/usr/lib/libcc.so.1.5": "libcc.so.1"}
    )
    assert [(item.name, item.seen, item.package, item.needed_by) for item in libraries] == [
        ("libaa.so.", "linked", "liba1", ["_a.so"]),
        ("libbb.so.", "both", None, ["_b.so"]),
        ("libcc.so.1", "loaded", "libc1", []),
        ("libtbb.so.12", "absent", None, ["plugin.so"]),
    ]
    assert wanted_packages(libraries, [], links={}) == (
        {"liba1": "libaa.so.", "libc1": "libcc.so.1"},
        ["/usr/lib/libbb.so.1"],
    )


def test_the_interpreters_own_come_with_the_base_unless_the_program_asks_for_them() -> None:
    own = linked("/usr/lib/libdd.so.1", "_ssl.so", interpreter_only=True)
    owner, packages = {"/usr/lib/libdd.so.1": "libd1"}, installed("libd1")
    for opened, wanted in (([], {}), (["libdd.so."], {"libd1": "libdd.so."})):
        found = needs([own], mapped=["/usr/lib/libdd.so.1"], opened=opened)
        libraries = list_libraries(found, owner=owner, installed=packages, sonames={})
        assert wanted_packages(libraries, [], links={})[0] == wanted


def test_a_program_brings_its_libraries_and_is_loaded_with_them() -> None:
    program = os.path.realpath("/bin/ls")
    found = needs([], started=["/bin/ls", "/srv/env/bin/tool", "/srv/project/run.sh"])
    assert [item.path for item in list_executables(found, owner={}, installed={})] == [program]
    libraries = list_libraries(found, owner={}, installed={}, sonames={})
    assert {item.seen for item in libraries} == {"both"}
    assert all(item.needed_by == ["ls"] for item in libraries)
    assert any(item.path.endswith("libc.so.6") for item in libraries)


def test_what_a_program_of_the_environment_links_to_was_loaded(tmp_path: Path) -> None:
    prefix = tmp_path.resolve()
    (prefix / "bin").mkdir()
    for name in ("tool", "python"):
        shutil.copy2("/bin/ls", prefix / "bin" / name)
    own = Environment(executable=f"{prefix}/bin/python", prefix=str(prefix), base_prefix="/usr", paths=[])
    for name, seen in (("tool", {"both"}), ("python", set())):  # the hook itself tells what the interpreter has mapped
        observed = Observed(started=[f"{prefix}/bin/{name}"])
        found = Needs(own, [], observed, env={}, project="/srv/project")
        assert list_executables(found, owner={}, installed={}) == []  # it comes with the environment
        libraries = list_libraries(found, owner={}, installed={}, sonames={})
        assert {item.seen for item in libraries} == seen
        assert all(item.needed_by == ["tool"] for item in libraries)


def test_the_drivers_own_and_the_drivers_tools_are_never_installed() -> None:
    libraries = [Library(name="libcuda.so.1", path="/usr/lib/libcuda.so.550.54", seen="loaded", package="libcuda1")]
    tool = Executable(name="nvidia-smi", path="/usr/bin/nvidia-smi", package="nvidia-smi")
    assert wanted_packages(libraries, [tool], links={}) == ({}, [])


def test_a_compiler_comes_with_headers_and_with_the_link_that_was_called() -> None:
    compiler = Executable(name="gcc", path="/usr/bin/x86_64-linux-gnu-gcc-12", package="gcc-12")
    assert wanted_packages([], [compiler], links={"gcc": "gcc"})[0] == {
        "gcc-12": "gcc",
        "gcc": "gcc",
        "libc6-dev": "gcc needs its headers",
    }


def test_links_are_followed_one_by_one(tmp_path: Path) -> None:
    root = tmp_path.resolve()
    (root / "usr").mkdir()
    (root / "usr" / "real").touch()
    (root / "usr" / "second").symlink_to("real")
    (root / "bin").symlink_to("usr")
    (root / "usr" / "first").symlink_to("../bin/second")
    assert links_of(f"{root}/bin/first") == [f"{root}/usr/first", f"{root}/usr/second"]
    assert links_of(f"{root}/usr/real") == []
    (root / "circle").symlink_to("circle")
    assert len(links_of(f"{root}/circle")) == 40
