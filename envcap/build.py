"""Build: from the lock to an image. Nothing is looked up any more; every byte is checked against the lock."""

import hashlib
import re
import shutil
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path

from msgspec import structs

from envcap import lockfile
from envcap.compilers import inside, is_compiled_before, without_building
from envcap.consent import Consent, has_consent, require_consent
from envcap.cuda import complaints, copies, stack_of
from envcap.engines import open_engine, require_asked_platform, require_platform
from envcap.engines.engine import Engine
from envcap.errors import NotRunError, WrongUsageError
from envcap.image_files import remember_image
from envcap.inputs import written
from envcap.machine.deb_file import os_scripts
from envcap.model.image import Context, Image, Layer, Making, Target
from envcap.model.layout import OS_PACKAGES
from envcap.model.lock import Lock
from envcap.model.progress import Tell
from envcap.model.struct import Data
from envcap.pack import settle_base
from envcap.places import lock_store, own_images
from envcap.probe.handover import probe_host
from envcap.project.code import require_frozen_code
from envcap.report.intention import Intention

SECRETS = ("ca", "netrc", "pip", "snapshot")  # what the steps of a portable build may be handed

# Registry or account, path, tag (OCI distribution specification, "Pulling manifests": <name> and <reference>).
_PUSHABLE = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]+)?(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)+(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?"
)


class BuildRequest(Data, frozen=True, kw_only=True):
    """What the command line asked for."""

    project: Path
    name: str = "envcap"
    engine: str = "auto"
    tag: str | None = None
    push: bool = False  # to the registry that `tag` names
    output: Path | None = None
    use_cache: bool = True
    platform: str | None = None  # what the user expects the lock to be for
    link_scripts: bool = False  # of conda packages: they are someone else's programs
    frozen_code: bool = False
    strict: bool = False
    target: Target = "eval"
    portable: bool = False
    secrets: dict[str, Path] = {}  # by the names in `SECRETS`
    consent: Consent = Consent()


class Built(Data, frozen=True, kw_only=True):
    """What was made: an image, or with `--output` only the folder that it would be built from."""

    lock: Lock
    context: Context
    image: Image | None = None
    output: Path | None = None
    layers: list[Layer] = []
    copies: list[str] = []  # of CUDA libraries, in words
    making: Making | None = None


def build(request: BuildRequest, *, environ: Mapping[str, str], tell: Tell) -> Built:
    """Render the context and build the image (or only write the context, with `output`).

    A build runs programs of the lock: of its base image, of OS packages, of wheels with `.pth` files. Writing the
    context runs one, the interpreter of its base image, and that only for a lock that somebody vouches for.

    Raises RefusedError when lock, code or a file is not what was frozen or nobody vouches for the lock, NotRunError
    when a step failed.
    """
    project = request.project.resolve()
    _require_secrets(request)
    _require_destination(request)
    path = lockfile.lock_path(project, request.name)
    content = lockfile.read_bytes(path)
    lock = lockfile.parse(content, source=path.name)
    require_asked_platform(request.platform, lock.base.platform)
    lockfile.require_no_gaps(lock, strict=request.strict)
    if not request.frozen_code:
        require_frozen_code(project, lock.code, lock_store(project))
    if request.output is None:
        _require_fitting_gpu(lock)
    from envcap.render.context import base_reference

    if request.output is not None:
        _require_new(request.output)
        context = _render(request, lock, content, needs_base=True)
        with ExitStack() as stack:
            compiler = None
            if is_compiled_before(context, lock):
                trusted = has_consent(request.consent, hashlib.sha256(content).hexdigest())
                compiler = without_building(
                    context, base_reference(lock), trusted=trusted, environ=environ, stack=stack, tell=tell
                )
            inputs = written(context, lock, project, compiler=compiler, environ=environ, tell=tell)
            shutil.copytree(stack.enter_context(inputs), request.output, dirs_exist_ok=True)
        return Built(lock=lock, context=context, output=request.output)

    with closing(open_engine("docker" if request.portable else request.engine, project, tell=tell)) as engine:
        needs_base = engine.name != "venv"
        require_platform(engine, lock.base.platform)
        _require_rebuildable(lock, request, needs_base=needs_base)
        intention = Intention(
            verb="build", engine=engine.name, chosen=request.engine, link_scripts=request.link_scripts
        )
        require_consent(request.consent, lock, hashlib.sha256(content).hexdigest(), intention, tell=tell)
        context = _render(request, lock, content, needs_base=needs_base)
        arguments = _arguments(lock, environ) if request.portable and "snapshot" not in request.secrets else {}
        compiler = None
        if needs_base:
            context, base = settle_base(context, lock, project, engine, tell=tell)
            if is_compiled_before(context, lock):
                compiler = inside(engine, base, locked=base_reference(lock), platform=context.platform)
        with written(context, lock, project, compiler=compiler, environ=environ, tell=tell) as folder:
            context = structs.replace(context, unproven=[*context.unproven, *os_scripts(folder / OS_PACKAGES)])
            started = _now()
            image = _make(engine, request, context, folder, arguments=arguments, tell=tell)
        if engine.name != "venv":  # that one remembers its own
            remember_image(image, own=own_images(environ), tell=tell)
        if request.push:
            image = structs.replace(image, pushed=engine.push(image.reference, tell=tell))
        making = Making(image=image, target=request.target, portable=request.portable, started=started, finished=_now())
        names = [*(package.name for package in lock.packages), *(package.name for package in lock.conda)]
        layers = engine.layers(image)
        return Built(lock=lock, context=context, image=image, layers=layers, copies=copies(names), making=making)


