"""A base image's files out of a Docker engine, and into one that has no registry to ask.

How a builder finds `FROM NAME:TAG@sha256:…` without a registry depends on where its engine keeps images. The containerd
store keeps an image under the digest of its manifest or index and under any name, so it is loaded under exactly the
name that the Dockerfile has, digest included, and both builders find it there. The classic store makes up digests of
its own from what is loaded; there the image has the id that its config gives it, and the builder is told a name for it.
"""

import io
import json
import tarfile
import tempfile
from pathlib import Path
from typing import Any, BinaryIO

import docker
import requests
from docker import auth
from docker.errors import DockerException, ImageNotFound, NotFound
from docker.utils import parse_repository_tag

from envcap.errors import NotRunError, RefusedError
from envcap.model.lock import Base
from envcap.oci import LAYOUT, Parts, layout_index
from envcap.store import file_sha256

_BLOBS = "blobs/sha256/"


def save_base(client: docker.DockerClient, base: Base, folder: Path) -> bool:
    """Write what the engine keeps of the image to `folder`, each file under its sha256; False where it has none of it.

    The classic store packs layers anew, so that they have other digests than in the registry: they are no use.
    """
    try:
        with tempfile.TemporaryFile(dir=folder.parent) as archive:
            for piece in client.api.get_image(f"{base.reference}@{base.digest}"):
                archive.write(piece)
            archive.seek(0)
            _take_blobs(archive, folder)
    except (DockerException, requests.exceptions.RequestException, tarfile.TarError):
        return False
    return True


def _take_blobs(archive: BinaryIO, folder: Path) -> None:
    with tarfile.open(fileobj=archive, mode="r:") as members:
        for member in members:
            content = members.extractfile(member) if member.isfile() else None
            name = member.name.removeprefix(_BLOBS)
            if content is None or not member.name.startswith(_BLOBS) or len(name) != 64 or not name.isalnum():
                continue
            target = folder / name
            with target.open("wb") as file:
                while piece := content.read(1 << 20):
                    file.write(piece)
            if file_sha256(target) != name:
                target.unlink()


def load_base(client: docker.DockerClient, base: Base, parts: Parts, folder: Path) -> str | None:
    """See to it that the engine has the image; give the name to tell the builder in place of the locked one, or None.

    `folder` holds the blobs, checked, each under its sha256. Raises NotRunError or RefusedError when the engine does
    not take it as it is, and what the SDK raises.
    """
    wanted = f"{base.reference}@{base.digest}"
    other = f"envcap/base:{parts.config.digest.removeprefix('sha256:')}"
    is_containerd = has_containerd_store(client.info())
    if is_containerd and wanted in _names(client, wanted):
        return None
    if not is_containerd and _call(client, parts.config.digest, other):
        return other
    with tempfile.TemporaryFile(dir=folder) as archive:
        write_load_archive(archive, parts, folder, name=_full_name(base), tag=other)
        archive.seek(0)
        for answer in client.api.load_image(archive):  # type: ignore[no-untyped-call]
            if "error" in answer:
                raise NotRunError(f"The engine does not take the base image: {answer['error']}")
    if is_containerd and _names(client, wanted)[0] == base.digest:
        return None
    if not is_containerd and _call(client, parts.config.digest, other):
        return other
    raise RefusedError(f"The engine took the base image `{base.reference}` as another than it is in the capsule.")


def _call(client: docker.DockerClient, identity: str, reference: str) -> bool:
    """Give the image of that id a name; False where there is none."""
    try:
        client.api.tag(identity, *parse_repository_tag(reference))
    except NotFound:
        return False
    return _names(client, reference)[0] == identity


def has_containerd_store(info: dict[str, Any]) -> bool:
    """Tell whether images are kept as a registry has them, packed (Docker: "containerd image store")."""
    return ["driver-type", "io.containerd.snapshotter.v1"] in (info.get("DriverStatus") or [])


def _names(client: docker.DockerClient, reference: str) -> list[str]:
    """Give an image's id, and all its names; an empty id where there is none."""
    try:
        image = client.images.get(reference)
    except ImageNotFound:
        return [""]
    return [str(image.id), *image.tags]


def write_load_archive(archive: BinaryIO, parts: Parts, folder: Path, *, name: str, tag: str) -> None:
    """Write what `docker load` takes: an OCI layout for the containerd store, a `manifest.json` for the classic one."""

    def place(digest: str) -> str:
        return _BLOBS + digest.removeprefix("sha256:")

    described = {
        "Config": place(parts.config.digest),
        "RepoTags": [tag],
        "Layers": [place(layer.digest) for layer in parts.layers],
    }
    texts = {
        "oci-layout": LAYOUT,
        "index.json": layout_index({name: parts}, annotation="io.containerd.image.name"),
        "manifest.json": json.dumps([described]).encode(),
        **{place(digest): content for digest, content in parts.documents.items()},
    }
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.GNU_FORMAT) as members:
        for path, content in texts.items():
            member = tarfile.TarInfo(path)
            member.size = len(content)
            members.addfile(member, io.BytesIO(content))
        for blob in parts.blobs:
            member = tarfile.TarInfo(place(blob.digest))
            member.size = blob.size
            with (folder / blob.digest.removeprefix("sha256:")).open("rb") as file:
                members.addfile(member, file)


def _full_name(base: Base) -> str:
    """Give the name as the containerd store keeps it: with its registry, and `library` where nobody is named."""
    host, name = auth.resolve_repository_name(base.reference)
    if host == auth.INDEX_NAME and "/" not in name:
        name = f"library/{name}"
    return f"{host}/{name}@{base.digest}"
