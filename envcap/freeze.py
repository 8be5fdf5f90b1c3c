"""Freeze: inspect the live environment, run the reference evaluation, write one lock. Reads as a table of contents."""

import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import structs

from envcap import __version__, lockfile
from envcap.config import Override, declare, read_configuration
from envcap.consent import write_own
from envcap.errors import NotRunError, WrongUsageError
from envcap.evaluate.collect import artifact_files
from envcap.evaluate.environment import locale_gaps, recordable, with_interpreter_first
from envcap.evaluate.reference import portable_command, run_reference
from envcap.evaluate.watch import watching
from envcap.model.evaluation import Declaration, Run
from envcap.model.facts import Facts
from envcap.model.gap import Gap
from envcap.model.lock import Lock
from envcap.model.progress import Progress, Tell
from envcap.model.struct import Data
from envcap.numerics.measure import measure_host
from envcap.places import digest_cache, download_cache, lock_store
from envcap.probe.handover import find_python, probe_host
from envcap.project.code import capture_code, fingerprints, outputs_and_data
from envcap.project.inputs import changed_data, measure_data
from envcap.project.known import KnownDigests
from envcap.requirements import relate, with_dependencies
from envcap.store import Store

if TYPE_CHECKING:
    from envcap.pins.carry import Pinned
    from envcap.pins.configuration import Configuration

_LARGEST_KEPT_ARTIFACT = 64 << 20  # bytes; of larger ones the lock holds the digest only


class FreezeRequest(Data, frozen=True, kw_only=True):
    """What the command line asked for."""

    project: Path
    name: str = "envcap"
    python: Path | None = None
    prefix: Path | None = None  # of a conda environment
    base: str | None = None
    override: Override = Override()
    offline: bool = False
    strict: bool = False
    refresh: bool = False
    deep: bool = False


class Frozen(Data, frozen=True, kw_only=True):
    """The lock that was written, where, and the sha256 of its bytes."""

    lock: Lock
    path: Path
    sha256: str


def freeze(request: FreezeRequest, *, environ: Mapping[str, str], tell: Tell) -> Frozen:
    """Freeze the environment and write the lock; before the very end nothing is written.

    Raises WrongUsageError for what cannot be meant, NotRunError for what failed, StrictError for gaps with `strict`.
    """
    project = _require_project(request.project)
    path = lockfile.lock_path(project, request.name)
    declaration = declare(read_configuration(project), request.override)

    tell(Progress(kind="step", text="inspecting the environment"))
    facts = probe_host(find_python(_asked_for(request), environ))
    env = _evaluation_environment(facts, environ)
    declaration = _portable(declaration, facts, env)

    with lock_store(project).staged() as store:
        lock = _learn(request, project, declaration, facts, store, env=env, environ=environ, tell=tell)
        lockfile.require_no_gaps(lock, strict=request.strict)
        content = lockfile.dump(lock)
    return Frozen(lock=lock, path=path, sha256=write_own(content, path, environ=environ, tell=tell))