def _render(request: BuildRequest, lock: Lock, content: bytes, *, needs_base: bool) -> Context:
    sha256 = hashlib.sha256(content).hexdigest()
    if request.portable:
        from envcap.render.portable import render_portable
        from envcap.report.requirements import describe_requirements

        requirements = describe_requirements(lock, beside="wheels")
        return render_portable(
            lock, lock_sha256=sha256, requirements=requirements, lock_file=content, target=request.target
        )
    from envcap.render.context import render

    return render(
        lock,
        lock_sha256=sha256,
        needs_base=needs_base,
        lock_file=content,
        target=request.target,
        link_scripts=request.link_scripts,
    )


def _make(
    engine: Engine, request: BuildRequest, context: Context, folder: Path, *, arguments: Mapping[str, str], tell: Tell
) -> Image:
    """Build the image: without a network, or with one, and with arguments, for a portable context."""
    tag = request.tag or context.tag
    if not request.portable:
        return engine.build(context, folder, tag=tag, use_cache=request.use_cache, tell=tell)
    from envcap.engines.online import build_online

    build_online(
        context,
        folder,
        tag=tag,
        secrets=request.secrets,
        arguments=arguments,
        use_cache=request.use_cache,
        tell=tell,
    )
    image = engine.find(tag)
    if image is None:
        raise NotRunError(f"Docker has no image `{tag}` right after it was built.")
    return image


def _arguments(lock: Lock, environ: Mapping[str, str]) -> dict[str, str]:
    """Give what a portable Dockerfile is told besides: where its OS packages are as they were, if that is known."""
    from envcap.pins.os_packages import snapshot_service

    service = snapshot_service(lock.os_packages.packages if lock.os_packages is not None else [], environ=environ)
    return {} if service is None else {"SNAPSHOT": service}


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _require_secrets(request: BuildRequest) -> None:
    """Raise WrongUsageError for a secret that no step knows or that is no file, and for one that nothing takes."""
    for name, path in request.secrets.items():
        if name not in SECRETS:
            raise WrongUsageError(f"`{name}` is no secret of a build.", hint=f"There is: {', '.join(SECRETS)}.")
        if not path.is_file() or "," in str(path.resolve()):
            raise WrongUsageError(f"`{path}` is no file that can be handed to a build.")
    if request.secrets and (not request.portable or request.output is not None):
        raise WrongUsageError(
            "`--secret` is for a portable build alone; any other has no network.",
            hint="Packages are fetched on this machine, with its own certificates and credentials.",
        )
    if request.portable and request.engine not in {"auto", "docker"}:
        raise WrongUsageError(f"A portable Dockerfile is built with BuildKit, not with `{request.engine}`.")


def _require_destination(request: BuildRequest) -> None:
    """Raise WrongUsageError for a push without an image, or to no place that a tag names."""
    if not request.push:
        return
    hint = "For example `envcap build --push --tag registry.example.org/NAME:TAG`."
    if request.output is not None or request.engine == "venv":
        other = "--output" if request.output is not None else "--engine venv"
        raise WrongUsageError(f"`--push` is for an image, and `{other}` makes none.")
    if request.tag is None:
        raise WrongUsageError("`--push` needs to know where to: there is no `--tag`.", hint=hint)
    if _PUSHABLE.fullmatch(request.tag) is None:
        raise WrongUsageError(f"`{request.tag}` names no image in a registry.", hint=hint)


def _require_fitting_gpu(lock: Lock) -> None:
    """Raise NotRunError where this machine's driver or GPU cannot run the locked CUDA: hours of building for nothing.

    Only for a lock whose evaluation had a GPU, on a machine that has one: others may build for elsewhere.
    """
    stack = stack_of(lock)
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


def _require_rebuildable(lock: Lock, request: BuildRequest, *, needs_base: bool) -> None:
    """Raise NotRunError for what only an image can be.

    A conda layer without one would have to be put into this machine's own folder.
    """
    if not needs_base and (request.target != "eval" or request.push):
        asked = "`--push` is for an image" if request.push else f"`--target {request.target}` is a kind of image"
        raise NotRunError(
            f"{asked}, and the engine `venv` makes none.",
            hint="`envcap doctor` tells what a container engine needs here.",
        )
    if lock.conda_prefix is None or needs_base:
        return
    raise NotRunError(
        f"The lock holds {len(lock.conda)} conda packages for `{lock.conda_prefix.path}`, and the engine `venv` "
        "rebuilds only what pip installed.",
        hint="Build it as an image: `envcap build --engine docker`.",
    )
