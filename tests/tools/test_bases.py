"""The table of NVIDIA's images, refreshed from a registry with images of such names and real configurations."""

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from envcap.pins.toolkit import ToolkitImage, read_table
from tools.bases import TABLE, RefreshError, Registry, main, parse_tag, refresh

REGISTRY = "127.0.0.1:5000"  # that tests/engine/up starts
REPOSITORY = f"{REGISTRY}/envcap-tests/cuda"
ADDRESS = f"http://{REGISTRY}/v2/envcap-tests/cuda"
CONFIG = "application/vnd.docker.container.image.v1+json"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
PUSHED = {
    "12.8.1-base-ubuntu22.04": ["CUDA_VERSION=12.8.1"],
    "12.8.1-cudnn-runtime-ubuntu22.04": ["CUDA_VERSION=12.8.1", "NV_CUDNN_VERSION=9.8.0.87-1"],
    "11.8.0-cudnn8-runtime-ubuntu22.04": ["CUDA_VERSION=11.8.0", "NV_CUDNN_VERSION=8.9.6.50-1"],
    "12.8.1-devel-ubuntu22.04": ["CUDA_VERSION=12.8.1"],
    "10.2.89-base-ubuntu18.04": ["CUDA_VERSION=10.2.89"],
}
OF_SEVERAL_PLATFORMS = {"12.8.1-cudnn-runtime-ubuntu22.04"}
ROWS = {
    "12.8.1-cudnn-runtime-ubuntu22.04": "9.8.0.87",
    "12.8.1-base-ubuntu22.04": None,
    "11.8.0-cudnn8-runtime-ubuntu22.04": "8.9.6.50",
}


def image(tag: str, cuda: str, kind: str, cudnn: str | None = None) -> ToolkitImage:
    return ToolkitImage(tag=tag, cuda=cuda, kind=kind, system=tag.rpartition("-")[2], cudnn=cudnn)


@pytest.mark.parametrize(
    ("tag", "row"),
    [
        ("12.8.1-base-ubuntu22.04", image("12.8.1-base-ubuntu22.04", "12.8.1", "base")),
        ("12.8.1-runtime-ubuntu24.04", image("12.8.1-runtime-ubuntu24.04", "12.8.1", "runtime")),
        (
            "12.8.1-cudnn-runtime-ubuntu22.04",
            image("12.8.1-cudnn-runtime-ubuntu22.04", "12.8.1", "runtime", ""),
        ),
        (
            "11.8.0-cudnn8-runtime-ubuntu22.04",
            image("11.8.0-cudnn8-runtime-ubuntu22.04", "11.8.0", "runtime", "8"),
        ),
        *(
            (tag, None)
            for tag in (
                "12.8.1-devel-ubuntu22.04",
                "12.8.1-cudnn-devel-ubuntu22.04",
                "12.8.1-base-rockylinux9",
                "12.8.1-base",
                "12.8-base-ubuntu22.04",
                "12.8.1-runtime-cudnn-ubuntu22.04",
                "12.8.1-base-ubuntu22.04-rc1",
                "10.2.89-base-ubuntu18.04",
                "latest",
                "",
            )
        ),
    ],
)
def test_tags(tag: str, row: ToolkitImage | None) -> None:
    assert parse_tag(tag) == row


@pytest.fixture
def repository() -> Iterator[str]:
    """Bring images to the registry of the tests, as clients do (OCI distribution specification, "Push")."""
    digests = set()
    with requests.Session() as session:
        for tag, variables in PUSHED.items():
            config = blob(session, {"architecture": "amd64", "os": "linux", "config": {"Env": variables}})
            document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": []}
            if tag in OF_SEVERAL_PLATFORMS:
                entry = manifest(session, document, sha256_of(document))
                platform = {"architecture": "amd64", "os": "linux"}
                document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [{**entry, "platform": platform}]}
            digests.add(manifest(session, document, tag)["digest"])
        yield REPOSITORY
        for digest in digests:
            session.delete(f"{ADDRESS}/manifests/{digest}", timeout=30).raise_for_status()


