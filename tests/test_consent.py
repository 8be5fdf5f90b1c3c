"""Who may let a lock run: who wrote it, who confirms it, or `--trust`."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from envcap import lockfile
from envcap.consent import Consent, require_consent, write_own
from envcap.errors import RefusedError
from envcap.model.lock import Lock, Toolkit
from envcap.model.progress import Progress, say_nothing
from envcap.report.intention import Intention, describe_intention

DIGEST = "a" * 64
DOCKER = Intention(verb="build", engine="docker")


def test_without_anything_told_nothing_runs(sample_lock: Lock) -> None:
    with pytest.raises(RefusedError, match="nobody is here"):
        require_consent(Consent(), sample_lock, DIGEST, DOCKER, tell=say_nothing)


@pytest.mark.parametrize(("answer", "refused"), [(False, "not confirmed"), (None, "nobody is here"), (True, "")])
def test_only_a_yes_is_remembered(answer: Any, refused: str, sample_lock: Lock, tmp_path: Path) -> None:
    consent = Consent(ask=lambda _: answer, known=tmp_path / "locks")
    silent = Consent(known=tmp_path / "locks")
    if not refused:
        require_consent(consent, sample_lock, DIGEST, DOCKER, tell=say_nothing)
        require_consent(silent, sample_lock, DIGEST, DOCKER, tell=say_nothing)
        return
    with pytest.raises(RefusedError, match=refused):
        require_consent(consent, sample_lock, DIGEST, DOCKER, tell=say_nothing)
    with pytest.raises(RefusedError):
        require_consent(silent, sample_lock, DIGEST, DOCKER, tell=say_nothing)


def test_a_yes_to_little_is_none_to_more(sample_lock: Lock, tmp_path: Path) -> None:
    """What was confirmed in a container does not run without one, nor with the network."""
    known = tmp_path / "locks"
    contained = Intention(verb="verify", engine="docker")
    require_consent(Consent(ask=lambda _: True, known=known), sample_lock, DIGEST, contained, tell=say_nothing)
    require_consent(Consent(known=known), sample_lock, DIGEST, DOCKER, tell=say_nothing)
    for more in (
        Intention(verb="verify", engine="venv"),
        Intention(verb="verify", engine="docker", network=True),
        Intention(verb="build", engine="docker", link_scripts=True),
    ):
        with pytest.raises(RefusedError, match="nobody is here"):
            require_consent(Consent(known=known), sample_lock, DIGEST, more, tell=say_nothing)


def test_trust_does_not_go_on_without_a_container_unasked(sample_lock: Lock) -> None:
    consent = Consent(trusted=True)
    with pytest.raises(RefusedError, match="no engine that could contain it"):
        require_consent(consent, sample_lock, DIGEST, Intention(verb="verify", engine="venv"), tell=say_nothing)
    named = Intention(verb="verify", engine="venv", chosen="venv")
    require_consent(consent, sample_lock, DIGEST, named, tell=say_nothing)


def test_trust_is_for_one_command_and_shows_the_lock(sample_lock: Lock, tmp_path: Path) -> None:
    told: list[Progress] = []
    require_consent(Consent(trusted=True, known=tmp_path / "locks"), sample_lock, DIGEST, DOCKER, tell=told.append)
    assert any("command:" in one.text for one in told)
    with pytest.raises(RefusedError):
        require_consent(Consent(known=tmp_path / "locks"), sample_lock, DIGEST, DOCKER, tell=say_nothing)


def test_a_lock_written_here_runs_without_a_question(sample_lock: Lock, tmp_path: Path) -> None:
    environ = {"ENVCAP_STATE": str(tmp_path / "state")}
    sha256 = write_own(lockfile.dump(sample_lock), tmp_path / "pylock.train.toml", environ=environ, tell=say_nothing)
    require_consent(Consent(known=tmp_path / "state" / "locks"), sample_lock, sha256, DOCKER, tell=say_nothing)


def test_a_folder_that_cannot_remember_stops_nothing(sample_lock: Lock, tmp_path: Path) -> None:
    told: list[Progress] = []
    environ = {"ENVCAP_STATE": "/dev/null/state"}
    write_own(lockfile.dump(sample_lock), tmp_path / "pylock.train.toml", environ=environ, tell=told.append)
    assert "will ask about this lock" in told[0].text


def test_what_is_shown(sample_lock: Lock) -> None:
    shown = "\n".join(describe_intention(sample_lock, Intention(verb="verify", engine="docker", network=True)))
    for part in ("python", "sha256:", "data (3 files, 4,096 bytes)", "`--network`", "beta_tools-2.1", "example.org"):
        assert part in shown, part
    assert "libgomp1_12.2.0-14_amd64.deb" in shown
    alone = "\n".join(describe_intention(sample_lock, Intention(verb="verify", engine="venv")))
    assert "does not contain it" in alone
    assert "as root" not in alone


def test_nvidias_image_is_shown_where_it_is_run(sample_lock: Lock, toolkit: Toolkit) -> None:
    line = f"runs in a stage of the build: {toolkit.image.reference} (sha256:{'6' * 64})"
    lock = msgspec.structs.replace(sample_lock, toolkit=toolkit)
    assert line in describe_intention(lock, DOCKER)
    assert line not in describe_intention(sample_lock, DOCKER)
    assert line not in describe_intention(lock, Intention(verb="build", engine="venv"))
