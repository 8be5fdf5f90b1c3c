"""The static pass resolves as the loader does: built here with a compiler, and compared with `ldd`."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from envcap.machine.linked import Environment, closure_of, floor_of, objects_of, read_static
from envcap.machine.loader import Loader, read_cache
from envcap.model.lock import Floor


def compile_library(path: Path, *options: str, source: str = "int value(void) { return 1; }\n") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    program = path.with_suffix(".c")
    program.write_text(source)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", path, program, *options], check=True)


def environment(tmp_path: Path) -> Environment:
    site = tmp_path / "env" / "site-packages"
    site.mkdir(parents=True, exist_ok=True)
    return Environment(
        executable=sys.executable, prefix=str(tmp_path / "env"), base_prefix=sys.base_prefix, paths=[str(site)]
    )


def from_packages(found: Environment, environ: dict[str, str] | None = None) -> dict[str, str]:
    static = read_static(found, environ=environ or {})
    return {item.name: item.path for item in static.libraries if not item.interpreter_only}


def test_programs_of_packages_count_as_their_modules_do(tmp_path: Path) -> None:
    """In a folder of the package, and in the environment's own; scripts, links and data beside them do not."""
    found = environment(tmp_path)
    outside = tmp_path / "outside"
    names = ("inner", "outer", "closed")
    for name in names:
        compile_library(outside / f"lib{name}.so.1", f"-Wl,-soname,lib{name}.so.1")
        (outside / f"lib{name}.so").symlink_to(f"lib{name}.so.1")
    site = tmp_path / "env" / "site-packages" / "package"
    places = {"inner": site / "tool-linux-v7.0.2", "outer": tmp_path / "env" / "bin" / "outer", "closed": site / "data"}
    source = tmp_path / "main.c"
    source.write_text("int main(void) { return 0; }\n")
    for name, place in places.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        links = [f"-L{outside}", "-Wl,--no-as-needed", f"-l{name}", f"-Wl,-rpath,{outside}"]
        subprocess.run(["cc", "-o", place, source, *links], check=True)
    places["closed"].chmod(0o644)
    script = tmp_path / "env" / "bin" / "script"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    (tmp_path / "env" / "bin" / "python").symlink_to(sys.executable)
    _, others = objects_of(found)
    assert others == sorted(os.path.realpath(places[name]) for name in ("inner", "outer"))
    linked = from_packages(found)
    assert linked.keys() >= {"libinner.so.1", "libouter.so.1", "libc.so.6"}
    assert "libclosed.so.1" not in linked
    of_system = Environment(executable="/usr/bin/python3", prefix="/usr", base_prefix="/usr", paths=[str(site.parent)])
    assert objects_of(of_system)[1] == [os.path.realpath(places["inner"])]


@pytest.mark.parametrize("tags", ["--enable-new-dtags", "--disable-new-dtags"])
def test_origin_leads_to_the_library_beside(tags: str, tmp_path: Path) -> None:
    found = environment(tmp_path)
    outside = tmp_path / "outside"
    compile_library(outside / "libbeside.so.1", "-Wl,-soname,libbeside.so.1")
    (outside / "libbeside.so").symlink_to("libbeside.so.1")
    extension = tmp_path / "env" / "site-packages" / "package" / "_extension.so"
    compile_library(
        extension,
        f"-L{outside}",
        "-Wl,--no-as-needed",
        "-lbeside",
        f"-Wl,{tags}",
        "-Wl,-rpath,$ORIGIN/../../../outside",
    )
    assert from_packages(found)["libbeside.so.1"] == str(outside / "libbeside.so.1")


def test_the_variable_counts_and_what_is_nowhere_is_told(tmp_path: Path) -> None:
    found = environment(tmp_path)
    outside = tmp_path / "outside"
    compile_library(outside / "libvariable.so")
    extension = tmp_path / "env" / "site-packages" / "_extension.so"
    compile_library(extension, f"-L{outside}", "-Wl,--no-as-needed", "-lvariable")
    assert from_packages(found)["libvariable.so"] == ""
    assert from_packages(found, {"LD_LIBRARY_PATH": str(outside)})["libvariable.so"] == str(outside / "libvariable.so")


