"""Installed files back into a wheel: the same bytes each time, and installable by others."""

from __future__ import annotations

import csv
import hashlib
import os
import platform
import py_compile
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from installer import install
from installer.destinations import SchemeDictionaryDestination
from installer.sources import WheelFile
from packaging.utils import parse_wheel_filename

from envcap.model.facts import Distribution
from envcap.pins.integrity import check_files
from envcap.pins.record import installed_rows, same_contents, wheel_rows
from envcap.pins.repack import CannotRepackError, repack
from envcap.store import Store

if TYPE_CHECKING:
    from tests.pins.conftest import Environment, MakeWheel

FILES: dict[str, str | bytes] = {
    "demo_pkg/__init__.py": "",
    "demo_pkg/data.bin": bytes(range(256)) * 20,
    "demo_pkg/ein, zwei.txt": "comma",
    "demo-1.0.data/scripts/demo-run": "#!python\nimport sys\nsys.stdout.write(sys.prefix)\n",
    "demo-1.0.data/scripts/demo-shell": "#!/bin/sh\necho shell\n",
    "demo-1.0.data/data/share/demo/x.txt": "x",
    "demo-1.0.dist-info/entry_points.txt": "[console_scripts]\ndemo = demo:main\n[gui_scripts]\nDemo-Gui = demo:main\n",
}


def only(environment: Environment) -> Distribution:
    (distribution,) = environment.facts().distributions
    return distribution


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_a_wheel_comes_back(environment: Environment, make_wheel: MakeWheel, tmp_path: Path, installer: str) -> None:
    wheel = make_wheel("demo", "1.0", files=FILES)
    if installer == "uv":
        environment.install(wheel, options=("--compile-bytecode",))
    else:
        environment.pip(wheel)
    made = repack(only(environment), prefix=environment.folder, store=Store(tmp_path / "store"))
    assert made.name == wheel.name
    path = tmp_path / "store" / made.sha256 / made.name
    assert (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()) == (made.size, made.sha256)
    with zipfile.ZipFile(path) as back, zipfile.ZipFile(wheel) as original:
        assert sorted(back.namelist()) == sorted(original.namelist())
        for name in set(back.namelist()) - {"demo-1.0.dist-info/RECORD"}:
            assert back.read(name) == original.read(name), name
    assert [entry.name for entry in (tmp_path / "store").iterdir()] == [made.sha256]


def test_the_same_bytes_twice_whatever_the_times_and_modes(
    environment: Environment, make_wheel: MakeWheel, tmp_path: Path
) -> None:
    tags = (f"py3-none-linux_{platform.machine()}",)
    environment.install(make_wheel("demo", "1.0", files=FILES, build="3", tags=tags))
    first = repack(only(environment), prefix=environment.folder, store=Store(tmp_path / "one"))
    for path in environment.site.rglob("*"):
        os.utime(path, (1, 1))
        if path.is_file():
            path.chmod(0o600)
    assert repack(only(environment), prefix=environment.folder, store=Store(tmp_path / "two")) == first
    assert parse_wheel_filename(first.name)[2] == (3, "")