def blob(session: requests.Session, content: dict[str, Any]) -> dict[str, Any]:
    upload = session.post(f"{ADDRESS}/blobs/uploads/", timeout=30).headers["Location"]
    digest = sha256_of(content)
    session.put(upload, params={"digest": digest}, data=json.dumps(content), timeout=30).raise_for_status()
    return {"mediaType": CONFIG, "digest": digest, "size": len(json.dumps(content))}


def manifest(session: requests.Session, content: dict[str, Any], name: str) -> dict[str, Any]:
    headers = {"Content-Type": str(content["mediaType"])}
    answer = session.put(f"{ADDRESS}/manifests/{name}", data=json.dumps(content), headers=headers, timeout=30)
    answer.raise_for_status()
    return {"mediaType": content["mediaType"], "digest": sha256_of(content), "size": len(json.dumps(content))}


def sha256_of(content: dict[str, Any]) -> str:
    return f"sha256:{hashlib.sha256(json.dumps(content).encode()).hexdigest()}"


@pytest.mark.engine
@pytest.mark.xdist_group("engine")
def test_a_registry_tells_what_the_table_needs(
    repository: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with requests.Session() as session:
        registry = Registry(repository, session)
        assert sorted(registry.tags(page=2)) == sorted(PUSHED)
        rows = refresh(registry, [])
        assert {row.tag: row.cudnn for row in rows} == ROWS
        assert [row.tag for row in rows] == list(ROWS)
        # What is known in full is not asked again, and so another number stays.
        known = image("12.8.1-cudnn-runtime-ubuntu22.04", "12.8.1", "runtime", "9.8.0.1")
        assert known in refresh(registry, [known])
        with pytest.raises(RefreshError, match="404"):
            refresh(Registry(f"{repository}-missing", session), [])

    table = tmp_path / "bases.toml"
    table.write_bytes(TABLE.read_bytes())
    assert main(["--table", str(table), "--repository", repository]) == 3
    assert table.read_bytes() == TABLE.read_bytes()
    assert "Only 3 images were found" in capsys.readouterr().err
    assert main(["--table", str(table), "--repository", repository, "--fewer"]) == 0
    written = read_table(table)
    assert {row.tag: row.cudnn for row in written.images} == ROWS
    assert (written.repository, written.glibc) == ("nvidia/cuda", read_table(TABLE).glibc)
    text = table.read_text()
    suites = TABLE.read_text().partition("# NVIDIA's images")[0]
    assert text.startswith(suites)
    assert "of these first rows" not in text
    assert [path.name for path in tmp_path.iterdir()] == ["bases.toml"]
    assert main(["--table", str(table), "--repository", repository]) == 0
    assert table.read_text() == text


def test_a_registry_that_does_not_answer_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "bases.toml"
    table.write_bytes(TABLE.read_bytes())
    assert main(["--table", str(table), "--repository", "127.0.0.1:9/nvidia/cuda"]) == 3
    assert "The table stays as it was" in capsys.readouterr().err
    assert table.read_bytes() == TABLE.read_bytes()


class Leading(BaseHTTPRequestHandler):
    """Answers as a registry whose list goes on at another one."""

    def do_GET(self) -> None:
        content = b'{"name": "x", "tags": ["12.8.1-base-ubuntu22.04"]}'
        self.send_response(200)
        self.send_header("Link", '<http://registry.example.org/v2/x/tags/list?last=x>; rel="next"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        return


def test_a_list_stays_at_its_registry() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Leading)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    with requests.Session() as session, pytest.raises(RefreshError, match="goes on at another place"):
        list(Registry(f"127.0.0.1:{server.server_port}/x", session).tags())
    server.shutdown()
    server.server_close()
