"""The exported requirements: what a reviewer reads, and what pip and pip-tools understand of it."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from envcap.model.lock import Lock, Package, Wheel
from envcap.report.requirements import describe_requirements

replace = msgspec.structs.replace

# pip's own parser in a process of its own: it sets up logging and warns about what is deprecated.
PARSE = """
import json, sys
from pip._internal.network.session import PipSession
from pip._internal.req.constructors import install_req_from_parsed_requirement
from pip._internal.req.req_file import parse_requirements
found = []
for line in parse_requirements(sys.argv[1], session=PipSession()):
    requirement = install_req_from_parsed_requirement(line)
    link = requirement.link.url if requirement.link else str(requirement.req)
    found.append([link, requirement.hash_options])
print(json.dumps(found))
"""


def parsed(text: str, folder: Path) -> list[Any]:
    """Give what pip makes of each requirement: its name or its address, and its hashes."""
    (folder / "requirements.txt").write_text(text)
    command = [sys.executable, "-c", PARSE, "requirements.txt"]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=True)
    found: list[Any] = msgspec.json.decode(done.stdout)
    return found


def package(name: str, **more: Any) -> Package:
    file = f"{name}-1.0-py3-none-any.whl"
    address = f"https://files.example.org/{file}"
    return Package(**{"name": name, "version": "1.0", "wheel": Wheel(name=file, sha256="4" * 64, url=address), **more})


def full(lock: Lock) -> Lock:
    more = [
        package("direct", origin="archive", dependencies=("alpha", "setuptools")),
        package("extra", index="https://extra.example.org/simple/"),
        package("setuptools", index="https://index.example.org/simple/"),
        package("zeta", index="https://index.example.org/simple/", dependencies=("alpha",)),
    ]
    return replace(lock, packages=[*lock.packages, *more])


def test_the_file_is_what_a_reviewer_has_read(sample_lock: Lock, check_golden: Callable[[str, str], None]) -> None:
    check_golden("requirements.txt", describe_requirements(full(sample_lock)))


def test_pip_reads_every_line_with_its_hash(sample_lock: Lock, tmp_path: Path) -> None:
    lock = full(sample_lock)
    for item in lock.packages:
        if item.wheel.path is not None:
            place = tmp_path / item.wheel.path
            place.parent.mkdir(parents=True)
            place.touch()
    found = parsed(describe_requirements(lock), tmp_path)
    carried = (tmp_path / str(lock.packages[1].wheel.path)).as_uri().replace("%2B", "+")
    assert [link.replace("%2B", "+") for link, _ in found] == [
        "alpha==1.0",
        carried,
        "https://files.example.org/direct-1.0-py3-none-any.whl",
        "extra==1.0",
        "zeta==1.0",
        "setuptools==1.0",
    ]
    assert [hashes for _, hashes in found] == [{"sha256": [digit * 64]} for digit in "124444"]


def test_pip_tools_reads_it(sample_lock: Lock, tmp_path: Path) -> None:
    lock = replace(sample_lock, packages=[replace(sample_lock.packages[0], dependencies=())])
    (tmp_path / "requirements.txt").write_text(describe_requirements(lock))
    program = (
        "from pip._internal.network.session import PipSession\n"
        "from piptools._compat.pip_compat import parse_requirements\n"
        "(found,) = parse_requirements('requirements.txt', session=PipSession())\n"
        "print(found.req, found.hash_options['sha256'][0])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert done.split() == ["alpha==1.0", "1" * 64]


@pytest.mark.parametrize("name", ["HOME", "PATH"])
def test_no_variable_of_the_reader_is_expanded(name: str, sample_lock: Lock, tmp_path: Path) -> None:
    """Pip puts variables into requirements files; a lock could send them to its own server."""
    smuggling = f"https://x.example.org/${{{name}}}/'\"a-1.0-py3-none-any.whl"
    bad = package("bad", wheel=Wheel(name="bad-1.0-py3-none-any.whl", sha256="4" * 64, url=smuggling))
    worse = package("worse", index=smuggling)
    text = describe_requirements(replace(sample_lock, packages=[bad, worse]))
    assert "$" not in text
    assert len(parsed(text, tmp_path)) == 2


def test_an_index_that_is_a_folder_is_no_index_option(sample_lock: Lock) -> None:
    for index in ("/wheels here", "file:///wheels", "--trusted-host x"):
        text = describe_requirements(replace(sample_lock, packages=[package("one", index=index)]))
        assert "index-url" not in text
        assert "one @ https://files.example.org/one-1.0-py3-none-any.whl \\\n" in text


def test_a_lock_without_packages_gives_the_header_alone(sample_lock: Lock) -> None:
    text = describe_requirements(replace(sample_lock, packages=[], name="envcap"))
    assert text.splitlines()[-2:] == ["#    envcap export --format requirements", "#"]
