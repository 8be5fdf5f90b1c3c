"""The files of the base image from its registry, each by its digest (OCI distribution specification, "Pull")."""

import hashlib
from pathlib import Path

from envcap.errors import NotRunError, RefusedError
from envcap.model.lock import Base
from envcap.model.progress import Progress, Tell
from envcap.oci import Parts, read_parts
from envcap.pins.base_image import get_from_registry, repository_address
from envcap.store import file_sha256

_PIECE = 1 << 20


def read_blob(folder: Path, digest: str) -> bytes:
    """Give the file of that digest in a folder of blobs. Raises FileNotFoundError, RefusedError when it is damaged."""
    content = (folder / digest.removeprefix("sha256:")).read_bytes()
    if f"sha256:{hashlib.sha256(content).hexdigest()}" != digest:
        raise RefusedError(f"The part `{digest}` of the base image is damaged.")
    return content


def held_parts(base: Base, folder: Path) -> Parts | None:
    """Give what the base image consists of, or None where something of it is not in the folder of blobs.

    Raises RefusedError where something is damaged.
    """
    try:
        parts = read_parts(base.digest or "", platform=base.platform, read=lambda digest: read_blob(folder, digest))
    except FileNotFoundError:
        return None
    if base.manifest_digest not in {None, parts.manifest}:
        raise RefusedError(f"The base image's manifest is `{parts.manifest}`, and `{base.manifest_digest}` was frozen.")
    for blob in parts.blobs:
        path = folder / blob.digest.removeprefix("sha256:")
        if not path.is_file():
            return None
        if f"sha256:{file_sha256(path)}" != blob.digest or path.stat().st_size != blob.size:
            raise RefusedError(f"The part `{blob.digest}` of the base image is damaged.")
    return parts


def fetch_base(base: Base, folder: Path, *, tell: Tell) -> None:
    """Bring the base image's files into the folder, each under its sha256; those that are there are kept.

    Raises NotRunError when the registry does not give them, RefusedError when it gives others.
    """
    import requests
    from docker import auth

    host, address, _ = repository_address(base.reference)
    login = auth.load_config().resolve_authconfig(host)

    def bring(digest: str, kind: str, session: requests.Session) -> bytes:
        path = folder / digest.removeprefix("sha256:")
        if not path.is_file():
            _receive(session, f"{address}/{kind}/{digest}", digest, path, login)
        return path.read_bytes() if kind == "manifests" else b""

    try:
        with requests.Session() as session:
            parts = read_parts(
                base.digest or "", platform=base.platform, read=lambda digest: bring(digest, "manifests", session)
            )
            for number, blob in enumerate(parts.blobs, start=1):
                bring(blob.digest, "blobs", session)
                tell(Progress(kind="count", text="fetching the base image", done=number, total=len(parts.blobs)))
    except requests.RequestException as error:
        raise NotRunError(
            f"The base image `{base.reference}` is not in an engine here, and its registry cannot be reached.",
            hint=f"`docker pull {base.reference}@{base.digest}` where the engine knows a mirror, and pack again.",
        ) from error


def _receive(session: object, address: str, digest: str, path: Path, login: dict[str, str] | None) -> None:
    answer = get_from_registry(session, address, login=login)  # type: ignore[arg-type]
    with answer, path.with_suffix(".new").open("wb") as file:
        if not answer.ok:
            raise NotRunError(f"The registry answers {answer.status_code} for the part `{digest}` of the base image.")
        sha256 = hashlib.sha256()
        for piece in answer.iter_content(_PIECE):
            sha256.update(piece)
            file.write(piece)
    if f"sha256:{sha256.hexdigest()}" != digest:
        raise RefusedError(f"The registry gives another file for the part `{digest}` of the base image.")
    path.with_suffix(".new").replace(path)