def _learn(
    request: FreezeRequest,
    project: Path,
    declaration: Declaration,
    facts: Facts,
    store: Store,
    *,
    env: Mapping[str, str],
    environ: Mapping[str, str],
    tell: Tell,
) -> Lock:
    """Learn everything that the lock holds. What can fail early comes early: the evaluation may take hours."""
    from envcap.libraries import learn_surroundings
    from envcap.pins.base_image import resolve_base
    from envcap.pins.conda import pin_conda, with_edits
    from envcap.pins.conda_gaps import activation_gaps
    from envcap.pins.declared import read_every_index
    from envcap.pins.leftovers import find_leftovers

    variables, variable_gaps = recordable(environ, named=declaration.environment)
    known = KnownDigests(digest_cache(environ), trusted=not request.refresh)
    data = measure_data(project, declaration.data, store, known=known, tell=tell)
    configuration = read_every_index(Path(facts.executable), project=project, environ=environ)
    if request.offline and facts.conda is not None:
        raise WrongUsageError(
            "A conda environment cannot be frozen with `--offline`.",
            hint="Freeze it where its channels can be reached, without `--offline`.",
        )
    conda = pin_conda(facts, configuration=configuration, store=store, cache=download_cache(environ), tell=tell)
    facts = conda.facts
    tell(Progress(kind="step", text=f"pinning {sum(one.conda is None for one in facts.distributions)} packages"))
    left_out = [project / path for path in outputs_and_data(project, declaration)]
    pinned = _pin(facts, store, request, configuration, left_out=left_out, environ=environ, tell=tell)
    relations = relate(facts)
    tell(Progress(kind="step", text="resolving the base image"))
    base, base_gaps = resolve_base(facts, explicit=request.base, offline=request.offline)

    before = fingerprints(project, declaration)
    artifact_gaps: dict[str, Gap] = {}
    with watching(env, cwd=project, deep=request.deep) as watch:
        runs = run_reference(
            declaration,
            project=project,
            env=watch.env,
            interpreter=Path(facts.executable),
            tell=tell,
            after_each=lambda: artifact_gaps.update(_keep_reference_artifacts(project, declaration, store)),
            prefix=watch.prefix,
        )
        observed = watch.observed()
    _require_primary(declaration, runs)
    leftovers = find_leftovers(facts, observed, project=project)
    numerics, numerics_gaps = measure_host(Path(facts.executable), env=env, cwd=project, mapped=observed.mapped)
    if changes := changed_data(project, data.inputs, store, known=known):
        raise NotRunError(f"The evaluation changed its own input: {changes[0]}.", hint="Let it write elsewhere.")
    captured = capture_code(project, declaration, store, before=before)
    around = learn_surroundings(
        facts,
        observed,
        declaration,
        project=project,
        base=base,
        taken=before,
        env=env,
        cache=download_cache(environ),
        tell=tell,
        own_base=request.base is not None,
        offline=request.offline,
    )
    return Lock(
        name=request.name,
        created_at=datetime.now(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z"),
        created_by=f"envcap {__version__}",
        python=facts.interpreter,
        system=structs.replace(facts.system, environment=variables),
        hardware=around.hardware,
        base=base,
        code=captured.code,
        declaration=declaration,
        runs=runs,
        packages=with_dependencies(pinned.packages, relations),
        data=data.inputs,
        conda_prefix=with_edits(conda, leftovers.carried, store=store),
        conda=conda.packages,
        gaps=[
            *facts.gaps,
            *conda.gaps,
            *leftovers.gaps,
            *activation_gaps(facts, recorded=list(variables)),
            *pinned.gaps,
            *relations.gaps,
            *base_gaps,
            *variable_gaps,
            *locale_gaps(facts.system, around.os_packages.locales if around.os_packages is not None else ()),
            *captured.gaps,
            *data.gaps,
            *artifact_gaps.values(),
            *around.gaps,
            *numerics_gaps,
        ],
        numerics=numerics,
        settings=around.settings,
        seeds=around.seeds,
        conflicts=relations.conflicts,
        libraries=around.libraries,
        executables=around.executables,
        floor=around.floor,
        os_packages=around.os_packages,
        toolkit=around.toolkit,
        watched=around.watched,
    )


def _pin(
    facts: Facts,
    store: Store,
    request: FreezeRequest,
    configuration: "Configuration",
    *,
    left_out: Sequence[Path],
    environ: Mapping[str, str],
    tell: Tell,
) -> "Pinned":
    from envcap.pins.offline import pin_offline
    from envcap.pins.pip import pin

    cache = download_cache(environ)
    if not request.offline:
        return pin(
            facts,
            configuration=configuration,
            store=store,
            cache=cache,
            tell=tell,
            refresh=request.refresh,
            left_out=left_out,
        )
    return pin_offline(
        facts,
        configuration=configuration,
        store=store,
        cache=cache,
        environ=environ,
        tell=tell,
        refresh=request.refresh,
        left_out=left_out,
    )


def _asked_for(request: FreezeRequest) -> Path | None:
    """Give the interpreter, or the folder of the environment, that the user named."""
    if request.prefix is None:
        return request.python
    if request.python is not None:
        raise WrongUsageError("`--python` and `--prefix` both name an environment.", hint="Give one of them.")
    if not (request.prefix.expanduser() / "conda-meta").is_dir():
        raise WrongUsageError(
            f"`{request.prefix}` is not a conda environment: it has no folder `conda-meta`.",
            hint="`conda env list` shows where they are; other environments are named with `--python`.",
        )
    return request.prefix


def _require_project(project: Path) -> Path:
    if not project.is_dir():
        raise WrongUsageError(f"The project `{project}` is not a folder.")
    if not os.access(project, os.W_OK):
        raise NotRunError(f"The project `{project}` cannot be written to, so no lock can be put there.")
    return project.resolve()


def _evaluation_environment(facts: Facts, environ: Mapping[str, str]) -> dict[str, str]:
    prefix = Path(facts.prefix) if facts.interpreter.kind == "venv" else None
    env = with_interpreter_first(environ, programs=Path(facts.executable).parent, prefix=prefix)
    return {**env, "CONDA_PREFIX": facts.prefix} if facts.interpreter.kind == "conda" else env


def _portable(declaration: Declaration, facts: Facts, env: Mapping[str, str]) -> Declaration:
    command = portable_command(declaration.command, env=env, interpreter=Path(facts.executable))
    return structs.replace(declaration, command=command)


def _require_primary(declaration: Declaration, runs: list[Run]) -> None:
    if declaration.primary is not None and declaration.primary not in runs[0].metrics:
        raise WrongUsageError(
            f"The primary metric `{declaration.primary}` is not among the metrics.",
            hint=f"The evaluation gave: {', '.join(list(runs[0].metrics)[:12])}.",
        )


def _keep_reference_artifacts(project: Path, declaration: Declaration, store: Store) -> dict[str, Gap]:
    """Keep what a run wrote, so that differences can be shown and runs compared with each other; give gaps by path."""
    gaps = {}
    for path in artifact_files(project, declaration):
        if path.stat().st_size <= _LARGEST_KEPT_ARTIFACT:
            store.add_file(path)
        else:
            subject = path.relative_to(project).as_posix()
            gaps[subject] = Gap(
                where="evaluation.artifacts",
                subject=subject,
                reason=f"it is large ({path.stat().st_size:,} bytes), so only its digest is kept",
                consequence="a difference can be told, but not where in the file it is",
            )
    return gaps
