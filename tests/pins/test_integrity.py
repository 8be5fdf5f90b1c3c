"""Every installed file against its RECORD, and what becomes of a package whose files were changed."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from envcap.pins.configuration import Configuration, place
from envcap.pins.damage import Damage
from envcap.pins.integrity import check_files
from envcap.pins.pip import Pinned, pin
from envcap.pins.unowned import unlooked_gaps
from envcap.store import STORE_FOLDER, Store

if TYPE_CHECKING:
    from tests.pins.conftest import Environment, Index, MakeWheel

FILES: dict[str, str | bytes] = {
    "demo_data/__init__.py": "a = 1\nb = 2\n",
    "demo_data/fast.so": b"\x7fELF\0\1\2",
    "demo-1.0.data/scripts/demo-run": "#!python\nprint(1)\n",
    "demo-1.0.dist-info/entry_points.txt": "[console_scripts]\ndemo = demo:main\n",
}


def damages(environment: Environment) -> dict[str, Damage]:
    found = check_files(environment.facts().distributions, tell=lambda _: None)
    return {Path(path).name.partition("-")[0]: damage for path, damage in found.items()}


def install(environment: Environment, *wheels: Path) -> None:
    environment.install(*(wheel.name.split("-")[0] for wheel in wheels), options=("-f", str(wheels[0].parent)))


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_what_an_installer_leaves_is_in_order(environment: Environment, make_wheel: MakeWheel, installer: str) -> None:
    wheel = make_wheel("demo", "1.0", files=FILES)
    if installer == "uv":
        environment.install(wheel, options=("--compile-bytecode",))
    else:
        environment.pip(wheel)
    assert damages(environment) == {}


def test_every_kind_of_damage_is_named(environment: Environment, make_wheel: MakeWheel) -> None:
    install(environment, make_wheel("demo", "1.0", files=FILES))
    site = environment.site
    (site / "demo_data" / "__init__.py").write_text("a = 1\nb = 3\n")  # of the same size
    (site / "demo_data" / "fast.so").write_bytes(b"\x7fELF\0\1\2\3")
    (site / "demo.py").unlink()
    (site / "demo_data" / "sub").mkdir()
    (site / "demo_data" / "sub" / "mine.py").write_text("")
    (site / "demo_data" / "notes.txt").write_text("")
    script = environment.folder / "bin" / "demo-run"
    script.write_text(script.read_text().replace("print(1)", "print(2)"))
    assert damages(environment) == {
        "demo": Damage(
            edited=["../../../bin/demo-run", "demo_data/__init__.py", "demo_data/fast.so"],
            missing=["demo.py"],
            added=["demo_data/notes.txt", "demo_data/sub/mine.py"],
        )
    }


def test_a_script_that_an_old_pip_rewrote_is_in_order(environment: Environment, make_wheel: MakeWheel) -> None:
    install(environment, make_wheel("demo", "1.0", files=FILES))
    record = environment.site / "demo-1.0.dist-info" / "RECORD"
    rows = [line for line in record.read_text().splitlines() if "demo-run" not in line]
    plain = b"#!python\nprint(1)\n"
    digest = hashlib.sha256(plain).digest()
    coded = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    rows += [f"../../../bin/demo-run,sha256={coded},{len(plain)}", "demo.py,,", rows[0]]
    record.write_text("\n".join(rows) + "\n")
    assert damages(environment) == {}


def test_a_file_of_two_packages(environment: Environment, make_wheel: MakeWheel) -> None:
    first = make_wheel("first", "1.0", files={"space/__init__.py": "", "space/a.py": "", "space/same.py": "s"})
    second = make_wheel("second", "1.0", files={"space/__init__.py": "x = 1\n", "space/b.py": "", "space/same.py": "s"})
    install(environment, first)
    install(environment, second)
    assert damages(environment) == {"first": Damage(replaced=["space/__init__.py"])}
    (environment.site / "space" / "__init__.py").write_text("x = 2\n")
    assert {name: damage.edited for name, damage in damages(environment).items()} == {
        "first": ["space/__init__.py"],
        "second": ["space/__init__.py"],
    }


def pinned_in(environment: Environment, folder: Path, index: Index) -> Pinned:
    configuration = Configuration(indexes=[place(index.simple)], retries=1, timeout=5.0)
    store, cache = Store(folder / STORE_FOLDER), Store(folder / "cache" / "files")
    return pin(environment.facts(), configuration=configuration, store=store, cache=cache, tell=lambda _: None)


def test_an_edited_package_is_carried_with_a_patch_that_applies(
    environment: Environment, index: Index, make_wheel: MakeWheel, tmp_path: Path
) -> None:
    wheel = make_wheel("demo", "1.0", files=FILES)
    index.add(wheel)
    install(environment, wheel)
    edited = environment.site / "demo_data" / "__init__.py"
    edited.write_text("a = 1\nb = 3")  # and no newline at its end
    (environment.site / "demo_data" / "fast.so").write_bytes(b"\0other")
    script = environment.folder / "bin" / "demo-run"
    script.write_text(script.read_text().replace("print(1)", "print(2)"))
    pinned = pinned_in(environment, tmp_path / "lock", index)
    (package,), (gap,) = pinned.packages, pinned.gaps
    assert (package.origin, package.confidence) == ("repacked", "carried")
    assert "edited after the installation: 3 files, `../../../bin/demo-run`, `demo_data/__init__.py`" in gap.reason
    assert "the result may depend on what was changed" in gap.consequence
    with zipfile.ZipFile(tmp_path / "lock" / str(package.wheel.path)) as carried:
        assert carried.read("demo_data/__init__.py") == edited.read_bytes()

    (patch,) = (tmp_path / "lock" / STORE_FOLDER).glob("*/demo-1.0.patch")
    assert f"{STORE_FOLDER}/{patch.parent.name}/demo-1.0.patch" in gap.reason
    digest = hashlib.sha256(b"\0other").hexdigest()
    assert f"installed 6 bytes, sha256 {digest}" in patch.read_text()
    with zipfile.ZipFile(wheel) as published:
        published.extractall(tmp_path / "unpacked")
    subprocess.run(["git", "apply", str(patch)], cwd=tmp_path / "unpacked", check=True)
    assert (tmp_path / "unpacked" / "demo_data" / "__init__.py").read_bytes() == edited.read_bytes()
    unpacked = tmp_path / "unpacked" / "demo-1.0.data" / "scripts" / "demo-run"
    assert unpacked.read_text() == "#!python\nprint(2)\n"
    assert pinned_in(environment, tmp_path / "lock", index) == pinned


def test_half_uninstalled_and_unowned_are_gaps(
    environment: Environment, index: Index, make_wheel: MakeWheel, tmp_path: Path
) -> None:
    wheels = [make_wheel("demo", "1.0", files=FILES), make_wheel("other", "1.0", files={"other_more/a.py": ""})]
    for wheel in wheels:
        index.add(wheel)
    install(environment, *wheels)
    (environment.site / "demo.py").unlink()
    (environment.site / "other_more" / "stray.py").write_text("")
    pinned = pinned_in(environment, tmp_path, index)
    assert [(one.name, one.confidence) for one in pinned.packages] == [("demo", "carried"), ("other", "proven")]
    assert "half uninstalled: 1 file, `demo.py`" in pinned.gaps[0].reason
    assert pinned.gaps[1].reason.endswith("files that no package installed: 1 file, `other_more/stray.py`")


def test_what_was_added_to_an_edited_package_goes_along_and_into_the_patch(
    environment: Environment, index: Index, make_wheel: MakeWheel, tmp_path: Path
) -> None:
    files = {**FILES, "demo_data/old.py": "x = 1\n", "demo_data/empty.py": "", "space/a.py": ""}
    wheels = [make_wheel("demo", "1.0", files=files), make_wheel("other", "1.0", files={"space/b.py": ""})]
    for wheel in wheels:
        index.add(wheel)
    install(environment, *wheels)
    site = environment.site
    (site / "demo_data" / "__init__.py").write_text("from demo_data import mine\n")
    (site / "demo_data" / "mine.py").write_text("ANSWER = 42\n")
    (site / "demo_data" / "blank.py").write_text("")
    (site / "demo_data" / "table.bin").write_bytes(b"\0\1")
    (site / "demo_data" / "link.py").symlink_to("mine.py")
    (site / "demo_data" / "server.pem").write_text("secret")
    (site / "demo_data" / "old.py").unlink()
    (site / "demo_data" / "empty.py").unlink()
    (site / "space" / "shared.py").write_text("")  # nobody can tell whose it is
    pinned = pinned_in(environment, tmp_path / "lock", index)
    package = next(one for one in pinned.packages if one.name == "demo")
    assert package.edits is not None
    assert package.edits.paths == tuple(
        f"demo_data/{name}" for name in ("__init__.py", "blank.py", "empty.py", "mine.py", "old.py", "table.bin")
    )
    with zipfile.ZipFile(tmp_path / "lock" / str(package.wheel.path)) as carried:
        names = set(carried.namelist())
        assert carried.read("demo_data/mine.py") == b"ANSWER = 42\n"
    assert names >= {"demo_data/blank.py", "demo_data/table.bin", "space/a.py"}
    assert not names & {"demo_data/old.py", "demo_data/link.py", "demo_data/server.pem", "space/shared.py"}
    assert {name for gap in pinned.gaps for name in ("link.py", "server.pem", "shared.py") if name in gap.reason}

    (patch,) = (tmp_path / "lock" / STORE_FOLDER).glob("*/demo-1.0.patch")
    assert patch.parent.name == package.edits.patch
    with zipfile.ZipFile(wheels[0]) as published:
        published.extractall(tmp_path / "unpacked")
    subprocess.run(["git", "apply", str(patch)], cwd=tmp_path / "unpacked", check=True)
    for name in ("__init__.py", "blank.py", "mine.py"):
        assert (tmp_path / "unpacked/demo_data" / name).read_bytes() == (site / "demo_data" / name).read_bytes()
    assert not (tmp_path / "unpacked/demo_data/old.py").exists()
    assert not (tmp_path / "unpacked/demo_data/empty.py").exists()


def test_a_package_without_a_record_hides_only_its_own_folders(environment: Environment, make_wheel: MakeWheel) -> None:
    install(environment, make_wheel("demo", "1.0", files={**FILES, "shared/a.py": ""}))
    egg = environment.site / "silent-1.0.egg-info"
    egg.mkdir()
    (egg / "PKG-INFO").write_text("Metadata-Version: 1.0\nName: silent\nVersion: 1.0\n")
    (egg / "top_level.txt").write_text("shared\n")
    for path in ("demo_data/stray.py", "shared/stray.py"):
        (environment.site / path).write_text("")
    assert damages(environment)["demo"].unowned == ["demo_data/stray.py"]
    assert unlooked_gaps(environment.facts().distributions) == []
    (egg / "top_level.txt").unlink()
    assert damages(environment) == {}
    (gap,) = unlooked_gaps(environment.facts().distributions)
    assert (gap.subject, gap.reason[:29]) == ("silent==1.0", "it left no list of its files ")
    (egg / "installed-files.txt").write_text("../shared/b.py\nPKG-INFO\n")
    assert damages(environment)["demo"].unowned == ["demo_data/stray.py"]
