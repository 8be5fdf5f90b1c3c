"""Verify: look at what is in the image, rerun the evaluation inside, and judge."""

import contextlib
import hashlib
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

from msgspec.structs import replace

from envcap import __version__, lockfile
from envcap.compare.causes import rank_causes, with_trials
from envcap.compare.clues import clues_of_lock
from envcap.compare.conclusion import conclude
from envcap.compare.environment import compare_environment
from envcap.compare.libraries import compare_libraries
from envcap.compare.numerics import compare_numerics
from envcap.compare.settings import compare_settings
from envcap.compare.variations import conclude_stress
from envcap.compare.wording import claim_of
from envcap.consent import Consent, require_consent
from envcap.diagnose import Case, find_causes
from envcap.engines import open_engine, require_platform
from envcap.engines.engine import Engine
from envcap.errors import EnvcapError, NotRunError, RefusedError, WrongUsageError
from envcap.evaluate.observe import inner_settings, mapped_libraries, parse_events
from envcap.explain import try_causes
from envcap.image_facts import facts_of_image
from envcap.image_files import examine_files
from envcap.judge import Returned, judge_outputs
from envcap.machine.debian import STATUS, read_status
from envcap.machine.gpu_libraries import with_loaded
from envcap.model.facts import Facts
from envcap.model.gap import Gap
from envcap.model.image import Image, Task
from envcap.model.lock import Lock
from envcap.model.numerics import Numerics
from envcap.model.progress import Progress, Tell, say_nothing
from envcap.model.struct import Data
from envcap.model.verdict import Finding, Judgement, Verdict
from envcap.numerics import measure
from envcap.numerics.measure import numerics_task
from envcap.places import lock_store, own_images
from envcap.probe.handover import unlisted_libraries
from envcap.project.code import require_frozen_code
from envcap.project.inputs import changed_data
from envcap.project.known import KnownDigests
from envcap.report.derivation import describe_derivation
from envcap.report.intention import Intention
from envcap.rerun import RunOptions, run_once, task_for
from envcap.stress import stress

# Takes what is known so far, again and again: a judgement without a verdict, for who reports if it ends early.
Note = Callable[[Judgement, Lock | None], None]


def note_nothing(judgement: Judgement, lock: Lock | None) -> None:
    """Take it to nobody."""
    del judgement, lock


class VerifyRequest(Data, frozen=True, kw_only=True):
    """What the command line asked for."""

    project: Path
    name: str = "envcap"
    engine: str = "auto"
    image: str | None = None
    repeat: int = 1
    run: RunOptions = RunOptions()
    frozen_code: bool = False
    strict: bool = False
    explain: bool = False
    stress: bool = False
    options: list[str] = []  # words that decide what is run, for who repeats it
    consent: Consent = Consent()
    known: Path | None = None  # the folder that remembers digests of data files


def verify(
    request: VerifyRequest, *, environ: Mapping[str, str], tell: Tell, note: Note = note_nothing
) -> tuple[Judgement, Lock]:
    """Run the frozen evaluation in the image and judge what came back; give the judgement and the lock.

    Raises RefusedError when lock, code, data or image are not what was frozen or nobody vouches for the lock,
    NotRunError when it could not run; a run that gave other results is not an error but a verdict. Whatever is raised,
    `note` was told before what was known by then.
    """
    if request.repeat < 1:
        raise WrongUsageError(f"`--repeat` is `{request.repeat}`; it must be at least 1.")
    project = request.project.resolve()
    path = lockfile.lock_path(project, request.name)
    content = lockfile.read_bytes(path)
    draft = _begin(content, request)
    note(draft, None)
    lock = lockfile.parse(content, source=path.name)
    draft = replace(draft, kind=lock.declaration.kind, gaps=lock.gaps)
    note(draft, lock)
    lockfile.require_no_gaps(lock, strict=request.strict)
    started = time.monotonic()
    with closing(open_engine(request.engine, project, tell=tell)) as engine:
        draft = replace(draft, engine=engine.name, notes=list(engine.not_rebuilt))
        require_platform(engine, lock.base.platform)
        intention = Intention(verb="verify", engine=engine.name, chosen=request.engine, network=request.run.network)
        require_consent(request.consent, lock, draft.lock, intention, tell=tell)  # before anything it names is read
        if not request.frozen_code:
            require_frozen_code(project, lock.code, lock_store(project))
        require_frozen_data(project, lock, known=request.known, tell=tell)
        image = _find_image(engine, request, lock, draft.lock)
        draft = replace(draft, image=image.reference, image_digest=image.identity)
        note(draft, lock)
        examined = examine_files(engine, image, lock, project, environ=environ, own=own_images(environ), tell=tell)
        draft = replace(
            draft, compared=examined.compared, notes=[*draft.notes, *examined.notes], findings=examined.findings
        )
        note(draft, lock)
        if examined.findings:  # what is in there was never frozen: it is not run
            judgement = _refuse(draft, lock)
        else:
            judgement = _run_and_judge(engine, image, lock, request, draft, tell=tell, note=note)
    return replace(judgement, seconds=round(time.monotonic() - started, 3)), lock


