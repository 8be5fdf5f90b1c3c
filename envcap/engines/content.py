"""Read single files of an image, without running anything of it."""

import io
import tarfile
from collections.abc import Iterable

import docker
from docker.errors import NotFound

_LARGEST = 64 << 20  # bytes of one file


def read_files(client: docker.DockerClient, identity: str, paths: Iterable[str]) -> dict[str, bytes]:
    """Give the plain files of an image at absolute paths, those that are there. Raises what the SDK raises."""
    found: dict[str, bytes] = {}
    container = client.containers.create(identity, command=["true"], network_mode="none")
    try:
        for path in paths:
            try:
                stream, status = container.get_archive(path)
            except NotFound:
                continue
            if int((status or {}).get("size", 0)) <= _LARGEST:
                content = _only_file(b"".join(stream))
                if content is not None:
                    found[path] = content
    finally:
        container.remove(force=True)
    return found


def _only_file(archive: bytes) -> bytes | None:
    with tarfile.open(fileobj=io.BytesIO(archive)) as members:
        for member in members:
            file = members.extractfile(member) if member.isfile() else None
            return file.read() if file is not None else None
    return None
