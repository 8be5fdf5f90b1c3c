"""Build: from the lock to an image. Nothing is looked up any more; every byte is checked against the lock."""

import shutil
import sys
from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path

from envcap import lockfile
from envcap.compilers import inside, without_building
from envcap.cuda import complaints, cuda_of
from envcap.engines import open_engine
from envcap.errors import NotRunError, WrongUsageError
from envcap.inputs import written
from envcap.model.image import Context, Image
from envcap.model.lock import Lock
from envcap.model.progress import Tell
from envcap.model.struct import Data
from envcap.places import lock_store
from envcap.probe.handover import probe_host
from envcap.project.code import require_frozen_code


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


class Built(Data, frozen=True, kw_only=True):
    """What was made: an image, or with `--output` only the folder that it would be built from."""

    lock: Lock
    context: Context
    image: Image | None = None
    output: Path | None = None


def build(request: BuildRequest, *, environ: Mapping[str, str], tell: Tell) -> Built:
    """Render the context and build the image (or only write the context, with `output`).

    Raises RefusedError when lock, code or a file is not what was frozen, NotRunError when a step failed.
    """
    project = request.project.resolve()
    lock, sha256 = lockfile.read(lockfile.lock_path(project, request.name))
    lockfile.require_no_gaps(lock, strict=request.strict)
    if not request.frozen_code:
        require_frozen_code(project, lock.code, lock_store(project))
    if request.output is None:
        _require_fitting_gpu(lock)
    from envcap.render.context import base_reference, render

    if request.output is not None:
        _require_new(request.output)
        context = render(lock, lock_sha256=sha256, needs_base=True, link_scripts=request.link_scripts)
        with ExitStack() as stack:
            compiler = without_building(context, base_reference(lock), environ=environ, stack=stack, tell=tell)
            inputs = written(context, lock, project, compiler=compiler, environ=environ, tell=tell)
            shutil.copytree(stack.enter_context(inputs), request.output, dirs_exist_ok=True)
        return Built(lock=lock, context=context, output=request.output)

    with closing(open_engine(request.engine, project, tell=tell)) as engine:
        needs_base = engine.name != "venv"
        _require_rebuildable(lock, needs_base=needs_base)
        context = render(lock, lock_sha256=sha256, needs_base=needs_base, link_scripts=request.link_scripts)
        compiler = inside(engine, base_reference(lock), platform=context.platform) if needs_base else None
        with written(context, lock, project, compiler=compiler, environ=environ, tell=tell) as folder:
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


def _require_rebuildable(lock: Lock, *, needs_base: bool) -> None:
    """Raise NotRunError for a conda layer without an image: it would have to be put into this machine's own folder."""
    if lock.conda_prefix is None or needs_base:
        return
    raise NotRunError(
        f"The lock holds {len(lock.conda)} conda packages for `{lock.conda_prefix.path}`, and the engine `venv` "
        "rebuilds only what pip installed.",
        hint="Build it as an image: `envcap build --engine docker`.",
    )
