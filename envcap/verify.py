"""Verify: rerun the evaluation inside the image, look at what is in there, and judge."""

import tempfile
import time
from contextlib import closing
from pathlib import Path

from envcap import lockfile
from envcap.compare.causes import with_trials
from envcap.compare.conclusion import conclude
from envcap.compare.environment import compare_environment
from envcap.compare.libraries import compare_libraries
from envcap.compare.numerics import compare_numerics
from envcap.compare.settings import compare_settings
from envcap.compare.variations import conclude_stress
from envcap.compare.wording import claim_of
from envcap.config import STDOUT_JSON
from envcap.consent import Consent, require_consent
from envcap.diagnose import Case, find_causes
from envcap.engines import open_engine, require_platform
from envcap.engines.engine import Engine
from envcap.errors import EnvcapError, NotRunError, RefusedError, WrongUsageError
from envcap.evaluate.observe import inner_settings, mapped_libraries, parse_events
from envcap.evaluate.watch import hook_source
from envcap.explain import try_causes
from envcap.gpus import chosen_gpus
from envcap.image_facts import facts_of_image
from envcap.judge import Returned, judge_outputs
from envcap.machine.debian import STATUS, read_status
from envcap.machine.gpu_libraries import with_loaded
from envcap.model.cause import Cause, Trial
from envcap.model.facts import Facts
from envcap.model.gap import Gap
from envcap.model.image import Image, Outcome, Task
from envcap.model.lock import Lock
from envcap.model.numerics import Numerics
from envcap.model.progress import Progress, Tell, say_nothing
from envcap.model.struct import Data
from envcap.model.verdict import Finding, Judgement, Verdict
from envcap.numerics import measure
from envcap.numerics.measure import numerics_task
from envcap.places import lock_store
from envcap.probe.handover import unlisted_libraries
from envcap.project.code import require_frozen_code
from envcap.project.inputs import changed_data
from envcap.project.known import KnownDigests
from envcap.project.mounts import mounts_of
from envcap.report.derivation import describe_derivation
from envcap.report.intention import Intention
from envcap.stress import stress


class VerifyRequest(Data, frozen=True, kw_only=True):
    """What the command line asked for."""

    project: Path
    name: str = "envcap"
    engine: str = "auto"
    image: str | None = None
    repeat: int = 1
    timeout: float | None = None  # seconds, for one run; None for what was frozen
    memory: int | None = None  # bytes
    network: bool = False
    gpus: str = "auto"  # `auto`, `all`, `none`, or numbers and UUIDs with commas between
    frozen_code: bool = False
    strict: bool = False
    explain: bool = False
    stress: bool = False
    consent: Consent = Consent()
    known: Path | None = None  # the folder that remembers digests of data files


