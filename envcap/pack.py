"""Pack: a lock and everything that its image is built from, as one archive. And the way back to a project."""

import re
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path

from msgspec import structs

from envcap import lockfile
from envcap.atomic import replacing
from envcap.capsule import Manifest, unpack, write_capsule
from envcap.engines import open_container_engine
from envcap.engines.engine import Engine
from envcap.errors import NotRunError, RefusedError, WrongUsageError
from envcap.fetching import fetch_inputs, locked_files
from envcap.model.image import Context
from envcap.model.layout import CODE_ARCHIVE, CONDA_EDITS
from envcap.model.lock import Base, Lock
from envcap.model.progress import Progress, Tell
from envcap.model.struct import Data
from envcap.oci import LAYOUT, Parts, layout_index
from envcap.places import BASE_FOLDER, INPUTS_FOLDER, base_layout, lock_store
from envcap.store import STORE_FOLDER

_DIGEST = re.compile(rb"[0-9a-f]{64}")
_BLOBS = "blobs/sha256"


class PackRequest(Data, frozen=True, kw_only=True):
    """What the command line asked for."""

    project: Path
    name: str = "envcap"
    output: Path | None = None
    strict: bool = False


class Packed(Data, frozen=True, kw_only=True):
    """The capsule that was written. `size` in bytes."""

    lock: Lock
    output: Path
    size: int
    manifest: Manifest


def pack(request: PackRequest, *, environ: Mapping[str, str], tell: Tell) -> Packed:
    """Fetch what the lock names, and write the capsule, whole or not at all.

    Raises RefusedError when something is not what was frozen, NotRunError when something cannot be had.
    """
    from envcap.render.context import base_reference

    project = request.project.resolve()
    path = lockfile.lock_path(project, request.name)
    lock, _ = lockfile.read(path)
    lockfile.require_no_gaps(lock, strict=request.strict)
    output = request.output or project / f"{request.name}.capsule"
    if output.is_dir() or not output.parent.is_dir():
        raise WrongUsageError(f"`{output}` cannot be written: it is a folder, or its folder is not there.")
    base_reference(lock)
    fetched = fetch_inputs(
        lock,
        packages=locked_files(lock),
        os_packages=lock.os_packages.packages if lock.os_packages else [],
        project=project,
        environ=environ,
        tell=tell,
    )
    held = _stored(lock, path.read_bytes(), project)
    files = {path.name: path, **held}
    for sha256, file in fetched.items():
        if not file.is_relative_to(project / STORE_FOLDER):
            files[f"{INPUTS_FOLDER}/{sha256}/{file.name}"] = file
    with tempfile.TemporaryDirectory(prefix=".envcap-base-", dir=output.parent) as scratch:
        files |= _image_files(lock.images, project, Path(scratch), tell=tell)
        tell(Progress(kind="step", text=f"writing `{output}`"))
        with replacing(output) as stream:
            manifest = write_capsule(stream, path.name, files, tell=tell)
    return Packed(lock=lock, output=output, size=output.stat().st_size, manifest=manifest)


def open_capsule(capsule: Path, into: Path | None, *, tell: Tell) -> tuple[Path, str]:
    """Unpack a capsule to a new folder, by default one of its name here; give the folder and the lock's name.

    Raises RefusedError when anything in it is not as envcap writes it or its lock cannot be believed. Then nothing is
    left.
    """
    folder = (into or Path(capsule.stem)).resolve()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        hint = f"Go on there with `envcap build --project {folder.name}`, or name a new folder with `--into`."
        raise WrongUsageError(f"`{folder}` is there already and not an empty folder.", hint=hint)
    if not folder.parent.is_dir():
        raise WrongUsageError(f"The folder `{folder.parent}` is not there.")
    tell(Progress(kind="step", text=f"unpacking `{capsule.name}`"))
    scratch = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.new")
    scratch.mkdir()
    try:
        manifest = unpack(capsule, scratch, tell=tell)
        lock, _ = lockfile.read(scratch / manifest.lock)
        for image in lock.images:
            _held_image(image, scratch)
        if folder.exists():
            folder.rmdir()
        scratch.rename(folder)
    except OSError as error:
        raise NotRunError(f"`{capsule.name}` cannot be unpacked to `{folder}`: {error.strerror}.") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder, manifest.lock.removeprefix("pylock.").removesuffix(".toml")


