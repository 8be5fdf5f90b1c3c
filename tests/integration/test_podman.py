"""The main job with podman: its own builder gives one image each time, and nothing of it is left behind."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from envcap.engines import podman
from tests.integration.conftest import Envcap
from tests.integration.registry import REGISTRY, kept, remove

# They look for what is left of their tag.
pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("podman")]
PUSHED = "envcap/pod-pushed"


def ask(*words: str) -> str:
    return subprocess.run(["podman", *words], check=True, capture_output=True, text=True).stdout


@pytest.fixture(autouse=True)
def leave_no_podman_images() -> Iterator[None]:
    yield
    for tag in ask("images", "--format", "{{.Repository}}:{{.Tag}}").split():
        if "envcap/pod" in tag:
            ask("rmi", "--force", tag)


@pytest.mark.network
def test_builds_the_same_image_twice_and_verifies_it(shelved: Envcap) -> None:
    """With a wheel and a package of the system, whose steps leave logs and caches with times in them."""
    images = [
        shelved.ok("build", "--engine", "podman", "--no-cache", "--tag", f"envcap/pod:{turn}", "--json").document[
            "image"
        ]
        for turn in range(2)
    ]
    assert images[0]["identity"] == images[1]["identity"]
    assert {image["promise"] for image in images} == {"bit for bit"}
    assert images[0]["builder"].startswith("buildah")
    again = shelved.ok("build", "--engine", "podman", "--tag", "envcap/pod:again", "--json")
    assert "nothing has changed" in again.err
    assert again.document["image"] == {**images[0], "reference": "envcap/pod:again"}
    judged = shelved.ok("verify", "--engine", "podman", "--image", "envcap/pod:1", "--json").document
    assert judged["verdict"] == "IDENTICAL"
    assert [found for found in judged["findings"] if found["fatal"]] == []
    capsule = Path(shelved.ok("pack", "--json").document["capsule"]["path"])
    shelved.ok("build", str(capsule), "--into", "paper", "--engine", "podman", "--tag", "envcap/pod:capsule")
    named = json.loads(ask("image", "inspect", "envcap/pod:capsule"))[0]
    assert f"sha256:{named['Id']}" == images[0]["identity"]


def test_leaves_nothing_when_it_is_stopped(small: Envcap) -> None:
    small.ok("freeze")
    before = containers()
    stopped = small.stop_when("RUN [", "build", "--engine", "podman", "--no-cache", "--tag", "envcap/pod:stopped")
    assert stopped.code == 130, stopped.err
    left = containers() - before
    deadline = time.monotonic() + 300  # its service removes the container after the client is gone; others' go too
    while left and time.monotonic() < deadline:
        time.sleep(0.2)
        left &= containers()
    assert left == set()
    assert "envcap/pod" not in ask("images")
    brings_an_image_to_a_registry(small)


def brings_an_image_to_a_registry(small: Envcap) -> None:
    """Find its layers packed there, and unpacked the same as here."""
    tag = f"{REGISTRY}/{PUSHED}:1"
    pushed = small.ok("build", "--engine", "podman", "--push", "--tag", tag, "--json").document["image"]["pushed"]
    there = kept(PUSHED, "1")
    assert pushed == f"{REGISTRY}/{PUSHED}@{there.digest}"
    assert there.media_types <= {"tar+gzip", "gzip"}
    assert there.diff_ids == json.loads(ask("image", "inspect", tag))[0]["RootFS"]["Layers"]
    remove(PUSHED, there.digest)


def test_starts_a_service_where_none_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(podman, "_address", lambda: None)
    with closing(podman.open_engine(tmp_path)) as engine:
        assert engine.platform.startswith("linux/")
        assert running() == 1
    assert running() == 0


def containers() -> set[str]:
    """List all that podman has, those of its builder too."""
    return set(ask("ps", "--all", "--external", "--quiet").split())


def running() -> int:
    """Count the services that a process of ours started."""
    words = ["pgrep", "--full", "podman.*service.*envcap-podman"]
    return len(subprocess.run(words, check=False, capture_output=True).stdout.split())
