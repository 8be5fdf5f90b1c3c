"""The main job where no container engine runs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from envcap import lockfile

NO_DOCKER = {"DOCKER_HOST": "unix:///nowhere/docker.sock", "CONTAINER_HOST": "unix:///nowhere/podman.sock"}


@pytest.mark.network
@pytest.mark.xdist_group("digits")
def test_the_number_comes_back_and_the_verdict_says_what_was_not_rebuilt(
    digits: Any, demonstrate: Callable[[], Any]
) -> None:
    """Through the example's own script, which makes its environment once."""
    digits.environ.update(NO_DOCKER)
    shown = demonstrate()
    assert shown.code == 0, shown.out + shown.err
    assert "making the example's environment" not in shown.out
    assert "Going on with the embedded `venv` engine" in shown.err
    words = ["freeze --python .venv", "build", "verify"]
    assert [line for line in shown.out.splitlines() if line.startswith("$ ")] == [f"$ envcap {one}" for one in words]
    verdict = shown.out.partition("$ envcap verify\n")[2]
    assert verdict.startswith("IDENTICAL")
    assert "the operating system, its libraries and the driver were not rebuilt" in verdict
    lock, _ = lockfile.read(digits.project / "pylock.envcap.toml")
    assert [gap.where for gap in lock.gaps] == ["base"]

    program = digits.project / "evaluate.py"
    program.write_text(program.read_text().replace("REGULARISATION = 0.05", "REGULARISATION = 0.5"))
    refused = digits("verify")
    assert refused.code == 5
    assert "`evaluate.py` was changed" in refused.err


def test_data_that_changed_are_refused(small: Any, tmp_path: Path) -> None:
    """One input lies within another, and a link leads out of both: the engine lays them where they were."""
    (small.project / "data").mkdir()
    (small.project / "data" / "rows.csv").write_text("1\n2\n")
    (small.project / "data" / "broken").symlink_to("nowhere")
    (tmp_path / "outside.csv").write_text("3\n")
    (small.project / "data" / "linked.csv").symlink_to(tmp_path / "outside.csv")
    program = small.project / "evaluate.py"
    program.write_text(program.read_text() + "assert pathlib.Path('data/linked.csv').read_text() == '3\\n'\n")
    small.ok("freeze", "--data", "data", "--data", "data/rows.csv")
    assert "data/broken" in small.ok("show").out
    small.ok("build", "--engine", "venv")
    assert small("verify", "--engine", "venv").code == 0
    (small.project / "data" / "rows.csv").write_text("1\n3\n")
    refused = small("verify", "--engine", "venv")
    assert refused.code == 5
    assert "`data` was changed" in refused.err
    assert "changed: `rows.csv`" in refused.err


def test_within_a_stated_tolerance_is_equivalent(small: Any) -> None:
    program = small.project / "evaluate.py"
    program.write_text(
        program.read_text().replace("0.5 * FACTOR", "0.5 + 1e-9 * ('envcap-run-' in __import__('os').getcwd())")
    )
    configuration = small.project / "envcap.toml"
    configuration.write_text(configuration.read_text() + "[tolerance]\nscore = { absolute = 1e-6 }\n")
    small.ok("freeze")
    refused = small("build", "--engine", "venv", "--platform", "linux/s390x")
    assert (refused.code, "`linux/s390x` was asked for" in refused.err) == (3, True)
    small.ok("build", "--engine", "venv")
    verified = small("verify", "--engine", "venv")
    assert verified.code == 0
    assert verified.out.startswith("EQUIVALENT")
    assert "score: 1e-06\n    the tolerance stated when it was frozen" in verified.out


def test_a_reviewer_needs_only_the_lock_and_its_store(small: Any, tmp_path: Any) -> None:
    """The lock and `.envcap` are copied to an empty folder: the code comes out of the store."""
    small.ok("freeze")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (small.project / "pylock.envcap.toml").rename(elsewhere / "pylock.envcap.toml")
    (small.project / ".envcap").rename(elsewhere / ".envcap")
    small.project = elsewhere
    small.ok("build", "--engine", "venv")
    assert small("verify", "--engine", "venv").out.startswith("IDENTICAL")
