"""A wheel becomes the files that installing it leaves: all in place, RECORD right, nothing outside, the same bytes."""

import base64
import csv
import hashlib
import io
import tarfile
from pathlib import Path
from typing import Any

import pytest

from envcap.assemble.archive import LayerArchive
from envcap.assemble.wheel import script_names, write_wheel
from envcap.errors import NotRunError, RefusedError
from envcap.model.image import Installation
from envcap.model.layout import EPOCH

INSTALLATION = Installation(prefix="/opt/env", python="3.11.7", series="python3.11")
SITE = "opt/env/lib/python3.11/site-packages"


def assembled(wheel: Path, installation: Installation = INSTALLATION) -> bytes:
    stream = io.BytesIO()
    archive = LayerArchive(stream)
    write_wheel(wheel, archive, installation)
    archive.close()
    return stream.getvalue()


def members(content: bytes) -> dict[str, tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return {
            member.name: (member, file.read() if (file := archive.extractfile(member)) is not None else b"")
            for member in archive
        }


def test_every_file_is_where_an_installer_puts_it(make_wheel: Any) -> None:
    found = members(assembled(make_wheel()))
    files = {name for name, (member, _) in found.items() if member.isfile()}
    assert files == {
        f"{SITE}/sample/__init__.py",
        f"{SITE}/sample/old.py",
        f"{SITE}/sample/table.txt",
        f"{SITE}/sample_speed.py",
        *(
            f"{SITE}/sample-1.0.dist-info/{name}"
            for name in ("entry_points.txt", "INSTALLER", "METADATA", "RECORD", "WHEEL")
        ),
        "opt/env/bin/sample",
        "opt/env/bin/run-sample",
        "opt/env/bin/plain.sh",
        "opt/env/share/sample/readme",
        "opt/env/include/site/python3.11/sample/sample.h",
    }
    assert found["opt/env/bin/sample"][1].startswith(b"#!/opt/env/bin/python\n")
    assert found["opt/env/bin/run-sample"][1] == b"#!/opt/env/bin/python\nprint('run')\n"
    assert found["opt/env/bin/plain.sh"][1].startswith(b"#!/bin/sh\n")
    programs = {name for name, (member, _) in found.items() if member.isfile() and member.mode == 0o755}
    assert programs == {"opt/env/bin/sample", "opt/env/bin/run-sample", "opt/env/bin/plain.sh"}


def test_every_folder_is_named_before_what_is_in_it_and_all_have_one_time_and_owner(make_wheel: Any) -> None:
    found = members(assembled(make_wheel()))
    seen: set[str] = set()
    for name, (member, _) in found.items():
        parent = str(Path(name).parent)
        assert parent == "." or parent in seen
        seen.add(name)
        assert (member.mtime, member.uid, member.gid, member.uname, member.gname) == (EPOCH, 0, 0, "", "")
        assert member.mode in {0o755, 0o644}


def test_record_has_every_file_with_its_digest(make_wheel: Any) -> None:
    found = members(assembled(make_wheel()))
    rows = list(csv.reader(io.StringIO(found[f"{SITE}/sample-1.0.dist-info/RECORD"][1].decode())))
    assert rows[-1] == ["sample-1.0.dist-info/RECORD", "", ""]
    recorded = {str(Path("/", SITE, name).resolve()).lstrip("/"): (hash_, size) for name, hash_, size in rows[:-1]}
    files = {name: content for name, (member, content) in found.items() if member.isfile()}
    assert set(recorded) == set(files) - {f"{SITE}/sample-1.0.dist-info/RECORD"}
    for name, (hash_, size) in recorded.items():
        expected = base64.urlsafe_b64encode(hashlib.sha256(files[name]).digest()).rstrip(b"=").decode()
        assert (hash_, int(size)) == (f"sha256={expected}", len(files[name]))


@pytest.mark.parametrize(
    "name",
    [
        "../outside.py",
        "sample/../../outside.py",
        "/etc/outside",
        "sample//twice.py",
        "sample/\nline.py",
        "sample-1.0.data/data/../../outside",
        "sample-1.0.data/scripts/../../../outside",
        "sample-1.0.data/elsewhere/file",
        "sample-1.0.data/data/pyvenv.cfg",
        "sample-1.0.data/scripts/python3.11",
    ],
)
def test_a_file_that_is_not_of_the_environment_is_refused(name: str, make_wheel: Any) -> None:
    with pytest.raises(RefusedError, match="is no wheel that can be installed"):
        assembled(make_wheel({name: "x"}))


def test_an_entry_point_that_leads_elsewhere_is_refused(make_wheel: Any) -> None:
    points = "[console_scripts]\n../../outside = sample:main\n"
    with pytest.raises(RefusedError, match="is not the name of a file"):
        assembled(make_wheel({"sample-1.0.dist-info/entry_points.txt": points}))


def test_what_is_no_wheel_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sample-1.0-py3-none-any.whl"
    path.write_bytes(b"no archive")
    with pytest.raises(RefusedError, match=r"sample-1\.0-py3-none-any\.whl"):
        assembled(path)


def test_a_folder_never_takes_the_place_of_the_link_lib64(make_wheel: Any) -> None:
    found = members(assembled(make_wheel({"sample-1.0.data/data/lib64/pkgconfig/x.pc": "x"})))
    assert "opt/env/lib/pkgconfig/x.pc" in found
    assert "opt/env/lib64" not in found


def test_a_package_for_another_python_is_named(make_wheel: Any) -> None:
    with pytest.raises(NotRunError, match=r"`sample` 1.0 needs Python `>=3.12`, and the image has `3.11.7`"):
        assembled(make_wheel(requires=">=3.12"))
    assert assembled(make_wheel(requires="not a version"))


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("pip", ["pip", "pip3", "pip3.12"]),
        ("pip3", []),
        ("pip3.8", []),
        ("easy_install", ["easy_install", "easy_install-3.12"]),
        ("easy_install-3.6", []),
        ("pipx", ["pipx"]),
        ("tool", ["tool"]),
    ],
)
def test_pips_scripts_carry_the_version(name: str, names: list[str]) -> None:
    assert script_names(name, "3.12.1") == names
