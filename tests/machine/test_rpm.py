"""Owners of files on a system of rpm packages: a package is built and entered into a database of the test's own."""

import subprocess
from pathlib import Path

import pytest

from envcap.machine.rpm import ask_rpm, read_answer

SPEC = """\
Name: capture-example
Version: 1.4
Release: 2.el9
Epoch: 1
Summary: Example
License: none
%description
Example.
%install
mkdir -p %{{buildroot}}{folder}
echo x > %{{buildroot}}{folder}/libexample.so.1.4
ln -s libexample.so.1.4 %{{buildroot}}{folder}/libexample.so.1
%files
{folder}/libexample.so.1.4
{folder}/libexample.so.1
"""


@pytest.mark.engine
def test_the_owner_is_asked_of_rpm_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path.resolve() / "lib"
    folder.mkdir()
    for name in ("libexample.so.1.4", "libother.so.1"):
        (folder / name).touch()
    monkeypatch.setenv("HOME", str(tmp_path))  # where rpm reads a user's own settings
    settings = {"_dbpath": "db", "_topdir": "build", "_rpmdir": "out"}
    text = "".join(f"%{name} {tmp_path / place}\n" for name, place in settings.items())
    (tmp_path / ".rpmmacros").write_text(text)
    (tmp_path / "example.spec").write_text(SPEC.format(folder=folder))
    for words in (["rpmbuild", "-bb", "example.spec"], ["rpm", "--initdb"]):
        subprocess.run(words, cwd=tmp_path, check=True, capture_output=True)
    (built,) = (tmp_path / "out").rglob("*.rpm")
    subprocess.run(["rpm", "--install", "--justdb", "--nodeps", built], check=True, capture_output=True)

    paths = [f"{folder}/libexample.so.1.4", f"{folder}/libother.so.1", "/nowhere/libexample.so.1.4"]
    owner, packages = ask_rpm(paths)
    assert owner == {paths[0]: "capture-example"}
    found = packages["capture-example"]
    assert (found.version, found.architecture) == ("1.4-2.el9", built.name.split(".")[-2])


def test_a_machine_without_rpm_knows_no_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert ask_rpm(["/bin/ls"]) == ({}, {})


@pytest.mark.parametrize("text", ["", "file /x is not owned by any package\n", "a\tb\n", "a\t\tc\n", "a\tb\tc\td\n"])
def test_any_other_answer_is_none(text: str) -> None:
    assert read_answer("glibc\t2.34-100.el9\tx86_64\n") is not None
    assert read_answer(text) is None