def _begin(content: bytes, request: VerifyRequest) -> Judgement:
    """Give what is known of a judgement before anything was done."""
    return Judgement(
        verdict=Verdict.NOT_RUN,
        reasons=[],
        runs=0,
        lock=hashlib.sha256(content).hexdigest(),
        options=request.options,
        verifier=f"envcap {__version__}",
        started=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    )


def _refuse(draft: Judgement, lock: Lock) -> Judgement:
    """Refuse an image whose files are not the frozen ones."""
    verdict, reasons = conclude([], draft.findings)
    changes = [f"`{one.subject}` is not the frozen one" for one in draft.findings if one.where == "code"]
    causes = rank_causes(clues_of_lock([], lock.derivation, code_changes=changes))
    return replace(
        draft, verdict=verdict, reasons=reasons, causes=causes, claim=claim_of(lock.declaration.kind, verdict)
    )


def _run_and_judge(
    engine: Engine, image: Image, lock: Lock, request: VerifyRequest, draft: Judgement, *, tell: Tell, note: Note
) -> Judgement:
    """Run the evaluation as often as asked for, look at what is around it, and judge."""
    project = request.project.resolve()
    task = task_for(request.run, lock, project, apart=engine.name != "venv")
    _show_before_running(engine, image, lock, task, tell)
    facts = facts_of_image(engine, image, gpus=task.gpus)
    draft = replace(draft, hardware=facts.hardware, findings=compare_environment(lock, facts))
    note(draft, lock)
    with tempfile.TemporaryDirectory(prefix="envcap-results-") as name:
        runs: list[Returned] = []
        try:
            for number in range(1, request.repeat + 1):
                if request.repeat > 1:
                    tell(Progress(kind="step", text=f"run {number} of {request.repeat}"))
                runs.append(run_once(engine, image, task, results=Path(name) / str(number), tell=tell))
        except BaseException:
            if runs:
                with contextlib.suppress(EnvcapError):  # what ended the runs counts
                    finished = judge_outputs(lock, runs, store=lock_store(project))
                    note(replace(draft, runs=len(runs), checks=finished), lock)
            raise
        checks = judge_outputs(lock, runs, store=lock_store(project))
        draft = replace(draft, runs=len(runs), checks=checks)
        note(draft, lock)
        events = b"".join(run.events for run in runs)
        mapped = mapped_libraries(events)
        numerics, numerics_gaps = _fingerprint(engine, image, lock, mapped, gpus=task.gpus)
        findings = [
            *draft.findings,
            *_compare_libraries(lock, engine, image, mapped),
            *_compare_settings(lock, engine, image, facts, events, mapped=mapped, gpus=task.gpus),
            *compare_numerics(lock.numerics, numerics),
        ]
        verdict, reasons = conclude(checks, findings)
        draft = replace(draft, findings=findings, gaps=[*lock.gaps, *numerics_gaps], reasons=reasons)
        note(_concluded(draft, verdict, reasons, lock), lock)
        case = Case(engine, image, lock, task, lock_store(project), facts, numerics, runs, checks, findings)
        draft = replace(draft, causes=find_causes(case, tell=tell) if verdict is not Verdict.IDENTICAL else [])
        note(_concluded(draft, verdict, reasons, lock), lock)
        # Of what is known to be wrong in the image there is nothing to try.
        if request.explain and verdict not in {Verdict.IDENTICAL, Verdict.REFUSED}:
            trials = try_causes(case, draft.causes, verdict, tell=tell)
            draft = replace(draft, causes=with_trials(draft.causes, trials), trials=trials)
            note(_concluded(draft, verdict, reasons, lock), lock)
        stressed = stress(case, tell=tell) if request.stress and verdict is not Verdict.REFUSED else []
        verdict, reasons = conclude_stress(verdict, reasons, stressed)
    return _concluded(replace(draft, stressed=stressed), verdict, reasons, lock)


def _concluded(draft: Judgement, verdict: Verdict, reasons: list[str], lock: Lock) -> Judgement:
    more = [] if lock.derivation is None else [describe_derivation(lock.derivation)]
    claim = claim_of(lock.declaration.kind, verdict)
    return replace(draft, verdict=verdict, reasons=[*reasons, *more], claim=claim)


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


def _compare_libraries(lock: Lock, engine: Engine, image: Image, mapped: list[str]) -> list[Finding]:
    """Compare what was loaded inside; with an image, also the versions of the packages that own it."""
    status = engine.read(image.identity, [STATUS]).get(STATUS, b"")
    versions = {name: package.version for name, package in read_status(status.decode(errors="replace")).items()}
    return compare_libraries(lock, loaded=mapped, versions=versions or None)


def _compare_settings(
    lock: Lock,
    engine: Engine,
    image: Image,
    facts: Facts,
    events: bytes,
    *,
    mapped: list[str],
    gpus: list[str] | None,
) -> list[Finding]:
    """Compare what the runs ended with; the copies that they loaded are marked as they were at freeze."""
    seen = parse_events(events)
    unlisted = unlisted_libraries(facts, mapped)
    if unlisted:
        facts = facts_of_image(engine, image, gpus=gpus, loaded=unlisted)
    hardware = with_loaded(facts, mapped, watched=bool(seen))
    settings = inner_settings(seen.get("setting", ()))
    return compare_settings(lock, gpu_libraries=hardware.gpu_libraries, settings=settings)