def verify(request: VerifyRequest, *, tell: Tell) -> tuple[Judgement, Lock]:
    """Run the frozen evaluation in the image and judge what came back; give the judgement and the lock.

    Raises RefusedError when lock, code, data or image are not what was frozen or nobody vouches for the lock,
    NotRunError when it could not run; a run that gave other results is not an error but a verdict.
    """
    if request.repeat < 1:
        raise WrongUsageError(f"`--repeat` is `{request.repeat}`; it must be at least 1.")
    project = request.project.resolve()
    lock, sha256 = lockfile.read(lockfile.lock_path(project, request.name))
    lockfile.require_no_gaps(lock, strict=request.strict)
    if not request.frozen_code:
        require_frozen_code(project, lock.code, lock_store(project))
    require_frozen_data(project, lock, known=request.known, tell=tell)
    started = time.monotonic()
    with closing(open_engine(request.engine, project, tell=tell)) as engine:
        require_platform(engine, lock.base.platform)
        image = _find_image(engine, request, lock, sha256)
        task = _task(request, lock, project, apart=engine.name != "venv")
        intention = Intention(verb="verify", engine=engine.name, network=request.network)
        require_consent(request.consent, lock, sha256, intention, tell=tell)
        _show_before_running(engine, image, lock, task, tell)
        facts = facts_of_image(engine, image, gpus=task.gpus)
        with tempfile.TemporaryDirectory(prefix="envcap-results-") as name:
            runs = [
                _run(engine, image, task, request, lock, results=Path(name) / str(number), number=number, tell=tell)
                for number in range(1, request.repeat + 1)
            ]
            checks = judge_outputs(lock, runs, store=lock_store(project))
            events = b"".join(run.events for run in runs)
            numerics, numerics_gaps = _fingerprint(engine, image, lock, mapped_libraries(events), gpus=task.gpus)
            findings = [
                *compare_environment(lock, facts),
                *_compare_libraries(lock, engine, image, events),
                *_compare_settings(lock, engine, image, facts, events, gpus=task.gpus),
                *compare_numerics(lock.numerics, numerics),
            ]
            verdict, reasons = conclude(checks, findings)
            case = Case(engine, image, lock, task, lock_store(project), facts, numerics, runs, checks, findings)
            causes, trials = _causes(case, verdict, explain=request.explain, tell=tell)
            stressed = stress(case, tell=tell) if request.stress and verdict is not Verdict.REFUSED else []
            verdict, reasons = conclude_stress(verdict, reasons, stressed)
        judgement = Judgement(
            verdict=verdict,
            reasons=reasons if lock.derivation is None else [*reasons, describe_derivation(lock.derivation)],
            kind=lock.declaration.kind,
            claim=claim_of(lock.declaration.kind, verdict),
            runs=request.repeat,
            checks=checks,
            findings=findings,
            causes=causes,
            trials=trials,
            stressed=stressed,
            gaps=[*lock.gaps, *numerics_gaps],
            notes=list(engine.not_rebuilt),
            engine=engine.name,
            image=image.reference,
            image_digest=image.identity,
            lock=sha256,
            seconds=round(time.monotonic() - started, 3),
        )
    return judgement, lock


def _run(
    engine: Engine,
    image: Image,
    task: Task,
    request: VerifyRequest,
    lock: Lock,
    *,
    results: Path,
    number: int,
    tell: Tell,
) -> Returned:
    """Run the evaluation once, in a fresh container or folder, and give where its outputs are."""
    results.mkdir()
    if request.repeat > 1:
        tell(Progress(kind="step", text=f"run {number} of {request.repeat}"))
    outcome = engine.run(image, task, results=results, tell=tell)
    _require_ended_well(outcome, lock, request)
    return Returned(folder=results, stdout=outcome.stdout, events=outcome.events)


def _causes(case: Case, verdict: Verdict, *, explain: bool, tell: Tell) -> tuple[list[Cause], list[Trial]]:
    """Say why the outputs did not come back to the bit, where they did not; with `explain` after trying it."""
    if verdict is Verdict.IDENTICAL:
        return [], []
    causes = find_causes(case, tell=tell)
    if not explain or verdict is Verdict.REFUSED:  # what is in the image is known to be wrong: nothing to try
        return causes, []
    trials = try_causes(case, causes, verdict, tell=tell)
    return with_trials(causes, trials), trials


def require_frozen_data(project: Path, lock: Lock, *, known: Path | None, tell: Tell) -> None:
    """Raise RefusedError unless the declared data are what was frozen; `known` remembers what was read before."""
    digests = KnownDigests(known) if known is not None else None
    changes = changed_data(project, lock.data, lock_store(project), known=digests, tell=tell)
    if changes:
        raise RefusedError(
            f"The data are not what was frozen: {'; '.join(changes[:5])}.",
            hint="Put the frozen data back, or `envcap freeze` again if the change is meant.",
        )


def _find_image(engine: Engine, request: VerifyRequest, lock: Lock, sha256: str) -> Image:
    from envcap.render.context import default_tag

    reference = request.image or default_tag(lock, lock_sha256=sha256)
    image = engine.find(reference)
    if image is None:
        raise NotRunError(
            f"There is no image `{reference}` to run the evaluation in.",
            hint=f"Build it: `envcap build --engine {engine.name}`.",
        )
    if image.target != "eval":
        raise WrongUsageError(
            f"`{reference}` was built with `--target {image.target}`, without the evaluation's code.",
            hint="`envcap build` makes the one that verify runs.",
        )
    if image.lock_sha256 != sha256:
        was = f"the lock {image.lock_sha256[:12]}…" if image.lock_sha256 else "no lock"
        raise RefusedError(
            f"The image `{reference}` was built from {was}, not from this one ({sha256[:12]}…).",
            hint=f"Build it again: `envcap build --engine {engine.name}`.",
        )
    return image


