"""Archives with byte code, made by real interpreters, kept in the cache, and joined to layers."""

import io
import marshal
import os
import resource
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from envcap.assemble.bytecode import PROGRAM, Compiler
from envcap.assemble.wheels import AssembledWheels
from envcap.errors import NotRunError
from envcap.model.image import Installation
from envcap.model.progress import say_nothing
from envcap.store import Store, file_sha256

VERSION = "{}.{}.{}".format(*sys.version_info[:3])
SERIES = "python{}.{}".format(*sys.version_info[:2])
INSTALLATION = Installation(prefix="/opt/env", python=VERSION, series=SERIES)
CACHED = f"opt/env/lib/{SERIES}/site-packages/sample/__pycache__/__init__.{sys.implementation.cache_tag}.pyc"


def limited(number: int, value: int) -> Callable[..., str]:
    """Give a compiler whose processes have a limit of the system, on each for itself."""

    def compile_there(files: Mapping[str, bytes], results: Path) -> str:
        for name, content in files.items():
            (results / name).write_bytes(content)
        done = subprocess.run(
            [sys.executable, PROGRAM],
            cwd=results,
            env={**os.environ, "TMPDIR": str(results)},
            preexec_fn=lambda: resource.setrlimit(number, (value, value)),
            check=False,
            capture_output=True,
            text=True,
        )
        assert not [path for path in results.iterdir() if path.is_dir()], "the scratch folder is left"
        if done.returncode != 0:
            raise NotRunError(done.stderr)
        return done.stdout

    return compile_there


# A process that may write no file so large, as on a full disk; and one that the system kills for what it takes.
LIMITS = {
    "it ended with code 1": (resource.RLIMIT_FSIZE, 1 << 16, "'" + "x" * (1 << 17) + "'\n"),
    "it was ended by signal": (resource.RLIMIT_CPU, 1, "x = [" + "[0, y]," * 800_000 + "]\n"),
}


@pytest.mark.parametrize("end", LIMITS)
def test_a_process_that_fails_spoils_nothing(end: str, make_wheel: Any, tmp_path: Path) -> None:
    """Its byte code would be missing in every image of every project, and nobody would know."""
    number, value, source = LIMITS[end]
    wheel = make_wheel({"sample/large.py": source})
    cache = AssembledWheels(Store(tmp_path / "cache"))
    compiler = Compiler(name="tests", run=limited(number, value))
    with pytest.raises(NotRunError, match=f"a process that compiles failed: {end}"):
        cache.assemble({file_sha256(wheel): wheel}, INSTALLATION, compiler=compiler, tell=say_nothing)
    assert cache.find(file_sha256(wheel), INSTALLATION) is None
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


@pytest.mark.parametrize("content", ["", "less"], ids=["no archive", "too little"])
def test_what_compiles_less_than_it_was_given_is_noticed(content: str, make_wheel: Any, tmp_path: Path) -> None:
    wheel = make_wheel()

    def forget(files: Mapping[str, bytes], results: Path) -> str:
        said = compile_here(files, results)
        with tarfile.open(results / "bytecode.tar") as archive:
            members = [member for member in archive if "sample_speed" not in member.name]
        with tarfile.open(results / "bytecode.tar", "w") as archive:
            for member in members:
                archive.addfile(member, io.BytesIO(bytes(member.size)))
        if not content:
            (results / "bytecode.tar").write_bytes(b"")
        return said

    with pytest.raises(NotRunError, match="sample_speed` among them" if content else "cannot be read"):
        AssembledWheels(Store(tmp_path / "cache")).assemble(
            {file_sha256(wheel): wheel}, INSTALLATION, compiler=Compiler(name="tests", run=forget), tell=say_nothing
        )


def compile_here(files: Mapping[str, bytes], results: Path) -> str:
    for name, content in files.items():
        (results / name).write_bytes(content)
    return subprocess.run([sys.executable, PROGRAM], cwd=results, check=True, capture_output=True, text=True).stdout


def assemble(wheel: Path, cache: Path) -> Path:
    made = AssembledWheels(Store(cache)).assemble(
        {file_sha256(wheel): wheel}, INSTALLATION, compiler=Compiler(name="tests", run=compile_here), tell=say_nothing
    )
    return made[file_sha256(wheel)]


def content_of(archive: Path, name: str) -> bytes:
    with tarfile.open(archive) as members:
        file = members.extractfile(name)
        assert file is not None
        return file.read()


def names(archive: Path) -> list[str]:
    with tarfile.open(archive) as members:
        return members.getnames()


def test_modules_have_byte_code_that_is_not_checked_against_them(make_wheel: Any, tmp_path: Path) -> None:
    archive = assemble(make_wheel(), tmp_path / "cache")
    compiled = content_of(archive, CACHED)
    assert int.from_bytes(compiled[4:8], "little") == 0b01  # PEP 552: by hash, unchecked
    assert marshal.loads(compiled[16:]).co_filename == f"/opt/env/lib/{SERIES}/site-packages/sample/__init__.py"  # noqa: S302
    assert [name for name in names(archive) if "old" in name] == [f"opt/env/lib/{SERIES}/site-packages/sample/old.py"]
    assert not [name for name in names(archive) if name.startswith("opt/env/bin/") and "__pycache__" in name]


def test_the_tests_of_a_package_have_no_byte_code(make_wheel: Any, tmp_path: Path) -> None:
    modules = ["sample/tests/test_all.py", "sample/core/test/__init__.py", "sample/testing.py", "sample/test.py"]
    archive = assemble(make_wheel(dict.fromkeys(modules, "VALUE = 1\n")), tmp_path / "cache")
    compiled = {Path(name).name.split(".")[0] for name in names(archive) if name.endswith(".pyc")}
    assert compiled == {"__init__", "testing", "test", "sample_speed"}
    assert not [name for name in names(archive) if "tests/__pycache__" in name or "test/__pycache__" in name]
    assert {f"opt/env/lib/{SERIES}/site-packages/{name}" for name in modules} < set(names(archive))


