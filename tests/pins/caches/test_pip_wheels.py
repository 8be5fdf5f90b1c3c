"""Wheels that pip built and kept: only one whose contents are installed says what the installed one is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from envcap.pins.caches.pip_wheels import PipWheels
from envcap.pins.pages import Wanted
from envcap.pins.record import installed_rows

if TYPE_CHECKING:
    from tests.pins.conftest import Environment, MakeWheel

SIX = Wanted(name="six", version="1.0")


@pytest.mark.parametrize(
    ("origin", "said"),
    [
        (
            {"url": "https://u:s3cret@files.example.org/six.tar.gz", "archive_info": {"hashes": {"sha256": "a" * 64}}},
            f"https://files.example.org/six.tar.gz (sha256 {'a' * 64})",
        ),
        (
            {"url": "https://git.example.org/six", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
            "https://git.example.org/six at commit abc",
        ),
        ([], "a source that pip did not note down"),
        ({"url": 1, "archive_info": 2}, "a source that pip did not note down"),
    ],
)
def test_the_origin_of_the_installed_one_is_given(
    environment: Environment, make_wheel: MakeWheel, tmp_path: Path, origin: object, said: str
) -> None:
    kept = make_wheel("six", "1.0", folder=tmp_path / "wheels" / "1a" / "2b" / "3c" / "4d")
    kept.with_name("origin.json").write_text(json.dumps(origin))
    environment.install(kept)
    installed = installed_rows(environment.site / "six-1.0.dist-info")
    wheels = PipWheels(tmp_path / "wheels")
    assert wheels.built_from(SIX, installed) == said
    assert wheels.built_from(Wanted(name="six", version="1.1"), installed) is None
    assert wheels.built_from(SIX, {**installed, "more.py": "sha256=x"}) is None
