"""An evaluation that links to a CUDA of the system: the image has it from NVIDIA's, and the number comes back."""

import io
import platform
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from tests.integration.conftest import KEPT, Envcap
from tests.integration.registry import REGISTRY, remove

pytestmark = [pytest.mark.engine, pytest.mark.network]

REPOSITORY, TAG = "nvidia/cuda", "12.8.1-base-ubuntu22.04"
LIBRARIES = "cuda-12.8/targets/x86_64-linux/lib"
CALLER = "int cudaRuntimeGetVersion(int *); int version(void) { int v = 0; cudaRuntimeGetVersion(&v); return v; }"
PROGRAM = """\
import ctypes, json, pathlib
kernels = ctypes.CDLL("./libkernels.so")
pathlib.Path("metrics.json").write_text(json.dumps({"version": kernels.version()}))
"""


@pytest.fixture(scope="module")
def runtime() -> bytes:
    """Give the real CUDA runtime, out of its wheel."""
    folder = KEPT / "cuda-runtime"
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
    if not list(folder.glob("*.whl")):
        subprocess.run([*pip, "nvidia-cuda-runtime-cu12==12.8.90"], check=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        return wheel.read("nvidia/cuda_runtime/lib/libcudart.so.12")


@pytest.fixture(scope="module")
def cuda_image(runtime: bytes) -> Iterator[None]:
    """See to it that the engine has NVIDIA's image: the real one, or a stand-in with the real library."""
    client = docker.from_env()
    name = f"{REGISTRY}/{REPOSITORY}"
    digest = None
    had = bool(client.images.list(f"{REPOSITORY}:{TAG}"))
    try:
        client.images.pull(REPOSITORY, tag=TAG)
    except docker.errors.APIError:
        client.images.build(fileobj=stand_in(client, runtime), custom_context=True, tag=f"{name}:{TAG}", forcerm=True)
        assert "errorDetail" not in client.images.push(name, tag=TAG)
        image = client.images.pull(REPOSITORY, tag=TAG)
        digest = image.attrs["RepoDigests"][0].rpartition("@")[2]
    yield
    if not had:
        for tag in client.images.get(f"{REPOSITORY}:{TAG}").tags:
            client.images.remove(tag, force=True)
    if digest is not None:
        remove(REPOSITORY, digest)
    client.close()


def stand_in(client: docker.DockerClient, runtime: bytes) -> io.BytesIO:
    """Give the context of an image with NVIDIA's layout, and with more than anybody asked for."""
    prefix = f"python:{platform.python_version()}-slim-"
    base = next(tag for image in client.images.list("python") for tag in image.tags if tag.startswith(prefix))
    layout: dict[str, bytes | str] = {
        f"usr/local/{LIBRARIES}/libcudart.so.12.8.90": runtime,
        f"usr/local/{LIBRARIES}/libcudart.so.12": "libcudart.so.12.8.90",
        f"usr/local/{LIBRARIES}/libother.so.1": b"not asked for",
        "usr/local/cuda": "cuda-12.8",
        "etc/ld.so.conf.d/000_cuda.conf": b"/usr/local/cuda/targets/x86_64-linux/lib\n",
    }
    lines = [f"FROM {base}", 'ADD ["toolkit.tar", "/"]', 'RUN ["ldconfig"]', "ENV CUDA_VERSION=12.8.1"]
    return archive({"toolkit.tar": archive(layout).getvalue(), "Dockerfile": "\n".join(lines).encode()})


def archive(files: dict[str, bytes | str]) -> io.BytesIO:
    """Give a tar of files and links (those whose content is a text)."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as members:
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            if isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
                members.addfile(member)
            else:
                member.size, member.mode = len(content), 0o644
                members.addfile(member, io.BytesIO(content))
    stream.seek(0)
    return stream


@pytest.fixture
def linking(small: Envcap, runtime: bytes, tmp_path: Path) -> Envcap:
    """Give a project whose library links to a toolkit in a folder of this machine."""
    folder = tmp_path / LIBRARIES
    folder.mkdir(parents=True)
    (folder / "libcudart.so.12.8.90").write_bytes(runtime)
    for name in ("libcudart.so.12", "libcudart.so"):
        (folder / name).symlink_to("libcudart.so.12.8.90")
    library = small.project / "libkernels.so"
    compiler = ["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", str(library), f"-L{folder}", "-lcudart"]
    subprocess.run(compiler, input=CALLER.encode(), check=True)
    (small.project / "evaluate.py").write_text(PROGRAM)
    (small.project / "envcap.toml").write_text('[evaluation]\ncommand = ["python", "evaluate.py"]\nrepeat = 1\n')
    small.environ["LD_LIBRARY_PATH"] = str(folder)
    return small


def test_cuda_of_the_system_comes_from_nvidias_image(linking: Envcap, cuda_image: None) -> None:
    frozen = linking.ok("freeze", "--json").document["frozen"]
    assert frozen["toolkit"]["release"] == "12.8"
    assert frozen["toolkit"]["libraries"] == ["libcudart.so.12"]
    assert frozen["toolkit"]["image"]["reference"] == f"{REPOSITORY}:{TAG}"
    assert not [gap for gap in frozen["gaps"] if gap["where"] in {"libraries", "toolkit"}]
    assert (
        "12.8 of the system is used: libcudart.so.12, which the image takes from nvidia/cuda:" in linking.ok("show").out
    )

    overrides_with_a_base(linking)
    del linking.environ["LD_LIBRARY_PATH"]
    built = linking.ok("build", "--engine", "docker", "--json").document["image"]
    again = linking.ok("build", "--engine", "docker", "--no-cache", "--json").document["image"]
    if again["promise"] == "bit for bit":
        assert again["identity"] == built["identity"]
    verified = linking.ok("verify", "--engine", "docker", "--json").document
    assert verified["verdict"] == "IDENTICAL"
    assert not [item for item in verified["findings"] if item["where"] in {"libraries", "os-packages", "settings"}]
    assert not [item for item in verified["findings"] if item["subject"] == "cuda runtime"]
    has_only_what_was_asked_for(verified["image"])


def overrides_with_a_base(project: Envcap) -> None:
    """Name a base: it is taken for all that there is below the packages, and what it lacks is said."""
    base = ["--base", f"registry.example.org/python-with-cuda:1@sha256:{'0' * 64}"]
    frozen = project.ok("freeze", *base, "--offline", "--name", "other", "--json").document["frozen"]
    assert frozen["toolkit"] is None
    (gap,) = [gap for gap in frozen["gaps"] if gap["where"] == "libraries"]
    assert gap["subject"].endswith("libcudart.so.12.8.90")


def has_only_what_was_asked_for(image: str) -> None:
    """Look into the image: the library, the links to it and what the loader is told, and nothing else of NVIDIA's."""
    client = docker.from_env()
    said = client.containers.run(image, ["find", "/usr/local", "-path", "*cuda*", "!", "-type", "d"], remove=True)
    client.close()
    assert sorted(said.decode().split()) == [
        "/usr/local/cuda-12.8/lib64",
        f"/usr/local/{LIBRARIES}/libcudart.so.12",
        f"/usr/local/{LIBRARIES}/libcudart.so.12.8.90",
    ]
