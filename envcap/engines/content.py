"""Read single files of an image, without running anything of it."""

import io
import secrets
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import docker
import requests
from docker.errors import NotFound, create_api_error_from_http_exception

from envcap.archives import Pieces, fingerprints
from envcap.errors import RefusedError
from envcap.interruption import held

if TYPE_CHECKING:
    from docker.models.containers import Container

Remove = Callable[[str], None]  # sees to it that the container of that name is gone, and its volumes

_LARGEST = 64 << 20  # bytes of one file
_PIECE = 1 << 20  # bytes, of what comes at once
_LOCAL = "http+docker://localhost"  # what the SDK calls an engine behind a socket of this machine


@contextmanager
def _never_started(client: docker.DockerClient, identity: str, remove: Remove) -> Iterator["Container"]:
    """Give a container of the image that is not started, and is gone afterwards."""
    name = f"envcap-{secrets.token_hex(6)}"  # known beforehand: whatever stops us, it can be removed
    try:
        with held():
            container = client.containers.create(identity, command=["true"], name=name, network_mode="none")
        yield container
    finally:
        remove(name)


def read_files(client: docker.DockerClient, identity: str, paths: Iterable[str], *, remove: Remove) -> dict[str, bytes]:
    """Give the plain files of an image at absolute paths, those that are there. Raises what the SDK raises."""
    found: dict[str, bytes] = {}
    with _never_started(client, identity, remove) as container:
        for path in paths:
            try:
                stream, status = container.get_archive(path)
            except NotFound:
                continue
            if int((status or {}).get("size", 0)) <= _LARGEST:
                content = _only_file(b"".join(stream))
                if content is not None:
                    found[path] = content
    return found


def read_fingerprints(
    client: docker.DockerClient, identity: str, folder: str, *, most: int, remove: Remove
) -> dict[str, str]:
    """Give the fingerprint of every file below an absolute folder of an image, by its path there; none where it is not.

    Raises RefusedError where they have more than `most` bytes together, and what the SDK raises.
    """
    with _never_started(client, identity, remove) as container:
        too_large = RefusedError(
            f"The folder `{folder}` of the image holds more than {most:,} bytes: that is not what was frozen."
        )
        with open_archive(container, folder) as pieces:
            if pieces is None:
                return {}
            archive = Pieces(pieces, most=most, too_large=too_large)
            found = fingerprints(archive)
            while archive.read(_PIECE):  # what fills it up
                pass
            return found


@contextmanager
def open_archive(container: "Container", path: str) -> Iterator[Iterator[bytes] | None]:
    """Give the archive of an absolute path piece by piece, None where there is no such path.

    It may be left before its end: the SDK's own call would keep the connection then. An engine on this machine is asked
    not to pack it, which takes it fifteen times as long as all the rest. Raises what the SDK raises.
    """
    api = container.client.api  # type: ignore[union-attr]
    address = f"{api.base_url}/v{api.api_version}/containers/{container.id}/archive"
    headers = {"Accept-Encoding": "identity"} if api.base_url == _LOCAL else {}
    with api.get(address, params={"path": path}, headers=headers, stream=True, timeout=api.timeout) as response:
        if response.status_code == requests.codes.not_found:
            yield None
            return
        try:
            response.raise_for_status()
        except requests.HTTPError as error:
            raise create_api_error_from_http_exception(error) from error
        yield response.iter_content(_PIECE)


def _only_file(archive: bytes) -> bytes | None:
    with tarfile.open(fileobj=io.BytesIO(archive)) as members:
        for member in members:
            file = members.extractfile(member) if member.isfile() else None
            return file.read() if file is not None else None
    return None
