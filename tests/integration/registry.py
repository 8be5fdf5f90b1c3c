"""The registry of the tests, which tests/engine/up starts: what it has of an image, and its end."""

import json
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.request import Request, urlopen

REGISTRY = "127.0.0.1:5000"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"


class Kept(NamedTuple):
    """An image as the registry has it."""

    digest: str
    media_types: set[str]  # of its layers
    diff_ids: list[str]  # digests of the same, unpacked


def kept(name: str, tag: str) -> Kept:
    """Give what the registry has under that name."""
    told = _ask("GET", f"{name}/manifests/{tag}")
    manifest = json.loads(told.content)
    configuration = json.loads(_ask("GET", f"{name}/blobs/{manifest['config']['digest']}").content)
    return Kept(
        digest=told.headers["Docker-Content-Digest"],
        media_types={layer["mediaType"].rpartition(".")[2] for layer in manifest["layers"]},
        diff_ids=configuration["rootfs"]["diff_ids"],
    )


def remove(name: str, digest: str) -> None:
    """Have the registry forget a manifest, and see that it was there."""
    assert _ask("DELETE", f"{name}/manifests/{digest}").status == HTTPStatus.ACCEPTED


class _Answer(NamedTuple):
    status: int
    headers: Any
    content: bytes


def _ask(method: str, what: str) -> _Answer:
    request = Request(f"http://{REGISTRY}/v2/{what}", headers={"Accept": _MANIFEST}, method=method)
    with urlopen(request, timeout=30) as answer:
        return _Answer(answer.status, answer.headers, answer.read())
