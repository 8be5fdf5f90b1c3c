"""What `envcap build` refuses before it reads a lock or asks an engine."""

import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from envcap import lockfile
from envcap.build import BuildRequest, build
from envcap.commands.companions import Companions
from envcap.errors import NotRunError, WrongUsageError
from envcap.model.lock import Lock, Package, Wheel
from envcap.model.progress import say_nothing


def refusal(**changes: Any) -> str:
    with pytest.raises(WrongUsageError) as refused:
        build(BuildRequest(**{"project": Path("nowhere"), **changes}), environ={}, tell=say_nothing)
    return f"{refused.value.message} {refused.value.hint}"


def test_a_secret_is_for_a_portable_build(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.touch()
    assert "portable build alone" in refusal(secrets={"ca": file})
    assert "portable build alone" in refusal(secrets={"ca": file}, portable=True, output=tmp_path / "out")
    assert "There is: ca, netrc, pip, snapshot" in refusal(secrets={"key": file}, portable=True)
    assert "no file" in refusal(secrets={"ca": tmp_path}, portable=True)
    with_comma = tmp_path / "a,type=env"  # a further option, where the client reads it
    with_comma.touch()
    assert "no file" in refusal(secrets={"ca": with_comma}, portable=True)


def test_a_push_needs_an_image_and_a_place(tmp_path: Path) -> None:
    assert "--tag registry.example.org/NAME:TAG" in refusal(push=True)
    assert "`--output` makes none" in refusal(push=True, tag="example.org/one:1", output=tmp_path / "out")
    assert "`--engine venv` makes none" in refusal(push=True, tag="example.org/one:1", engine="venv")
    for tag in ("plain:1", "example.org/Upper:1", "example.org/one@sha256:0", "example.org/one:", "-x/one", "a/b c"):
        assert "no image in a registry" in refusal(push=True, tag=tag)
    for tag in ("127.0.0.1:5000/one", "example.org/group/one__two-3:v1.0", "account/one:1"):
        with pytest.raises(WrongUsageError, match="There is no lock"):  # it went on to the lock
            build(BuildRequest(project=Path("nowhere"), push=True, tag=tag), environ={}, tell=say_nothing)


def test_a_lock_for_another_processor_is_refused_before_anything_is_fetched(tmp_path: Path, sample_lock: Lock) -> None:
    other = "linux/arm64" if platform.machine() == "x86_64" else "linux/amd64"
    base = msgspec.structs.replace(sample_lock.base, platform=other)
    hardware = msgspec.structs.replace(sample_lock.hardware, gpus=[])
    lock = msgspec.structs.replace(sample_lock, name="envcap", base=base, hardware=hardware)
    lockfile.write(lockfile.dump(lock), lockfile.lock_path(tmp_path, "envcap"))
    before = sorted(tmp_path.rglob("*"))
    request = BuildRequest(project=tmp_path, engine="venv", frozen_code=True)
    with pytest.raises(NotRunError, match=f"The lock is for `{other}`") as refused:
        build(request, environ={"ENVCAP_CACHE": str(tmp_path / "cache")}, tell=say_nothing)
    assert "DOCKER_HOST" in refused.value.hint
    assert sorted(tmp_path.rglob("*")) == before


def test_a_portable_build_needs_the_engine_that_hands_secrets_in() -> None:
    assert "not with `venv`" in refusal(portable=True, engine="venv")


def test_what_lies_beside_an_image_is_checked_before_it_is_built(tmp_path: Path) -> None:
    for sbom in (tmp_path, tmp_path / "none" / "sbom.json"):
        with pytest.raises(WrongUsageError, match="cannot be written"):
            Companions(sbom=sbom, provenance=None, only_context=False)
    with pytest.raises(WrongUsageError, match="is about an image"):
        Companions(sbom=None, provenance=tmp_path / "provenance.json", only_context=True)


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("13.0.48", "the driver `570.86.10` is too old for CUDA 13.0 (`nvidia-cuda-runtime 13.0.48`)"),
        ("11.7.99", "CUDA 11.7 (`nvidia-cuda-runtime 11.7.99`) has no code for `NVIDIA H100 80GB HBM3"),
    ],
)
def test_a_gpu_that_cannot_run_it_is_named_before_anything_is_built(
    version: str, words: str, sample_lock: Lock, nvml: Path, tmp_path: Path
) -> None:
    file = f"nvidia_cuda_runtime-{version}-py3-none-manylinux_2_17_x86_64.whl"
    wheel = Wheel(name=file, url=f"https://files.example.org/{file}", sha256="1" * 64)
    lock = msgspec.structs.replace(
        sample_lock, packages=[Package(name="nvidia-cuda-runtime", version=version, wheel=wheel)]
    )
    (tmp_path / "pylock.train.toml").write_bytes(lockfile.dump(lock))
    command = [sys.executable, "-m", "envcap", "build", "--name", "train", "--frozen-code"]
    environ = {**os.environ, "LD_LIBRARY_PATH": str(nvml), "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    said = " ".join(done.stderr.split())
    assert f"This machine cannot run what was frozen: {words}" in said
    assert "Install a newer driver" in said
