"""The main job where the engine keeps images as most did before Docker 29: its classic store, without containerd's."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from docker.errors import DockerException

from envcap.engines.base_image import has_containerd_store
from tests.conftest import CLASSIC
from tests.integration.builds import (
    UP,
    base_in_registry,
    build_and_verify_alone,
    build_twice_at_once,
    pack_with_packages,
    slow_step,
    without_buildx,
)
from tests.integration.conftest import EngineState, Envcap
from tests.integration.registry import REGISTRY, remove

# One of them kills the engine.
pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("classic")]
PID = Path(CLASSIC.removeprefix("unix://")).with_suffix(".pid")
NAME = f"envcap/classic-{os.getpid()}"  # other runs of these tests may use the engine too


@pytest.fixture
def clean_environ(clean_environ: dict[str, str]) -> dict[str, str]:
    """Have the commands find the second engine that `tests/engine/up` starts, and see that it is as it must be."""
    environ = {**clean_environ, "DOCKER_HOST": CLASSIC}
    try:
        client = docker.from_env(environment=environ)
        told = client.info()
        client.close()
    except DockerException as error:
        pytest.fail(f"`{CLASSIC}` does not answer, tests/engine/up starts it: {error}")
    assert not has_containerd_store(told)
    return environ


@pytest.mark.network
def test_the_main_road(shelved: Envcap, engine_client: docker.DockerClient, tmp_path: Path) -> None:
    """One image id with BuildKit, and the same layers with every builder and in either store."""
    first, older, elsewhere = (f"{NAME}:{name}" for name in ("first", "older", "elsewhere"))
    build = ("build", "--engine", "docker", "--json")
    document = shelved.ok(*build, "--no-cache", "--tag", first).document
    built = document["image"]
    assert (built["promise"], built["digest_of"], built["note"]) == ("bit for bit", "configuration", None)
    assert built["size"] == sum(layer["size"] for layer in document["layers"])
    verified = shelved.ok("verify", "--engine", "docker", "--image", first, "--json").document
    assert verified["verdict"] == "IDENTICAL"

    pushed = f"{REGISTRY}/{NAME}"
    again = shelved.ok(*build, "--no-cache", "--push", "--tag", f"{pushed}:1").document["image"]
    engine_client.images.remove(f"{pushed}:1")
    assert again["identity"] == built["identity"]
    name, _, digest = again["pushed"].partition("@")
    assert name == pushed
    remove(NAME, digest)

    path = without_buildx(tmp_path / "programs", shelved.environ["PATH"])
    by_classic = shelved.ok(*build, "--tag", older, env={"PATH": path}).document["image"]
    assert (by_classic["promise"], by_classic["digest_of"]) == ("same content", "configuration")
    own = {"DOCKER_HOST": os.environ.get("DOCKER_HOST", "")}
    in_containerd = shelved.ok(*build, "--no-cache", "--tag", elsewhere, env=own).document["image"]
    assert in_containerd["digest_of"] == "manifest"

    layers = layers_of(engine_client, built["identity"])
    other_engine = docker.from_env()
    assert layers_of(other_engine, elsewhere) == layers
    other_engine.close()
    # BuildKit makes an empty layer for the folder that WORKDIR names, the classic builder none.
    fewer = layers_of(engine_client, older)
    assert fewer == layers[: len(fewer)]
    assert len(layers) - len(fewer) <= 1


def layers_of(client: docker.DockerClient, reference: str) -> list[str]:
    layers: list[str] = client.images.get(reference).attrs["RootFS"]["Layers"]
    return layers


@pytest.fixture
def no_bases_left(engine_client: docker.DockerClient) -> Iterator[None]:
    """Remove the bases that capsules brought."""
    before = bases(engine_client)
    yield
    for reference in bases(engine_client) - before:
        engine_client.images.remove(reference, force=True)


def bases(client: docker.DockerClient) -> set[str]:
    return {tag for image in client.images.list("envcap/base") for tag in image.tags}


@pytest.mark.network
@pytest.mark.usefixtures("no_bases_left")
def test_from_the_capsule_alone(shelved: Envcap, engine_client: docker.DockerClient, tmp_path: Path) -> None:
    """The builder is told the loaded base by another name than the lock's, whose digest this store does not know."""
    with base_in_registry(engine_client, "LABEL lonely=yes") as base:
        identity = engine_client.images.get(base).id
        shelved.ok("freeze", "--base", base)
        capsule = pack_with_packages(shelved)
    assert not [image for image in engine_client.images.list(all=True) if image.id == identity]
    build_and_verify_alone(shelved, capsule, tmp_path)
    assert [image for image in engine_client.images.list("envcap/base") if image.id == identity]


def test_leaves_nothing_behind(
    small: Envcap, engine_client: docker.DockerClient, engine_state: EngineState, tmp_path: Path
) -> None:
    """Of a build that fails or is stopped within a step, with either builder; then two at once succeed."""
    before = engine_state.look()
    words = ("build", "--engine", "docker", "--no-cache")
    with base_in_registry(engine_client, slow_step('raise SystemExit("nothing goes")')) as base:
        small.ok("freeze", "--base", base)
        for buildkit in ("1", "0"):
            small.environ["DOCKER_BUILDKIT"] = buildkit
            failed = small(*words)
            assert failed.code == 3
            assert "The build failed in `RUN [" in failed.err
            assert "nothing goes" in failed.err
            stopped = small.stop_when("RUN [", *words)
            assert stopped.code == 130, stopped.err
    del small.environ["DOCKER_BUILDKIT"]
    assert engine_state.left_since(before, tags=True) == set()
    assert list((tmp_path / "scratch").iterdir()) == []
    small.ok("freeze")
    build_twice_at_once(small)


# What is said last, whether BuildKit builds, and what is said of it.
MOMENTS = {
    "before BuildKit begins": ("building `", "1", "The build ended before its first step: Cannot connect"),
    "within a step": ("RUN [", "1", "The build ended after `RUN ["),
    "within a step of the classic builder": ("RUN [", "0", "The build failed in `RUN ["),
}


def test_an_engine_that_is_killed(small: Envcap, engine_client: docker.DockerClient, engine_state: EngineState) -> None:
    """As by a machine that is short of memory. With the engine the build is back, and nothing was left."""
    with base_in_registry(engine_client, slow_step("pass")) as base:
        small.ok("freeze", "--base", base)
        for moment, (sign, buildkit, message) in MOMENTS.items():
            small.environ["DOCKER_BUILDKIT"] = buildkit
            killed = small.act_when(sign, kill_engine, "build", "--engine", "docker", "--no-cache")
            assert killed.code == 3, f"{moment}: {killed.err}"
            assert message in killed.err, f"{moment}: {killed.err}"
            subprocess.run([UP], check=True, timeout=120)
            small.ok("build", "--engine", "docker")
    assert engine_state.left_since(set()) == set()
    assert list((small.project.parent / "scratch").iterdir()) == []


def kill_engine(_: object) -> None:
    os.kill(int(PID.read_text()), signal.SIGKILL)
