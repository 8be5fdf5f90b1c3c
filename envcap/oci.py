"""An image's documents and blobs, each named by its digest (OCI image specification; Docker image manifest, schema 2).

The functions here take bytes that were checked against their digest: what they name is then pinned too.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from envcap.errors import RefusedError
from envcap.model.struct import Data

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LARGEST_DOCUMENT = 4 << 20  # bytes: what registries take at most as a manifest
LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'


class Blob(Data, frozen=True, kw_only=True):
    """Bytes that a document names. `size` in bytes."""

    digest: str
    size: int
    media_type: str


class Parts(Data, frozen=True, kw_only=True):
    """All that one platform of an image consists of: an index and its manifest or the manifest alone, and blobs."""

    documents: dict[str, bytes]  # by digest
    root: Blob
    manifest: str  # digest
    config: Blob
    layers: list[Blob]

    @property
    def blobs(self) -> list[Blob]:
        """The config and the layers, each once."""
        return list({blob.digest: blob for blob in [self.config, *self.layers]}.values())


def read_parts(digest: str, *, platform: str, read: Callable[[str], bytes]) -> Parts:
    """Give what the image `digest` consists of on `platform` (`linux/amd64`); `read` gives a document, checked.

    Raises RefusedError for documents of another form and where the platform is not there.
    """
    content = read(digest)
    document = _load(content, digest)
    root = Blob(digest=digest, size=len(content), media_type=_media_type(document))
    documents = {digest: content}
    manifest = digest
    if "manifests" in document:
        manifest = _choose(document, platform, digest)
        documents[manifest] = read(manifest)
        document = _load(documents[manifest], manifest)
    layers = document.get("layers")
    if not isinstance(layers, list):
        raise RefusedError(f"`{manifest}` is not the manifest of an image.")
    return Parts(
        documents=documents,
        root=root,
        manifest=manifest,
        config=_blob(document.get("config"), manifest),
        layers=[_blob(layer, manifest) for layer in layers],
    )


def layout_index(images: Mapping[str, Parts], *, annotation: str) -> bytes:
    """Give the `index.json` of an image layout that holds these images, each with its name in an annotation."""
    entries = [
        {
            "mediaType": parts.root.media_type,
            "digest": parts.root.digest,
            "size": parts.root.size,
            "annotations": {annotation: name},
        }
        for name, parts in images.items()
    ]
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": entries}
    return json.dumps(index, separators=(",", ":"), sort_keys=True).encode()


def _load(content: bytes, digest: str) -> dict[str, Any]:
    try:
        document = json.loads(content) if len(content) <= _LARGEST_DOCUMENT else None
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise RefusedError(f"`{digest}` is not a document of an image.")
    return document


def _media_type(document: dict[str, Any]) -> str:
    usual = "index" if "manifests" in document else "manifest"
    return str(document.get("mediaType") or f"application/vnd.oci.image.{usual}.v1+json")


def _choose(index: dict[str, Any], platform: str, digest: str) -> str:
    entries = index["manifests"] if isinstance(index["manifests"], list) else []
    for entry in entries:
        described = entry.get("platform") if isinstance(entry, dict) else None
        if isinstance(described, dict) and f"{described.get('os')}/{described.get('architecture')}" == platform:
            return _blob(entry, digest).digest
    raise RefusedError(f"The image `{digest}` has nothing for `{platform}`.")


def _blob(value: object, digest: str) -> Blob:
    named = value if isinstance(value, dict) else {}
    name, size = named.get("digest"), named.get("size")
    if not isinstance(name, str) or _DIGEST.fullmatch(name) is None or not isinstance(size, int) or size < 0:
        raise RefusedError(f"`{digest}` names a part of an image without digest or size.")
    return Blob(digest=name, size=size, media_type=str(named.get("mediaType", "")))
