"""Packing the probe, running it, and telling what is wrong with an interpreter."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envcap.errors import NotRunError
from envcap.probe.handover import decode, pack, probe_host
from envcap.probe.target.frame import frame, unframe


def _program(path: Path, script: str) -> Path:
    path.write_text(script)
    path.chmod(0o755)
    return path


def test_the_packed_probe_is_the_same_every_time_and_plain_text() -> None:
    first = pack()
    pack.cache_clear()
    assert pack() == first
    tree = ast.parse(first.decode("ascii"), feature_version=(3, 6))
    (sources,) = (node.value for node in tree.body if isinstance(node, ast.Assign))
    assert {"envcap_probe", "envcap_probe.program", "pynvml"} <= set(ast.literal_eval(sources))


def test_what_a_container_prints_is_understood(tmp_path: Path) -> None:
    program = tmp_path / "probe.py"
    program.write_bytes(pack())
    done = subprocess.run([sys.executable, "-B", program], capture_output=True, check=True, cwd="/")
    facts = decode(b"noise before" + done.stdout.replace(b"\n", b"\r\n") + b"noise after")
    assert facts == probe_host(Path(sys.executable))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["probe.py"]


def test_links_to_the_interpreter_are_not_followed(environment: Path) -> None:
    facts = probe_host(environment / "bin" / "python")
    assert facts.executable == str(environment / "bin" / "python")
    assert facts.prefix == str(environment)


def test_a_shim_that_runs_an_interpreter_is_as_good(environment: Path, tmp_path: Path) -> None:
    shim = _program(tmp_path / "python3", f'#!/bin/sh\nexec "{environment}/bin/python" "$@"\n')
    assert probe_host(shim).executable == str(environment / "bin" / "python")


def test_python_2_is_refused_by_its_version(tmp_path: Path, old_pythons: list[Path]) -> None:
    said = "-----ENVCAP PYTHON TOO OLD 2.7.18-----"
    stand_in = _program(tmp_path / "python2", f"#!/bin/sh\nprintf '\\n%s\\n' '{said}'\n")
    for python in (stand_in, *old_pythons):
        with pytest.raises(NotRunError, match=r"is Python 2\.7\.\d+, and envcap needs 3\.6 or newer") as caught:
            probe_host(python)
        assert "--python PATH" in caught.value.hint


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("#!/bin/sh\necho hello\n", "printed `hello` instead of facts"),
        ("#!/bin/sh\n", "printed nothing"),
        ("#!/bin/sh\necho it broke >&2\nexit 3\n", "ended with code 3.\n  it broke"),
        ("#!/no/such/interpreter\n", "cannot be started"),
        ("\x7fELF", "cannot be started"),
    ],
)
def test_what_is_no_python_is_told_apart(tmp_path: Path, script: str, message: str) -> None:
    program = _program(tmp_path / "python", script)
    with pytest.raises(NotRunError) as caught:
        probe_host(program)
    assert message in caught.value.message
    assert f"`{program}" in caught.value.message
    assert "--python PATH" in caught.value.hint


def test_a_missing_interpreter_or_a_file_that_is_no_program(tmp_path: Path) -> None:
    (tmp_path / "text").touch(mode=0o644)
    for path, reason in ((tmp_path / "none", "No such file"), (tmp_path / "text", "Permission denied")):
        with pytest.raises(NotRunError, match=reason) as caught:
            probe_host(path)
        assert "--python PATH" in caught.value.hint


def test_an_interpreter_that_crashes_tells_its_last_words(environment: Path, site: Path) -> None:
    (site / "sitecustomize.py").write_text("import os, sys\nsys.stderr.write('last words')\nos._exit(9)\n")
    with pytest.raises(NotRunError, match=r"ended with code 9\.\n  last words"):
        probe_host(environment / "bin" / "python")


@pytest.mark.parametrize("document", ["", "{", "{}", '{"format": "1"}', "null", "\ud800"])
def test_a_document_that_is_none_is_refused(document: str) -> None:
    with pytest.raises(NotRunError, match="cannot be understood"):
        decode(frame(document))


def test_a_document_of_another_format_is_refused(tmp_path: Path) -> None:
    program = tmp_path / "probe.py"
    program.write_bytes(pack())
    printed = subprocess.run([sys.executable, program], capture_output=True, check=True).stdout
    with pytest.raises(NotRunError, match="printed format 99"):
        decode(printed.replace(b'{"format":1,', b'{"format":99,', 1))


@given(before=st.binary(max_size=60), document=st.text(st.characters(exclude_categories=["Cs"])), after=st.binary())
def test_noise_around_the_frame_is_cut_off(before: bytes, document: str, after: bytes) -> None:
    assert unframe(before + frame(document) + after) == document.encode().strip()


@given(st.binary(max_size=200))
def test_rubbish_is_never_taken_for_facts(output: bytes) -> None:
    with pytest.raises(NotRunError):
        decode(output)
