"""Diagnose: why outputs did not come back to the bit. Gathers what is known of both sides and ranks the causes."""

import tempfile
from pathlib import Path
from typing import NamedTuple

from envcap.compare.causes import rank_causes
from envcap.compare.clues import (
    clues_of_differences,
    clues_of_findings,
    clues_of_hints,
    clues_of_lock,
    clues_of_numerics,
    clues_of_symptoms,
    support_of_symptoms,
)
from envcap.compare.content import reader_of
from envcap.compare.contents import contents_of_facts, contents_of_lock
from envcap.compare.differences import find_differences
from envcap.compare.hints import hints_of
from envcap.compare.numerics import changed_operations
from envcap.compare.symptoms import Output, Symptom, symptoms_of
from envcap.engines.engine import Engine
from envcap.errors import NotRunError
from envcap.evaluate.environment import is_recorded_unasked, recordable
from envcap.evaluate.inside import Inside, inside_task, read_inside
from envcap.judge import Returned
from envcap.model.cause import Cause
from envcap.model.difference import Difference
from envcap.model.facts import Facts
from envcap.model.image import Image, Task
from envcap.model.lock import Lock
from envcap.model.numerics import Numerics
from envcap.model.progress import Progress, Tell, say_nothing
from envcap.model.verdict import Check, Finding, Verdict
from envcap.project.code import frozen_sources
from envcap.store import Store

_UTC = {"UTC", "Etc/UTC", "Etc/UCT", "Universal", "Zulu", "GMT", "Etc/GMT"}


class Case(NamedTuple):
    """All that verify learned, while image and results are still at hand."""

    engine: Engine
    image: Image
    lock: Lock
    task: Task
    store: Store
    facts: Facts
    numerics: Numerics
    runs: list[Returned]
    checks: list[Check]
    findings: list[Finding]


def find_causes(case: Case, *, tell: Tell) -> list[Cause]:
    """List what may have caused the difference, the likeliest first; empty where nothing speaks for anything."""
    tell(Progress(kind="step", text="looking for what may have caused the difference"))
    lock = case.lock
    inside = _look_inside(case)
    differences = _differences(lock, case.facts, inside)
    symptoms = find_symptoms(case)
    hints = hints_of(frozen_sources(lock.code, case.store))
    recorded = {*lock.system.environment, *(one.subject for one in hints if is_recorded_unasked(one.subject))}
    clues = [
        *clues_of_lock(lock.gaps, lock.derivation, code_changes=[]),  # they are known before anything is run
        *clues_of_differences(differences),
        *clues_of_findings(case.findings),
        *clues_of_numerics(lock.numerics, case.numerics, changed=changed_operations(lock.numerics, case.numerics)),
        *clues_of_symptoms(symptoms),
        *clues_of_hints(hints, recorded=recorded, admitted=[gap.subject for gap in lock.gaps if gap.where == "data"]),
    ]
    if "PYTHONHASHSEED" in lock.system.environment:
        clues = [clue for clue in clues if clue.suspect != "hash seed" or "PYTHONHASHSEED" in clue.text]
    return rank_causes(clues, support_of_symptoms(symptoms))


def find_symptoms(case: Case) -> list[Symptom]:
    """Say in what way the judged outputs differ."""
    outputs = []
    for check in case.checks:
        if not check.judged or check.verdict is Verdict.IDENTICAL:
            continue
        sides = (check.measured.frozen, check.measured.observed)
        steady = all(len({repr(value) for value in side}) <= 1 for side in sides)
        if check.kind == "metric":
            frozen, observed = ({"the value": values[-1]} if values else {} for values in sides)
            outputs.append(Output(check.name, frozen, observed, steady))
        else:
            outputs.append(_artifact(case, check.name, steady=steady))
    return symptoms_of(outputs)


def _artifact(case: Case, path: str, *, steady: bool) -> Output:
    """Give one artifact value by value, empty where a side is not at hand or cannot be read."""
    reader = reader_of(path)
    kept = [item for item in case.lock.runs[-1].artifacts if item.path == path]
    frozen = case.store.find(kept[0].sha256, Path(path).name) if kept else None
    observed = case.runs[0].folder / path
    if reader is None or frozen is None or not observed.is_file():
        return Output(path, {}, {}, steady)
    try:
        return Output(path, reader(frozen.read_bytes()), reader(observed.read_bytes()), steady)
    except ValueError:  # not the kind of file that its name says
        return Output(path, {}, {}, steady)


def _look_inside(case: Case) -> Inside | None:
    with tempfile.TemporaryDirectory(prefix="envcap-inside-") as name:
        try:
            outcome = case.engine.run(case.image, inside_task(), results=Path(name), tell=say_nothing)
        except NotRunError:
            return None  # the verdict stands without it
    return read_inside(outcome)


def _differences(lock: Lock, facts: Facts, inside: Inside | None) -> list[Difference]:
    settings = None
    if inside is not None:
        settings, _ = recordable(inside.environment, named=lock.system.environment)
    found = find_differences(contents_of_lock(lock), contents_of_facts(facts, settings=settings))
    return [
        one
        for one in found
        if one.area not in {"packages", "conda"}  # the findings know which of them belong into the image
        and not (one.subject == "timezone" and {one.first, one.second} <= _UTC)
    ]
