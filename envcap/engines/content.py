"""Read single files of an image, without running anything of it."""

import io
import re
import tarfile
from collections.abc import Iterable
from contextlib import closing

from envcap.errors import NotRunError

_LARGEST = 64 << 20  # bytes of one file
_SECONDS = 600


def read_image_files(reference: str, paths: Iterable[str]) -> dict[str, bytes]:
    """Give the plain files of an image at absolute paths, those that are there; it is pulled where it is missing.

    Raises NotRunError when no engine answers or the image cannot be had.
    """
    import docker
    import requests
    from docker.errors import DockerException, ImageNotFound, NotFound

    found: dict[str, bytes] = {}
    try:
        with closing(docker.from_env(timeout=_SECONDS)) as client:
            try:
                image = client.images.get(reference)
            except ImageNotFound:
                name, _, digest = reference.partition("@")
                repository = re.sub(r":[^:/]*$", "", name)
                image = client.images.pull(repository, tag=digest or name.removeprefix(f"{repository}:"))
            container = client.containers.create(image, command=["true"], network_mode="none")
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
    except (DockerException, requests.exceptions.RequestException) as error:
        raise NotRunError(f"The image `{reference}` cannot be read: no engine gives it.") from error
    return found


def _only_file(archive: bytes) -> bytes | None:
    with tarfile.open(fileobj=io.BytesIO(archive)) as members:
        for member in members:
            file = members.extractfile(member) if member.isfile() else None
            return file.read() if file is not None else None
    return None
