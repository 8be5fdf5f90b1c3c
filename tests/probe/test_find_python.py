"""Which interpreter is meant: the one asked for, the active environment's, the first on the PATH, never our own."""

import os
import sys
from pathlib import Path

import pytest

from envcap.errors import WrongUsageError
from envcap.probe.handover import find_python


def _shim(folder: Path, target: str | Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "python3"
    path.write_text(f'#!/bin/sh\nexec "{target}" "$@"\n')
    path.chmod(0o755)
    return path


def test_the_active_environment_comes_first(environment: Path, tmp_path: Path) -> None:
    _shim(tmp_path / "bin", sys.executable)
    environ = {"VIRTUAL_ENV": str(environment), "CONDA_PREFIX": "/conda", "PATH": str(tmp_path / "bin")}
    assert find_python(None, environ) == environment / "bin" / "python"
    del environ["VIRTUAL_ENV"]
    environ["CONDA_PREFIX"] = str(environment)
    assert find_python(None, environ) == environment / "bin" / "python"


def test_the_first_on_the_path_comes_last(environment: Path, tmp_path: Path) -> None:
    shim = _shim(tmp_path / "shims", environment / "bin" / "python")
    folders = [tmp_path / "none", shim.parent, environment / "bin"]
    assert find_python(None, {"PATH": os.pathsep.join(map(str, folders))}) == shim
    (shim.parent / "python3").rename(shim.parent / "python")
    assert find_python(None, {"PATH": str(shim.parent)}) == shim.parent / "python"


def test_an_interpreter_that_cannot_say_its_prefix_is_left_to_the_probe(tmp_path: Path) -> None:
    shim = _shim(tmp_path, "/no/such/python")
    assert find_python(None, {"PATH": str(tmp_path)}) == shim


@pytest.mark.parametrize("variable", ["VIRTUAL_ENV", "CONDA_PREFIX"])
def test_our_own_environment_is_not_taken_unasked(variable: str) -> None:
    with pytest.raises(WrongUsageError, match="envcap itself is installed in") as caught:
        find_python(None, {variable: sys.prefix})
    assert "--python" in caught.value.hint
    assert "pipx install envcap" in caught.value.hint


def test_our_own_environment_is_not_taken_from_the_path(tmp_path: Path) -> None:
    shim = _shim(tmp_path, sys.executable)
    with pytest.raises(WrongUsageError, match="envcap itself is installed in"):
        find_python(None, {"PATH": str(tmp_path)})
    with pytest.raises(WrongUsageError, match="envcap itself is installed in"):
        find_python(None, {"PATH": str(Path(sys.executable).parent)})
    assert find_python(shim, {}) == shim


def test_an_environment_that_shares_our_interpreter_is_another_one(environment: Path) -> None:
    python = environment / "bin" / "python"
    assert python.resolve() == Path(sys.executable).resolve()
    assert find_python(None, {"VIRTUAL_ENV": str(environment)}) == python


def test_the_base_of_our_own_environment_is_another_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shim = _shim(tmp_path, sys.executable)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert find_python(None, {"PATH": str(tmp_path)}) == shim


def test_an_explicit_choice_may_be_a_file_a_folder_or_a_name(
    environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = environment / "bin" / "python"
    assert find_python(environment, {}) == python
    assert find_python(python, {}) == python
    assert find_python(Path("python3"), {"PATH": str(environment / "bin")}) == environment / "bin" / "python3"
    assert find_python(Path(sys.prefix), {}) == Path(sys.prefix, "bin", "python")
    monkeypatch.chdir(environment.parent)
    assert find_python(Path("environment"), {}) == python
    assert find_python(Path("environment/bin/python"), {}) == python


def test_a_choice_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none", Path("no-such-python")):
        with pytest.raises(WrongUsageError) as caught:
            find_python(path, {"PATH": str(tmp_path)})
        assert caught.value.hint


def test_no_environment_at_all_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(WrongUsageError, match="No Python environment is active") as caught:
        find_python(None, {"PATH": str(tmp_path)})
    assert "--python PATH" in caught.value.hint


def test_an_environment_that_was_removed_is_not_passed_over(tmp_path: Path) -> None:
    with pytest.raises(WrongUsageError, match="VIRTUAL_ENV") as caught:
        find_python(None, {"VIRTUAL_ENV": str(tmp_path / "gone"), "PATH": os.environ["PATH"]})
    assert "unset" in caught.value.hint