def test_pip_and_the_installer_library_accept_it(
    environment: Environment, make_wheel: MakeWheel, tmp_path: Path
) -> None:
    environment.install(make_wheel("demo", "1.0", files=FILES))
    (environment.site / "demo.py").write_text("VERSION = 'edited'\ndef main(): pass\n")
    store = Store(tmp_path / "store")
    made = repack(only(environment), prefix=environment.folder, store=store)
    path = store.path(made.sha256, made.name)
    target = tmp_path / "target"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--target", str(target)]
    done = subprocess.run([*pip, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "edited" in (target / "demo.py").read_text()
    scheme = {name: str(tmp_path / "scheme" / name) for name in ("purelib", "platlib", "headers", "scripts", "data")}
    destination = SchemeDictionaryDestination(scheme, interpreter=sys.executable, script_kind="posix")
    with WheelFile.open(path) as source:
        source.validate_record()
        install(source, destination, additional_metadata={})
    scripts = tmp_path / "scheme" / "scripts"
    assert sorted(script.name for script in scripts.iterdir()) == ["Demo-Gui", "demo", "demo-run", "demo-shell"]
    assert (scripts / "demo-run").read_text().startswith(f"#!{sys.executable}\n")
    assert (scripts / "demo-shell").read_text() == "#!/bin/sh\necho shell\n"
    assert (tmp_path / "scheme" / "data" / "share" / "demo" / "x.txt").read_text() == "x"


def test_the_long_way_to_name_an_interpreter_is_undone(
    environment: Environment, make_wheel: MakeWheel, tmp_path: Path
) -> None:
    environment.install(make_wheel("demo", "1.0", files=FILES))
    script = environment.folder / "bin" / "demo-run"
    script.write_text(f"#!/bin/sh\n'''exec' '{environment.python}' \"$0\" \"$@\"\n' '''\nimport sys\n")
    store = Store(tmp_path / "store")
    made = repack(only(environment), prefix=environment.folder, store=store)
    with zipfile.ZipFile(store.path(made.sha256, made.name)) as archive:
        assert archive.read("demo-1.0.data/scripts/demo-run") == b"#!python\nimport sys\n"


def _append_record(environment: Environment, row: str) -> None:
    record = environment.site / "demo-1.0.dist-info" / "RECORD"
    record.write_text(record.read_text() + row + "\n")


@pytest.mark.parametrize("row", ["../../../../outside.txt,,", "/etc/passwd,,", "../../../../../../../../etc/passwd,,"])
def test_files_outside_the_environment_are_refused(
    environment: Environment, make_wheel: MakeWheel, tmp_path: Path, row: str
) -> None:
    environment.install(make_wheel("demo", "1.0"))
    (tmp_path / "outside.txt").write_text("secret")
    _append_record(environment, row)
    with pytest.raises(CannotRepackError, match="outside the environment"):
        repack(only(environment), prefix=environment.folder, store=Store(tmp_path / "store"))
    assert not list((tmp_path / "store").glob("*"))


def test_links_count_only_within_the_environment(
    environment: Environment, make_wheel: MakeWheel, tmp_path: Path
) -> None:
    environment.install(make_wheel("demo", "1.0"))
    (environment.site / "link.py").symlink_to("demo.py")
    _append_record(environment, "link.py,,")
    store = Store(tmp_path / "store")
    made = repack(only(environment), prefix=environment.folder, store=store)
    with zipfile.ZipFile(store.path(made.sha256, made.name)) as archive:
        assert archive.read("link.py") == archive.read("demo.py")
    (tmp_path / "outside.txt").write_text("secret")
    (environment.site / "link.py").unlink()
    (environment.site / "link.py").symlink_to(tmp_path / "outside.txt")
    with pytest.raises(CannotRepackError, match="a link out of the environment"):
        repack(only(environment), prefix=environment.folder, store=store)


def test_what_cannot_be_carried_says_why(environment: Environment, make_wheel: MakeWheel, tmp_path: Path) -> None:
    environment.install(make_wheel("demo", "1.0"))
    store = Store(tmp_path / "store")
    info = environment.site / "demo-1.0.dist-info"
    (environment.site / "demo.py").unlink()
    with pytest.raises(CannotRepackError, match=r"demo\.py` is gone"):
        repack(only(environment), prefix=environment.folder, store=store)
    (environment.site / "demo.py").mkdir()
    with pytest.raises(CannotRepackError, match="not a regular file"):
        repack(only(environment), prefix=environment.folder, store=store)
    (environment.site / "demo.py").rmdir()
    (info / "RECORD").write_text("demo-1.0.dist-info/METADATA,,\n")
    (info / "WHEEL").unlink()
    with pytest.raises(CannotRepackError, match="no WHEEL file"):
        repack(only(environment), prefix=environment.folder, store=store)
    (info / "RECORD").unlink()
    with pytest.raises(CannotRepackError, match="no RECORD"):
        repack(only(environment), prefix=environment.folder, store=store)
    assert not list((tmp_path / "store").glob("*"))


def test_a_name_that_is_not_utf_8_cannot_be_carried(
    environment: Environment, make_wheel: MakeWheel, tmp_path: Path
) -> None:
    environment.install(make_wheel("demo", "1.0"))
    (environment.site / os.fsdecode(b"caf\xe9.txt")).write_text("x")
    with (environment.site / "demo-1.0.dist-info" / "RECORD").open("ab") as record:
        record.write(b"caf\xe9.txt,,\n")
    with pytest.raises(CannotRepackError, match="not UTF-8"):
        repack(only(environment), prefix=environment.folder, store=Store(tmp_path / "store"))


def test_a_version_that_no_wheel_can_have_cannot_be_carried(tmp_path: Path) -> None:
    info = tmp_path / "demo-so new.dist-info"
    info.mkdir()
    (info / "RECORD").write_text("demo-so new.dist-info/RECORD,,\n")
    strange = Distribution(name="demo", version="so new", path=str(info), layout="dist-info", tags=["py3-none-any"])
    with pytest.raises(CannotRepackError, match="name and version"):
        repack(strange, prefix=tmp_path, store=Store(tmp_path / "store"))


NAMES = st.text(
    alphabet=st.characters(codec="utf-8", exclude_characters="/\0\\", exclude_categories=["Cs"]),
    min_size=1,
    max_size=20,
).filter(lambda name: name not in {".", "..", "__pycache__"} and not name.endswith((".pyc", ".pyo")))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=st.dictionaries(NAMES, st.binary(max_size=2000), max_size=5))
def test_any_files_are_kept_as_they_are(files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> None:
    prefix = tmp_path_factory.mktemp("prefix")
    site = prefix / "lib" / "python3.11" / "site-packages"
    info = site / "demo-1.0.dist-info"
    (site / "demo").mkdir(parents=True)
    info.mkdir()
    rows = [
        ["demo-1.0.dist-info/WHEEL", "", ""],
        ["demo-1.0.dist-info/RECORD", "", ""],
        ["demo-1.0.dist-info/INSTALLER", "", ""],
    ]
    for name, content in files.items():
        (site / "demo" / name).write_bytes(content)
        rows.append([f"demo/{name}", "", ""])
    (info / "WHEEL").write_text("Tag: py3-none-any\n")
    (info / "INSTALLER").write_text("somebody")
    with (info / "RECORD").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    distribution = Distribution(name="demo", version="1.0", path=str(info), layout="dist-info", tags=["py3-none-any"])
    store = Store(prefix / "store")
    made = repack(distribution, prefix=prefix, store=store)
    assert repack(distribution, prefix=prefix, store=store) == made
    with store.path(made.sha256, made.name).open("rb") as file:
        stated = wheel_rows(file)
    with zipfile.ZipFile(store.path(made.sha256, made.name)) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    assert {name.removeprefix("demo/"): content for name, content in held.items() if name.startswith("demo/")} == files
    assert set(stated) == set(held)
    assert "demo-1.0.dist-info/INSTALLER" not in held


def test_addresses_in_the_metadata_lose_their_logins(
    environment: Environment, make_wheel: MakeWheel, tmp_path: Path
) -> None:
    address = "https://user:c4n4ry@example.org/other.whl"
    metadata = (
        f"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\nRequires-Dist: other @ {address}\nHome-page: {address}\n"
    )
    files = {"demo-1.0.dist-info/METADATA": metadata, "demo-1.0.dist-info/licenses/NOTE": f"see {address}\n"}
    environment.install(make_wheel("demo", "1.0", files=files))
    made = repack(only(environment), prefix=environment.folder, store=Store(tmp_path / "store"))
    with zipfile.ZipFile(tmp_path / "store" / made.sha256 / made.name) as wheel:
        assert b"Requires-Dist: other @ https://example.org/other.whl\n" in wheel.read("demo-1.0.dist-info/METADATA")
        assert not any(b"c4n4ry" in wheel.read(name) for name in wheel.namelist())
    environment.pip(tmp_path / "store" / made.sha256 / made.name)


def test_a_package_without_sources_keeps_its_code(
    environment: Environment, make_wheel: MakeWheel, tmp_path: Path
) -> None:
    source = tmp_path / "code.py"
    source.write_text("ANSWER = 42\n")
    py_compile.compile(str(source), cfile=str(tmp_path / "code.pyc"), doraise=True)
    code = (tmp_path / "code.pyc").read_bytes()
    files: dict[str, str | bytes] = {"closed/__init__.pyc": code, "demo.py": "import closed\nVERSION = '1.0'\n"}
    wheel = make_wheel("demo", "1.0", files=files)
    other = make_wheel("demo", "1.0", files={**files, "closed/__init__.pyc": code + b"\0"}, folder=tmp_path / "other")
    environment.install(wheel)
    rows = installed_rows(environment.site / "demo-1.0.dist-info")
    assert same_contents(rows_of(wheel), rows)
    assert not same_contents(rows_of(other), rows)
    assert check_files(environment.facts().distributions, tell=lambda _: None) == {}
    made = repack(only(environment), prefix=environment.folder, store=Store(tmp_path / "store"))
    path = tmp_path / "store" / made.sha256 / made.name
    environment.pip(path)
    subprocess.run([environment.python, "-c", "import demo; assert demo.closed.ANSWER == 42"], check=True)
    (environment.site / "closed/__init__.pyc").write_bytes(b"edited")
    (damage,) = check_files(environment.facts().distributions, tell=lambda _: None).values()
    assert damage.edited == ["closed/__init__.pyc"]


def rows_of(wheel: Path) -> dict[str, str]:
    with wheel.open("rb") as file:
        return wheel_rows(file)
