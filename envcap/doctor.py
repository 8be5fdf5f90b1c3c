"""Doctor: what this machine can do for freeze, build and verify, and what to install. Changes nothing."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from envcap.errors import EnvcapError, NotRunError
from envcap.model.examination import Examination
from envcap.model.facts import Facts
from envcap.model.progress import Progress, Tell
from envcap.model.struct import Data
from envcap.places import download_cache
from envcap.process import capture

_SCARCE = 5_000_000_000  # bytes; a CUDA stack and its image take more
_ENGINE_PURPOSE = "rebuild the operating system too; without it `--engine venv` rebuilds the Python layer"


class DoctorRequest(Data, frozen=True, kw_only=True):
    """What the command line asked for."""

    project: Path
    python: Path | None = None


def examine(request: DoctorRequest, *, environ: Mapping[str, str], tell: Tell) -> list[Examination]:
    """Examine every point. One that fails is a result like another; nothing is raised for it."""
    facts: list[Facts] = []
    points: list[tuple[str, Callable[[], list[Examination]]]] = [
        ("the environment", lambda: [_examine_environment(request, environ, facts)]),
        ("git", lambda: [_examine_git()]),
        ("the package index", lambda: _examine_indexes(facts)),
        ("the engine", lambda: [*_examine_engine(), *_examine_podman()]),
        ("the GPU", lambda: _examine_gpu(facts)),
        ("the base image", lambda: _examine_base(facts)),
        ("the disk", lambda: _examine_disk(request, environ)),
    ]
    results = []
    for subject, point in points:
        tell(Progress(kind="step", text=f"examining {subject}"))
        results += point()
    return results


def _examine_environment(request: DoctorRequest, environ: Mapping[str, str], facts: list[Facts]) -> Examination:
    from envcap.probe.handover import find_python, probe_host

    purpose = "freeze it"
    try:
        facts.append(probe_host(find_python(request.python, environ)))
    except EnvcapError as error:
        return _failed("environment", error, purpose)
    python = facts[0].interpreter
    found = f"{python.implementation} {python.version} ({python.kind}), {len(facts[0].distributions)} packages"
    return Examination(subject="environment", state="good", found=f"{found} in {facts[0].prefix}", purpose=purpose)


def _examine_git() -> Examination:
    purpose = "record commit and changes; without it the code is kept as a copy only"
    program = shutil.which("git")
    if program is None:
        return Examination(
            subject="git", state="missing", found="not on the PATH", purpose=purpose, hint="Install the package `git`."
        )
    done = capture([program, "--version"], purpose="Asking git for its version", check=False)
    return Examination(subject="git", state="good", found=done.stdout.decode(errors="replace").strip(), purpose=purpose)


def _examine_indexes(facts: list[Facts]) -> list[Examination]:
    import sys
    from contextlib import closing

    import requests

    from envcap.pins.configuration import Place, read_configuration
    from envcap.pins.session import explain, explain_status, open_session

    purpose = "find the file and the sha256 of every package"

    def ask(place: Place) -> Examination:
        address = f"{place.url.rstrip('/')}/pip/"
        try:
            with session.get(address, stream=True) as answer:
                # 404: an index of one's own need not have pip
                if not answer.ok and answer.status_code != 404:
                    raise explain_status(answer.status_code, answer.reason, url=place.public)
        except requests.RequestException as error:
            return _failed("index", explain(error, url=place.public), purpose)
        except NotRunError as error:
            return _failed("index", error, purpose)
        return Examination(subject="index", state="good", found=f"{place.public} answers", purpose=purpose)

    try:
        configuration = read_configuration(Path(facts[0].executable if facts else sys.executable))
        with closing(open_session(configuration)) as session:
            return [ask(place) for place in configuration.indexes if not place.local]
    except EnvcapError as error:
        return [_failed("index", error, purpose)]


def _examine_engine() -> list[Examination]:
    from envcap.engines.buildkit import buildx_version
    from envcap.engines.inspection import inspect_engine

    try:
        engine = inspect_engine()
    except NotRunError as error:
        missing = Examination(
            subject="engine", state="missing", found=error.message, purpose=_ENGINE_PURPOSE, hint=error.hint
        )
        return [missing]
    found = f"Docker {engine.version}, {engine.storage}{', rootless' if engine.rootless else ''}"
    buildx = buildx_version()
    folder = Path(engine.folder)
    return [
        *([_examine_room("engine", folder)] if engine.folder and folder.is_dir() else []),  # it may be elsewhere
        Examination(subject="engine", state="good", found=found, purpose=_ENGINE_PURPOSE),
        Examination(
            subject="BuildKit",
            state="good" if buildx else "missing",
            found=f"buildx {buildx}" if buildx else "the Docker client has no buildx",
            purpose="build fast, and the same digest each time; without it the classic builder gives the same layers",
            hint="" if buildx else "Install the package `docker-buildx` (Debian) or `docker-buildx-plugin` (Docker).",
        ),
    ]


def _examine_podman() -> list[Examination]:
    """Look at podman where its program is: nobody needs it beside Docker."""
    from contextlib import closing

    from envcap.engines import podman

    if shutil.which("podman") is None:
        return []
    try:
        with closing(podman.open_engine(Path())) as engine:
            found = f"podman {podman.podman_version('podman')} on {engine.platform}"
    except NotRunError as error:
        missing = Examination(
            subject="podman", state="missing", found=error.message, purpose=_ENGINE_PURPOSE, hint=error.hint
        )
        return [missing]
    return [Examination(subject="podman", state="good", found=found, purpose=_ENGINE_PURPOSE)]


def _examine_gpu(facts: list[Facts]) -> list[Examination]:
    from envcap.engines.inspection import inspect_engine

    return examine_gpus(facts[0], runtimes=lambda: inspect_engine().runtimes) if facts else []


def examine_gpus(facts: Facts, *, runtimes: Callable[[], list[str]]) -> list[Examination]:
    """Tell of the GPUs, and whether a container can use them; `runtimes` asks the engine for its own.

    Nothing is raised where it raises NotRunError.
    """
    purpose = "run an evaluation on a GPU"
    hardware = facts.hardware
    troubles = [gap.reason for gap in facts.gaps if gap.where == "hardware" and gap.subject.startswith("gpu")]
    if troubles:
        hint = "`nvidia-smi` should work first: reboot after a driver update, or install the driver again."
        return [Examination(subject="GPU", state="failed", found=troubles[0], purpose=purpose, hint=hint)]
    if not hardware.gpus:
        return [Examination(subject="GPU", state="missing", found="no GPU", purpose=purpose)]
    told = [
        ", ".join(gpu.name for gpu in hardware.gpus),
        f"driver {hardware.driver}" if hardware.driver else "",
        f"up to CUDA {hardware.cuda_driver}" if hardware.cuda_driver else "",
    ]
    gpu = Examination(subject="GPU", state="good", found="; ".join(filter(None, told)), purpose=purpose)
    return [gpu, _examine_gpu_runtime(runtimes if any(gpu.maker == "nvidia" for gpu in hardware.gpus) else None)]


def _examine_gpu_runtime(runtimes: Callable[[], list[str]] | None) -> Examination:
    """Tell whether the engine can hand a GPU in; None for a GPU that is not NVIDIA's."""
    subject, purpose = "GPU runtime", "let containers use the GPU"
    if runtimes is None:
        hint = "`--engine venv` rebuilds the Python layer and uses the GPU as it is."
        found = "containers of envcap are given NVIDIA's GPUs only"
        return Examination(subject=subject, state="missing", found=found, purpose=purpose, hint=hint)
    try:
        names = runtimes()
    except NotRunError as error:
        return Examination(subject=subject, state="missing", found=error.message, purpose=purpose)
    if "nvidia" in names:
        return Examination(subject=subject, state="good", found="the engine has `nvidia`", purpose=purpose)
    return Examination(
        subject=subject,
        state="missing",
        found=f"the engine has only {', '.join(f'`{name}`' for name in names)}",
        purpose=purpose,
        hint="Install the package `nvidia-container-toolkit`, run `sudo nvidia-ctk runtime configure "
        "--runtime=docker` and start Docker again.",
    )