def _show_before_running(engine: Engine, image: Image, lock: Lock, task: Task, tell: Tell) -> None:
    """Show what will run: a lock is someone else's program."""
    tell(
        Progress(
            kind="step", text=f"running `{' '.join(lock.declaration.command)}` in {engine.name} `{image.reference}`"
        )
    )
    for item in lock.data:
        tell(Progress(kind="notice", text=f"it reads `{item.path}` ({item.files} files, {item.size:,} bytes)"))
    declared = {item.path for item in lock.data}
    for mount in task.mounts:
        if mount.target not in declared:
            tell(Progress(kind="notice", text=f"it reads `{mount.target}`, a link to `{mount.source}`"))
    for note in engine.not_rebuilt:
        tell(Progress(kind="notice", text=note))


def _fingerprint(
    engine: Engine, image: Image, lock: Lock, mapped: list[str], *, gpus: list[str] | None
) -> tuple[Numerics, list[Gap]]:
    """Take the numeric fingerprint inside, where the frozen environment had anything to compute with."""
    if lock.numerics == Numerics():
        return Numerics(), []
    task = numerics_task(gpus=gpus, mapped=mapped)
    with tempfile.TemporaryDirectory(prefix="envcap-numerics-") as name:
        outcome = engine.run(image, task, results=Path(name), tell=say_nothing)
    return measure.read_outcome(outcome)


def _task(request: VerifyRequest, lock: Lock, project: Path, *, apart: bool) -> Task:
    declaration = lock.declaration
    outputs = [] if declaration.metrics == STDOUT_JSON else [declaration.metrics]
    return Task(
        command=declaration.command,
        timeout=request.timeout or declaration.timeout,
        outputs=[*outputs, *declaration.artifacts],
        mounts=mounts_of(lock.data, project, apart=apart),
        memory=request.memory,
        network=request.network,
        hook=hook_source() if lock.libraries or lock.settings else None,
        gpus=chosen_gpus(request.gpus, lock),
    )


def _compare_libraries(lock: Lock, engine: Engine, image: Image, events: bytes) -> list[Finding]:
    """Compare what was loaded inside; with an image, also the versions of the packages that own it."""
    status = engine.read(image.identity, [STATUS]).get(STATUS, b"")
    versions = {name: package.version for name, package in read_status(status.decode(errors="replace")).items()}
    return compare_libraries(lock, loaded=mapped_libraries(events), versions=versions or None)


def _compare_settings(
    lock: Lock, engine: Engine, image: Image, facts: Facts, events: bytes, *, gpus: list[str] | None
) -> list[Finding]:
    """Compare what the runs ended with; the copies that they loaded are marked as they were at freeze."""
    seen = parse_events(events)
    mapped = mapped_libraries(events)
    unlisted = unlisted_libraries(facts, mapped)
    if unlisted:
        facts = facts_of_image(engine, image, gpus=gpus, loaded=unlisted)
    hardware = with_loaded(facts, mapped, watched=bool(seen))
    settings = inner_settings(seen.get("setting", ()))
    return compare_settings(lock, gpu_libraries=hardware.gpu_libraries, settings=settings)


def _require_ended_well(outcome: Outcome, lock: Lock, request: VerifyRequest) -> None:
    """Raise NotRunError with the last lines unless the evaluation ended by itself and well."""
    said = "\n".join(f"  {line}" for line in outcome.tail[-12:])
    command = " ".join(lock.declaration.command)
    if outcome.out_of_memory:
        raise _not_run(f"The evaluation ran out of memory: `{command}`.", said, "Allow it more with `--memory`.")
    if outcome.timed_out:
        limit = request.timeout or lock.declaration.timeout
        raise _not_run(
            f"The evaluation did not end within {limit:g} s and was stopped: `{command}`.",
            said,
            "Give it longer with `--timeout`, for example `--timeout 2h`.",
        )
    if outcome.code != 0:
        raise _not_run(
            f"The evaluation failed inside with exit code {outcome.code}: `{command}`.",
            said,
            "It ran when it was frozen. Does it need the network, a file outside the project, or a gap of the lock?",
        )


def _not_run(message: str, said: str, hint: str) -> EnvcapError:
    return NotRunError(f"{message}\n{said}".rstrip(), hint=hint)