def settle_base(context: Context, lock: Lock, project: Path, engine: Engine, *, tell: Tell) -> tuple[Context, str]:
    """Load the images that came in a capsule into the engine; give the context to build with, and its base.

    It is the same context but on an engine that cannot find a loaded image by its digest: there each is named by the
    name that it was loaded under, after its id was compared.
    """
    from envcap.render.context import pinned_reference

    if base_layout(project) is None:
        return context, pinned_reference(lock.base)
    names = {}
    for image in lock.images:
        parts = _held_image(image, project)
        tell(Progress(kind="step", text=f"loading the base image `{image.reference}`"))
        locked = pinned_reference(image)
        names[locked] = engine.load_base(image, parts, project / BASE_FOLDER / _BLOBS) or locked
    files = [
        structs.replace(file, content=_with_names(file.content, names))
        if file.path == "Dockerfile" and file.content is not None
        else file
        for file in context.files
    ]
    return structs.replace(context, files=files), names[pinned_reference(lock.base)]


def _with_names(dockerfile: bytes, names: Mapping[str, str]) -> bytes:
    for locked, local in names.items():
        dockerfile = dockerfile.replace(f"FROM {locked}".encode(), f"FROM {local}".encode())
    return dockerfile


def _held_image(base: Base, project: Path) -> Parts:
    from envcap.pins.base_files import held_parts

    parts = held_parts(base, project / BASE_FOLDER / _BLOBS)
    if parts is None:
        raise RefusedError(
            f"The base image `{base.reference}` is not whole in `{BASE_FOLDER}`.",
            hint="Take the capsule from its source again.",
        )
    return parts


def _stored(lock: Lock, written: bytes, project: Path) -> dict[str, Path]:
    """Give the files of the store whose digest the lock names anywhere, by their paths in the capsule."""
    store = lock_store(project)
    store.require(lock.code.archive, CODE_ARCHIVE, what="The code")
    if lock.conda_prefix is not None and lock.conda_prefix.edits is not None:
        store.require(lock.conda_prefix.edits, CONDA_EDITS, what="The edited conda files")
    files = {}
    for sha256 in sorted({match.decode() for match in _DIGEST.findall(written)}):
        for file in sorted((store.root / sha256).glob("*")):
            store.require(sha256, file.name, what="The file")
            files[f"{STORE_FOLDER}/{sha256}/{file.name}"] = file
    return files


def _image_files(images: list[Base], project: Path, scratch: Path, *, tell: Tell) -> dict[str, Path]:
    """Give the images as one OCI layout: from the capsule that the project came in, the engine, or the registry."""
    files: dict[str, Path] = {}
    found = {}
    for image in images:
        tell(Progress(kind="step", text=f"taking the base image `{image.reference}`"))
        parts, blobs = _whole_image(image, project, scratch / _BLOBS, tell=tell)
        digests = [*parts.documents, *(blob.digest for blob in parts.blobs)]
        names = [digest.removeprefix("sha256:") for digest in digests]
        files |= {f"{BASE_FOLDER}/{_BLOBS}/{name}": blobs / name for name in names}
        found[image.reference] = parts
    (scratch / "oci-layout").write_bytes(LAYOUT)
    (scratch / "index.json").write_bytes(layout_index(found, annotation="org.opencontainers.image.ref.name"))
    return {**{f"{BASE_FOLDER}/{name}": scratch / name for name in ("index.json", "oci-layout")}, **files}


def _whole_image(image: Base, project: Path, scratch: Path, *, tell: Tell) -> tuple[Parts, Path]:
    """Give what an image consists of, and the folder that its blobs are in: the capsule's or the one to fill."""
    from envcap.pins.base_files import fetch_base, held_parts

    blobs = project / BASE_FOLDER / _BLOBS
    parts = held_parts(image, blobs) if blobs.is_dir() else None
    if parts is None:
        blobs = scratch
        blobs.mkdir(parents=True, exist_ok=True)
        with suppress(NotRunError), closing(open_container_engine(project)) as engine:
            engine.save_base(image, blobs)
        parts = held_parts(image, blobs)
    if parts is None:
        fetch_base(image, blobs, tell=tell)
        parts = held_parts(image, blobs)
    if parts is None:
        raise NotRunError(f"The base image `{image.reference}` cannot be had whole.")
    return parts, blobs
