"""A capsule builds and verifies where there is no network and no registry, and the base image is gone."""

import secrets
import tarfile
from pathlib import Path

import docker
import pytest

from envcap.engines.base_image import save_base, write_load_archive
from envcap.model.lock import Base
from envcap.pins.base_files import held_parts
from tests.integration.builds import (
    build_and_verify_alone,
    pack_with_packages,
    python_image,
    run_alone,
)
from tests.integration.conftest import Envcap
from tests.integration.registry import REGISTRY


@pytest.fixture
def lonely_base(tmp_path: Path) -> str:
    """Put a base image into the engine under a name that no registry has; the one who removes it cannot get it back."""
    client = docker.from_env()
    reference = python_image(client)
    digest = client.images.get(reference).attrs["RepoDigests"][0].rpartition("@")[2]
    base = Base(reference=reference, digest=digest)
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    assert save_base(client, base, blobs)
    parts = held_parts(base, blobs)
    assert parts is not None
    name = f"lonely-{secrets.token_hex(4)}:1"
    with (tmp_path / "base.tar").open("w+b") as archive:
        write_load_archive(archive, parts, blobs, name=f"docker.io/library/{name}", tag=name)
        archive.seek(0)
        client.images.load(archive)
    client.close()
    return name


@pytest.mark.engine
def test_from_the_capsule_alone(shelved: Envcap, lonely_base: str, tmp_path: Path) -> None:
    """With a wheel and a package of the system, which no archive and no index are there to give again."""
    client = docker.from_env()
    shelved.ok("freeze", "--base", lonely_base)
    capsule = pack_with_packages(shelved)
    client.images.remove(lonely_base, force=True)
    try:
        build_and_verify_alone(shelved, capsule, tmp_path)
        again = run_alone(shelved, tmp_path, "build", str(capsule), "--into", "paper")
        assert (again.returncode, "not an empty folder" in again.stderr) == (2, True)
        blob = next((tmp_path / "paper" / ".envcap" / "base" / "blobs" / "sha256").iterdir())
        blob.write_bytes(b"{}")
        damaged = run_alone(shelved, tmp_path, "build", "--project", "paper")
        assert damaged.returncode == 5, damaged.stderr
    finally:
        for image in client.api.images():  # not one by one: other tests remove theirs meanwhile
            for tag in image.get("RepoTags") or []:
                if tag.startswith(lonely_base):
                    client.images.remove(tag, force=True, noprune=True)
        client.close()


@pytest.mark.engine
def test_takes_a_base_from_its_registry(small: Envcap) -> None:
    """Where the engine has it no more, and knows it under another name only."""
    client = docker.from_env()
    name = f"{REGISTRY}/envcap-tests/base"
    client.images.get(python_image(client)).tag(name, "1")
    try:
        assert '"error"' not in client.images.push(name, tag="1")
        small.ok("freeze", "--base", f"{name}:1")
    finally:
        client.images.remove(f"{name}:1", force=True, noprune=True)
        client.close()
    packed = small.ok("pack", "--json")
    assert "fetching the base image" in packed.err
    with tarfile.open(packed.document["capsule"]["path"]) as archive:
        names = archive.getnames()
    blobs = [one for one in names if one.startswith(".envcap/base/blobs/sha256/")]
    assert len(blobs) > 4  # an index or a manifest, a configuration, layers