def test_a_copy_that_another_package_brings_is_not_missing(tmp_path: Path) -> None:
    found = environment(tmp_path)
    site = tmp_path / "env" / "site-packages"
    compile_library(site / "other" / "lib" / "libbrought.so.2", "-Wl,-soname,libbrought.so.2")
    (site / "other" / "lib" / "libbrought.so").symlink_to("libbrought.so.2")
    compile_library(site / "_extension.so", f"-L{site}/other/lib", "-Wl,--no-as-needed", "-lbrought")
    assert "libbrought.so.2" not in from_packages(found)


def test_rpath_of_the_loading_object_is_inherited(tmp_path: Path) -> None:
    """An RPATH, unlike a RUNPATH, holds for the libraries of libraries too: ld.so(8)."""
    found = environment(tmp_path)
    deep = tmp_path / "deep"
    compile_library(deep / "libsecond.so")
    compile_library(deep / "libfirst.so", f"-L{deep}", "-Wl,--no-as-needed", "-lsecond")
    links = [f"-L{deep}", "-Wl,--no-as-needed", "-lfirst", f"-Wl,-rpath,{deep}", f"-Wl,-rpath-link,{deep}"]
    extension = tmp_path / "env" / "site-packages" / "_extension.so"
    compile_library(extension, *links, "-Wl,--disable-new-dtags")
    assert from_packages(found)["libsecond.so"] == str(deep / "libsecond.so")
    compile_library(extension, *links, "-Wl,--enable-new-dtags")
    assert from_packages(found)["libsecond.so"] == ""


def test_an_environment_inside_a_folder_on_the_path_is_another_one(tmp_path: Path) -> None:
    """As with `PYTHONPATH=.` in a project whose environment is in `.venv`."""
    project = tmp_path / "project"
    found = replace(environment(tmp_path), paths=[str(project)])
    compile_library(project / "own.so")
    compile_library(project / ".venv" / "lib" / "other.so")
    (project / ".venv" / "pyvenv.cfg").touch()
    assert objects_of(found)[1] == [str(project / "own.so")]


@pytest.mark.parametrize("program", ["/bin/ls", "/bin/bash"])
def test_a_program_brings_what_ldd_says(program: str) -> None:
    text = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    paths = re.findall(r"(/\S+) \(0x", text)
    assert set(closure_of(program, environ={})) == {os.path.realpath(path) for path in paths}


def test_the_cache_is_read_as_ldconfig_prints_it() -> None:
    path = Path("/etc/ld.so.cache")
    printed = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    expected: dict[str, list[str]] = {}
    for name, where in re.findall(r"^\t(\S+) \(.*\) => (\S+)$", printed, re.MULTILINE):
        if "/glibc-hwcaps/" not in where:
            expected.setdefault(name, []).append(where)
    assert read_cache(path.read_bytes()) == expected


@pytest.mark.parametrize(
    "content", [b"", b"x" * 100, b"glibc-ld.so.cache1.1", b"glibc-ld.so.cache1.1\xff\xff\xff\xff" * 9]
)
def test_another_cache_is_empty(content: bytes) -> None:
    assert read_cache(content) == {}


def test_the_floor_is_the_highest_by_number() -> None:
    versions = ["GLIBC_2.9", "GLIBC_2.34", "GLIBC_PRIVATE", "GLIBCXX_3.4.22", "GLIBCXX_3.4.9", "CXXABI_1.3", "OTHER_9"]
    assert floor_of(versions) == Floor(glibc="2.34", glibcxx="3.4.22", cxxabi="1.3")
    assert floor_of([]) == Floor()


def test_the_interpreter_and_its_modules_are_first() -> None:
    found = Environment(executable=sys.executable, prefix=sys.prefix, base_prefix=sys.base_prefix, paths=sys.path[1:])
    own, others = objects_of(found)
    assert own[0] == os.path.realpath(sys.executable)
    assert any("/lib-dynload/_ctypes" in path for path in own)
    assert not set(own) & set(others)
    assert any("msgspec" in path for path in others)


def test_a_damaged_object_is_passed_over(tmp_path: Path) -> None:
    found = environment(tmp_path)
    (tmp_path / "env" / "site-packages" / "broken.so").write_bytes(b"\x7fELF\2\1" + b"\xff" * 90)
    assert from_packages(found) == {}
    assert Loader(environ={}).read(str(tmp_path / "absent.so")) is None
