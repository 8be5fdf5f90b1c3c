"""Which of NVIDIA's images is chosen for the CUDA of a system: by a small table, and by the one that comes along."""

import pytest

from envcap.pins.toolkit import (
    ImageTable,
    ToolkitImage,
    choose_images,
    cudnn_gaps,
    known_images,
    resolve_toolkit,
)

RUNTIME = ["libcudart.so.12"]
MATH = ["libcublas.so.12", "libcudart.so.12"]
NEURAL = ["libcudart.so.12", "libcudnn.so.9"]


def image(tag: str, cudnn: str | None = None) -> ToolkitImage:
    cuda, *_, kind, system = tag.split("-")
    return ToolkitImage(tag=tag, cuda=cuda, kind=kind, system=system, cudnn=cudnn)


TABLE = ImageTable(
    repository="nvidia/cuda",
    glibc={"ubuntu20.04": "2.31", "ubuntu22.04": "2.35", "ubuntu24.04": "2.39"},
    images=[
        image("12.8.0-base-ubuntu24.04"),
        image("12.8.1-base-ubuntu24.04"),
        image("12.8.1-base-ubuntu22.04"),
        image("12.8.0-base-ubuntu22.04"),
        image("12.8.0-runtime-ubuntu22.04"),
        image("12.8.1-runtime-ubuntu20.04"),
        image("12.8.1-cudnn-runtime-ubuntu22.04", "9.8.0.87"),
        image("12.8.0-cudnn-runtime-ubuntu22.04", "9.7.0.66"),
        image("12.2.2-cudnn8-runtime-ubuntu22.04", "8"),
    ],
)


@pytest.mark.parametrize(
    ("libraries", "release", "cudnn", "glibc", "expected"),
    [
        (RUNTIME, "12.8", None, "2.36", ["12.8.1-base-ubuntu22.04", "12.8.0-base-ubuntu22.04"]),
        (RUNTIME, "12.8", None, "2.41", ["12.8.1-base-ubuntu24.04", "12.8.1-base-ubuntu22.04"]),
        (RUNTIME, "12.8", None, None, ["12.8.1-base-ubuntu24.04", "12.8.1-base-ubuntu22.04"]),
        (RUNTIME, "12.8", None, "2.28", []),
        (RUNTIME, "12.7", None, "2.36", []),
        (RUNTIME, "99.0", None, "2.36", []),
        (MATH, "12.8", None, "2.36", ["12.8.1-runtime-ubuntu20.04", "12.8.0-runtime-ubuntu22.04"]),
        (NEURAL, "12.8", "9.7.0", "2.36", ["12.8.0-cudnn-runtime-ubuntu22.04", "12.8.1-cudnn-runtime-ubuntu22.04"]),
        (NEURAL, "12.8", "9.8.0", "2.36", ["12.8.1-cudnn-runtime-ubuntu22.04", "12.8.0-cudnn-runtime-ubuntu22.04"]),
        (NEURAL, "12.8", "8.9.7", "2.36", []),  # of another major version nothing is taken
        (NEURAL, "12.2", "8.9.7", "2.36", ["12.2.2-cudnn8-runtime-ubuntu22.04"]),
    ],
)
def test_choosing(
    libraries: list[str], release: str, cudnn: str | None, glibc: str | None, expected: list[str]
) -> None:
    found = choose_images(libraries, release=release, cudnn=cudnn, glibc=glibc, table=TABLE)
    assert [one.tag for one in found][:2] == expected


def test_the_table_that_comes_along() -> None:
    table = known_images()
    tags = [one.tag for one in table.images]
    assert table.repository == "nvidia/cuda"
    assert len(set(tags)) == len(tags) >= 200
    assert {one.system for one in table.images} <= set(table.glibc)
    assert {one.kind for one in table.images} == {"base", "runtime"}
    first = choose_images(NEURAL, release="12.8", cudnn="9.8.0", glibc="2.36")[0]
    assert first.tag == "12.8.1-cudnn-runtime-ubuntu22.04"
    older = choose_images(["libcudnn.so.8"], release="11.8", cudnn="8.9.6", glibc="2.36")[0]
    assert older.tag == "11.8.0-cudnn8-runtime-ubuntu22.04"


def test_what_the_table_does_not_know_is_a_gap() -> None:
    found, (gap,) = resolve_toolkit(RUNTIME, release="99.0", cudnn=None, glibc="2.36", platform="linux/amd64")
    assert found is None
    assert (gap.where, gap.subject) == ("toolkit", "CUDA 99.0")


def test_an_image_that_nobody_has_is_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    found, (gap,) = resolve_toolkit(
        RUNTIME, release="12.8", cudnn=None, glibc="2.36", platform="linux/amd64", offline=True
    )
    assert found is None
    assert "`--offline` does not ask a Docker engine of another machine" in gap.reason


@pytest.mark.parametrize(
    ("held", "cudnn", "told"),
    [
        ("9.8.0.87", "9.8.0", False),
        ("9.8.0.87", "9.1.0", True),
        ("9", "9.8.0", True),  # the table does not know it in full
        ("8", "8", False),
        (None, None, False),
    ],
)
def test_another_cudnn_than_the_one_in_use_is_a_gap(held: str | None, cudnn: str | None, *, told: bool) -> None:
    gaps = cudnn_gaps(image("12.8.1-cudnn-runtime-ubuntu22.04", held), "nvidia/cuda:x", cudnn)
    assert bool(gaps) == told
