"""Build: from the lock to an image. Nothing is looked up any more; every byte is checked against the lock."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from envcap import lockfile
from envcap.consent import Consent, require_consent
from envcap.cuda import complaints, cuda_of
from envcap.engines import open_engine
from envcap.errors import NotRunError, WrongUsageError
from envcap.model.image import Context, Image
from envcap.model.layout import CODE_ARCHIVE, CONDA_EDITS
from envcap.model.lock import Lock, Package
from envcap.model.progress import Progress, Tell
from envcap.model.struct import Data
from envcap.places import download_cache, lock_store
from envcap.probe.handover import probe_host
from envcap.project.code import require_frozen_code
from envcap.report.intention import Intention


class BuildRequest(Data, frozen=True, kw_only=True):
    """What the command line asked for."""

    project: Path
    name: str = "envcap"
    engine: str = "auto"
    tag: str | None = None
    output: Path | None = None
    use_cache: bool = True
    link_scripts: bool = False  # of conda packages: they are someone else's programs
    frozen_code: bool = False
    strict: bool = False
    consent: Consent = Consent()


class Built(Data, frozen=True, kw_only=True):
    """What was made: an image, or with `--output` only the folder that it would be built from."""

    lock: Lock
    context: Context
    image: Image | None = None
    output: Path | None = None


def build(request: BuildRequest, *, environ: Mapping[str, str], tell: Tell) -> Built:
    """Render the context and build the image (or only write the context, with `output`).

    A build runs programs of the lock: of its base image, of OS packages, of wheels with `.pth` files. Writing the
    context runs none. Raises RefusedError when lock, code or a file is not what was frozen or nobody vouches for the
    lock, NotRunError when a step failed.
    """
    project = request.project.resolve()
    lock, sha256 = lockfile.read(lockfile.lock_path(project, request.name))
    lockfile.require_no_gaps(lock, strict=request.strict)
    if not request.frozen_code:
        require_frozen_code(project, lock.code, lock_store(project))
    if request.output is None:
        _require_fitting_gpu(lock)
    from envcap.render.context import render

    if request.output is not None:
        _require_new(request.output)
        context = render(lock, lock_sha256=sha256, needs_base=True, link_scripts=request.link_scripts)
        with _written(context, lock, project, environ=environ, tell=tell) as folder:
            shutil.copytree(folder, request.output, dirs_exist_ok=True)
        return Built(lock=lock, context=context, output=request.output)

    with closing(open_engine(request.engine, project, tell=tell)) as engine:
        needs_base = engine.name != "venv"
        _require_rebuildable(lock, needs_base=needs_base)
        intention = Intention(verb="build", engine=engine.name, link_scripts=request.link_scripts)
        require_consent(request.consent, lock, sha256, intention, tell=tell)
        context = render(lock, lock_sha256=sha256, needs_base=needs_base, link_scripts=request.link_scripts)
        with _written(context, lock, project, environ=environ, tell=tell) as folder:
            image = engine.build(
                context, folder, tag=request.tag or context.tag, use_cache=request.use_cache, tell=tell
            )
    return Built(lock=lock, context=context, image=image)


def _require_fitting_gpu(lock: Lock) -> None:
    """Raise NotRunError where this machine's driver or GPU cannot run the locked CUDA: hours of building for nothing.

    Only for a lock whose evaluation had a GPU, on a machine that has one: others may build for elsewhere.
    """
    stack = cuda_of(lock.packages)
    if stack is None or not lock.hardware.gpus:
        return
    here = probe_host(Path(sys.executable)).hardware
    found = complaints(stack, here)
    if found:
        raise NotRunError(
            f"This machine cannot run what was frozen: {'; '.join(found)}.",
            hint="Install a newer driver or use another machine; `envcap build --output DIR` only writes the context.",
        )


def _require_new(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise WrongUsageError(f"`{folder}` is there already and not an empty folder.", hint="Name a new one.")


@contextmanager
def _written(context: Context, lock: Lock, project: Path, *, environ: Mapping[str, str], tell: Tell) -> Iterator[Path]:
    """Write the whole context to a folder that is gone afterwards. Files are linked from the cache where possible."""
    from envcap.pins.declared import read_every_index
    from envcap.pins.download import fetch
    from envcap.pins.os_packages import fetch_os_packages
    from envcap.pins.session import open_session

    cache = download_cache(environ)
    cache.root.mkdir(parents=True, exist_ok=True)
    packages = [*lock.packages, *_conda_archives(lock)]
    tell(Progress(kind="step", text=f"fetching {len(packages)} packages"))
    configuration = read_every_index(Path(sys.executable), project=project, environ=environ)
    with closing(open_session(configuration)) as session:
        files = fetch(packages, cache=cache, lock_folder=project, session=session, tell=tell)
        named = {file.sha256 for file in context.files}
        debs = [package for package in lock.os_packages.packages if package.sha256 in named] if lock.os_packages else []
        files.update(fetch_os_packages(debs, cache=cache, session=session, tell=tell))
    if lock.conda_prefix is not None and lock.conda_prefix.edits is not None:
        edits = lock.conda_prefix.edits
        files[edits] = lock_store(project).require(edits, CONDA_EDITS, what="The edited conda files")
    files[lock.code.archive] = lock_store(project).require(lock.code.archive, CODE_ARCHIVE, what="The code")
    with tempfile.TemporaryDirectory(prefix="context-", dir=cache.root) as name:
        folder = Path(name)
        for file in context.files:
            target = folder / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            if file.content is not None:
                target.write_bytes(file.content)
            elif file.sha256 is not None:
                _link_or_copy(files[file.sha256], target)
        yield folder


def _conda_archives(lock: Lock) -> list[Package]:
    """Give conda's archives, and the wheel that installs them, as downloads know packages."""
    archives = [Package(name=one.name, version=one.version, wheel=one.archive) for one in lock.conda]
    installer = lock.conda_prefix.installer if lock.conda_prefix is not None else None
    return archives + ([Package(name="py-rattler", version="", wheel=installer)] if installer is not None else [])


def _require_rebuildable(lock: Lock, *, needs_base: bool) -> None:
    """Raise NotRunError for a conda layer without an image: it would have to be put into this machine's own folder."""
    if lock.conda_prefix is None or needs_base:
        return
    raise NotRunError(
        f"The lock holds {len(lock.conda)} conda packages for `{lock.conda_prefix.path}`, and the engine `venv` "
        "rebuilds only what pip installed.",
        hint="Build it as an image: `envcap build --engine docker`.",
    )


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)