def _examine_base(facts: list[Facts]) -> list[Examination]:
    from envcap.pins.base_image import resolve_base

    if not facts:
        return []
    purpose = "build on a base image pinned by digest"
    base, gaps = resolve_base(facts[0], explicit=None)
    if gaps:
        hint = "Start Docker, log in to the registry, or name a base you have with `--base IMAGE`."
        return [Examination(subject="base image", state="missing", found=gaps[0].reason, purpose=purpose, hint=hint)]
    found = f"{base.reference}@{(base.digest or '')[:19]}…"
    return [Examination(subject="base image", state="good", found=found, purpose=purpose)]


def _examine_disk(request: DoctorRequest, environ: Mapping[str, str]) -> list[Examination]:
    import tempfile

    places = {
        "project": request.project.resolve(),
        "cache": download_cache(environ).root,
        "temporary": Path(tempfile.gettempdir()),
    }
    return [_examine_room(name, place) for name, place in places.items()]


def _examine_room(name: str, place: Path) -> Examination:
    purpose = f"keep files in the {name} folder"
    there = next(folder for folder in (place, *place.parents) if folder.is_dir())
    free = shutil.disk_usage(there).free
    found = f"{free / 1e9:,.0f} GB free at {place}"
    if free >= _SCARCE:
        return Examination(subject="disk", state="good", found=found, purpose=purpose)
    hint = "Free some space, or point `--project`, ENVCAP_CACHE or TMPDIR to another disk."
    return Examination(subject="disk", state="failed", found=found, purpose=purpose, hint=hint)


def _failed(subject: str, error: EnvcapError, purpose: str) -> Examination:
    return Examination(subject=subject, state="failed", found=error.message, purpose=purpose, hint=error.hint)
