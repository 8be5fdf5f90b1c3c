"""What is in an image and how it was made, as files for other programs; and where its bytes are."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cyclonedx.model.bom import Bom

from envcap.commands.companions import Companions
from envcap.cuda import copies
from envcap.errors import NotRunError
from envcap.model.image import Image, Layer, Making
from envcap.model.lock import CondaPackage, CondaPrefix, Lock, Toolkit, Wheel
from envcap.report.cyclonedx import describe_cyclonedx
from envcap.report.layers import layer_lines
from envcap.report.provenance import provenance_document

replace = msgspec.structs.replace
ZLIB = CondaPackage(
    name="zlib",
    version="1.3.1",
    build="h4ab18f5_1",
    subdir="linux-64",
    channel="https://conda.example.org/main",
    file="zlib-1.3.1-h4ab18f5_1.conda",
    sha256="8" * 64,
    url="https://conda.example.org/main/linux-64/zlib-1.3.1-h4ab18f5_1.conda",
)


def test_a_bill_of_materials_names_all_that_is_added_to_the_base(sample_lock: Lock) -> None:
    text = describe_cyclonedx(replace(sample_lock, conda=[ZLIB]))
    document = json.loads(text)
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    found = {item["purl"]: item["hashes"][0]["content"][0] for item in document["components"] if "purl" in item}
    assert found == {
        "pkg:pypi/alpha@1.0": "1",
        "pkg:pypi/beta-tools@2.1.post1%2Blocal": "2",
        "pkg:conda/zlib@1.3.1?build=h4ab18f5_1&channel=main&subdir=linux-64": "8",
        "pkg:deb/debian/libgomp1@12.2.0-14?arch=amd64&distro=debian-12": "3",
        "pkg:deb/debian/file@1:5.44-3?arch=amd64&distro=debian-12": "4",
    }
    bases = [item for item in document["components"] if item["type"] == "container"]
    assert [item["hashes"][0]["content"] for item in bases] == ["b" * 64]
    needs = {item["ref"]: item.get("dependsOn", []) for item in document["dependencies"]}
    assert needs["pkg:pypi/alpha@1.0"] == ["pkg:pypi/beta-tools@2.1.post1%2Blocal"]
    assert "pkg:pypi/alpha@1.0" in needs["lock:train"]
    assert "pkg:pypi/beta-tools@2.1.post1%2Blocal" not in needs["lock:train"]
    assert [item["name"] for item in document["metadata"]["component"]["properties"]] == ["envcap:gap"]


def test_a_bill_of_materials_is_the_same_each_time_and_comes_back(sample_lock: Lock) -> None:
    text = describe_cyclonedx(sample_lock)
    assert text == describe_cyclonedx(sample_lock)
    read: Any = Bom.from_json(json.loads(text))  # type: ignore[attr-defined]
    assert {component.name for component in read.components} >= {"alpha", "beta-tools", "libgomp1", "file"}
    other = replace(sample_lock, code=replace(sample_lock.code, archive="0" * 64))
    assert json.loads(describe_cyclonedx(other))["serialNumber"] != json.loads(text)["serialNumber"]


@pytest.fixture
def making() -> Making:
    image = Image(
        engine="docker", reference="envcap/train:1", identity="sha256:" + "7" * 64, lock_sha256="9" * 64, size=1
    )
    started, finished = "2024-05-06T07:08:09Z", "2024-05-06T07:10:00Z"
    return Making(image=image, target="eval", portable=False, started=started, finished=finished)


def test_the_provenance_is_what_a_reviewer_has_read(
    sample_lock: Lock, making: Making, check_golden: Callable[[str, str], None]
) -> None:
    text = provenance_document(sample_lock, making)
    check_golden("provenance.json", text)
    document = json.loads(text)
    assert document["_type"] == "https://in-toto.io/Statement/v1"
    assert document["predicateType"] == "https://slsa.dev/provenance/v1"
    assert document["subject"] == [{"name": "envcap/train:1", "digest": {"sha256": "7" * 64}}]


def test_a_pushed_image_is_known_by_the_digest_that_its_registry_gives(sample_lock: Lock, making: Making) -> None:
    pushed = "registry.example.org:5000/train@sha256:" + "6" * 64
    image = replace(making.image, pushed=pushed, builder="BuildKit (buildx v0.13.1, Docker 26.1.5)")
    document = json.loads(provenance_document(sample_lock, replace(making, image=image)))
    assert document["subject"] == [{"name": "registry.example.org:5000/train", "digest": {"sha256": "6" * 64}}]
    version = document["predicate"]["runDetails"]["builder"]["version"]
    assert version["builder"] == "BuildKit (buildx v0.13.1, Docker 26.1.5)"


def test_what_puts_condas_archives_into_place_went_in(sample_lock: Lock, making: Making) -> None:
    installer = Wheel(name="py_rattler-1.whl", sha256="c" * 64, url="https://files.example.org/py_rattler-1.whl")
    prefix = CondaPrefix(path="/opt/conda", tool="conda", installer=installer)
    document = json.loads(provenance_document(replace(sample_lock, conda=[ZLIB], conda_prefix=prefix), making))
    entries = {item["name"]: item for item in document["predicate"]["buildDefinition"]["resolvedDependencies"]}
    assert entries["py_rattler-1.whl"]["digest"] == {"sha256": "c" * 64}


def test_nvidias_image_went_in_too(sample_lock: Lock, toolkit: Toolkit, making: Making) -> None:
    lock = replace(sample_lock, toolkit=toolkit)
    document = json.loads(provenance_document(lock, making))
    entries = {item["name"]: item for item in document["predicate"]["buildDefinition"]["resolvedDependencies"]}
    assert entries[toolkit.image.reference]["digest"] == {"sha256": "5" * 64}
    assert entries[toolkit.image.reference]["uri"].startswith(
        "pkg:docker/nvidia/cuda@12.8.1-cudnn-runtime-ubuntu22.04?"
    )
    bill = json.loads(describe_cyclonedx(lock))
    assert f"base:{toolkit.image.reference}" in {component["bom-ref"] for component in bill["components"]}


def test_an_image_to_serve_was_made_without_the_code(sample_lock: Lock, making: Making) -> None:
    document = json.loads(provenance_document(sample_lock, replace(making, target="serve")))
    names = [item["name"] for item in document["predicate"]["buildDefinition"]["resolvedDependencies"]]
    assert "code" not in names
    assert "repository" not in names


def test_the_largest_layers_come_first_and_the_small_ones_together() -> None:
    layers = [Layer(step=f"ADD part{number}.tar /", size=number * 1_000_000) for number in range(1, 21)]
    lines = layer_lines([*layers, Layer(step="", size=97_200_000)], ["cudnn comes 2 times: a, b"])
    assert lines[2].split() == ["97.2", "MB", "without", "a", "word,", "of", "the", "base"]
    assert lines[3].split() == ["20.0", "MB", "ADD", "part20.tar", "/"]
    assert lines[-3].split() == ["45.0", "MB", "9", "smaller", "layers"]
    assert lines[-2].split() == ["307.2", "MB", "all", "of", "them,", "unpacked"]
    assert lines[-1] == "  twice in it: cudnn comes 2 times: a, b"
    assert layer_lines([], []) == []


def test_a_step_of_a_stranger_begins_no_line() -> None:
    lines = layer_lines([Layer(step="RUN x\nGaps: none\x1b[2J" + "y" * 200, size=1)], [])
    assert not any(line.startswith("Gaps") or "\x1b" in line for line in lines)


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (
            ["nvidia-cublas-cu11", "nvidia-cublas-cu12", "torch"],
            ["cublas comes 2 times: nvidia-cublas-cu11, nvidia-cublas-cu12"],
        ),
        (["nvidia-cudnn-cu12", "cudnn"], ["cudnn comes 2 times: nvidia-cudnn-cu12, cudnn"]),
        (["libcusparse", "nvidia-cusparse"], ["cusparse comes 2 times: libcusparse, nvidia-cusparse"]),
        (["nvidia-cusparse-cu12", "nvidia-cusparselt-cu12", "nvidia-nccl-cu12"], []),
        (["nccl", "nccl"], []),
        (["libtorch", "torch", "numpy", "libnumpy"], []),
    ],
)
def test_libraries_of_cuda_that_come_twice_are_named(names: list[str], found: list[str]) -> None:
    assert copies(names) == found


def test_a_bill_that_cannot_be_written_is_refused_before_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Companions(sbom=tmp_path / "sbom.json", provenance=None, only_context=False)
    monkeypatch.setitem(sys.modules, "cyclonedx", None)  # as where it is not installed
    Companions(sbom=None, provenance=tmp_path / "provenance.json", only_context=False)
    with pytest.raises(NotRunError, match="cyclonedx-python-lib"):
        Companions(sbom=tmp_path / "sbom.json", provenance=None, only_context=False)