def test_the_same_bytes_whatever_is_around(make_wheel: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = assemble(make_wheel(), tmp_path / "cache").read_bytes()
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    monkeypatch.chdir(tmp_path)
    time.tzset()
    before = os.umask(0o077)
    try:
        second = assemble(make_wheel(folder="elsewhere"), tmp_path / "other").read_bytes()
    finally:
        os.umask(before)
        monkeypatch.undo()
        time.tzset()
    assert first == second


def test_a_wheel_is_assembled_once_for_each_python(make_wheel: Any, tmp_path: Path) -> None:
    wheel = make_wheel()
    sha256 = file_sha256(wheel)
    cache = AssembledWheels(Store(tmp_path / "cache"))
    assert cache.find(sha256, INSTALLATION) is None
    made = assemble(wheel, tmp_path / "cache")
    assert cache.find(sha256, INSTALLATION) == made
    other = Installation(prefix="/opt/env", python="3.99.0", series="python3.99")
    assert cache.find(sha256, other) is None
    made.write_bytes(made.read_bytes()[:-1])
    assert cache.find(sha256, INSTALLATION) is None, "a damaged one is not used"
    assert not [path for path in (tmp_path / "cache").iterdir() if "assembling" in path.name]


def test_the_python_that_compiles_must_be_the_frozen_one(make_wheel: Any, tmp_path: Path) -> None:
    cache = AssembledWheels(Store(tmp_path / "cache"))
    wheel = make_wheel()
    other = Installation(prefix="/opt/env", python="3.99.0", series="python3.99")
    with pytest.raises(NotRunError, match=rf"is `{VERSION}`, and the environment was frozen with Python `3.99.0`"):
        cache.assemble(
            {file_sha256(wheel): wheel}, other, compiler=Compiler(name="tests", run=compile_here), tell=say_nothing
        )
    assert cache.find(file_sha256(wheel), other) is None


def test_without_an_interpreter_there_is_no_byte_code(make_wheel: Any, tmp_path: Path) -> None:
    wheel = make_wheel()
    made = AssembledWheels(Store(tmp_path / "cache")).assemble(
        {file_sha256(wheel): wheel}, INSTALLATION, compiler=None, tell=say_nothing
    )
    assert not [name for name in names(made[file_sha256(wheel)]) if name.endswith(".pyc")]


def test_what_a_module_becomes_does_not_depend_on_other_wheels(make_wheel: Any, tmp_path: Path) -> None:
    """Names that other modules of the process hold are written in another way by marshal."""
    alone = content_of(assemble(make_wheel(), tmp_path / "first"), CACHED)
    crowd = {f"sample/a{number}.py": "VALUE = main = 'sample'\nprint = {'a', 'b'}\n" for number in range(20)}
    first, second = make_wheel(crowd, folder="crowd"), make_wheel()
    cache = AssembledWheels(Store(tmp_path / "second"))
    compiler = Compiler(name="tests", run=compile_here)
    wheels = {"first": first, "second": second}
    made = cache.assemble(wheels, INSTALLATION, compiler=compiler, tell=say_nothing)
    assert content_of(made["second"], CACHED) == alone


def test_what_another_interpreter_made_is_not_taken(make_wheel: Any, tmp_path: Path) -> None:
    """A base image comes from a lock, which may be anybody's."""
    wheel = make_wheel()
    assemble(wheel, tmp_path / "cache")
    other = msgspec.structs.replace(INSTALLATION, compiled_by="example.org/python@sha256:0")
    assert AssembledWheels(Store(tmp_path / "cache")).find(file_sha256(wheel), other) is None


@pytest.mark.parametrize("name", ["../outside.pyc", "{wheel}/opt/env/bin/__pycache__/x.pyc", "{wheel}/etc/passwd"])
def test_only_byte_code_is_taken_from_an_interpreter(name: str, make_wheel: Any, tmp_path: Path) -> None:
    wheel = make_wheel()
    sha256 = file_sha256(wheel)

    def lie(files: Mapping[str, bytes], results: Path) -> str:
        with tarfile.open(results / "bytecode.tar", "w") as archive:
            archive.addfile(tarfile.TarInfo(name.format(wheel=sha256)))
        return f'envcap-python "{VERSION}"\n'

    with pytest.raises(NotRunError, match="which is none"):
        AssembledWheels(Store(tmp_path / "cache")).assemble(
            {sha256: wheel}, INSTALLATION, compiler=Compiler(name="tests", run=lie), tell=say_nothing
        )


def test_archives_are_joined_by_their_bytes(make_wheel: Any, tmp_path: Path) -> None:
    one = assemble(make_wheel(), tmp_path / "cache")
    two = assemble(make_wheel({"sample/more.py": "MORE = 1\n"}), tmp_path / "cache")
    assembled = AssembledWheels(Store(tmp_path / "cache"))
    layer = assembled.layer([one, two])
    with tarfile.open(layer) as members:
        assert members.getnames() == [*names(one), *names(two)]
    assert layer.stat().st_size == one.stat().st_size + two.stat().st_size - 1024
    assert assembled.layer([one]) == one
    before = layer.stat()
    again = assembled.layer([one, two]).stat()
    assert (again.st_ino, again.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)  # a builder knows it by that
    assert assembled.layer([two, one]) != layer
