"""The published schemas are what the types give, and real documents fit them."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from msgspec.structs import replace

from envcap.compare.contents import contents_of_lock
from envcap.compare.differences import find_differences
from envcap.model.bisection import Attempt, Bisection
from envcap.model.cache import CacheContents
from envcap.model.difference import Comparison
from envcap.model.evaluation import Metric
from envcap.model.examination import Examination
from envcap.model.lock import Derivation, Lock, Move
from envcap.model.verdict import Check, Judgement, Measured, Verdict
from envcap.report.bisection import bisection_document
from envcap.report.cache import cache_document
from envcap.report.capsule import pack_document
from envcap.report.document import (
    comparison_document,
    examination_document,
    freeze_document,
    judgement_document,
    show_document,
)
from envcap.report.schema import schemas
from envcap.report.upgrade import upgrade_document

PUBLISHED = Path(__file__).resolve().parents[2] / "docs" / "schemas"
GOLDEN = Path(__file__).resolve().parents[1] / "golden"


def validate(command: str, document: str) -> None:
    schema = json.loads((PUBLISHED / f"{command}.json").read_bytes())
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(json.loads(document))


def test_the_published_files_are_what_the_types_give(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update-golden"):
        for command, content in schemas().items():
            (PUBLISHED / f"{command}.json").write_bytes(content)
    assert {path.stem: path.read_bytes() for path in PUBLISHED.glob("*.json")} == schemas()


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("verify-*.json")), ids=lambda path: path.stem)
def test_the_documents_of_verify_fit(path: Path) -> None:
    validate("verify", path.read_text())


@pytest.mark.parametrize("value", [1.5, 3, "text", True, float("nan"), float("-inf")])
def test_every_kind_of_value_fits(value: Metric) -> None:
    told = Measured(frozen=[value], observed=[value], low=float("-inf"), p_value=float("nan"))
    check = Check(
        name="x", kind="metric", frozen="", observed="", tolerance="", verdict=Verdict.DIFFERENT, measured=told
    )
    validate("verify", judgement_document(Judgement(verdict=Verdict.DIFFERENT, reasons=[], checks=[check])))


def test_a_report_of_what_never_ran_fits() -> None:
    validate("verify", judgement_document(Judgement(verdict=Verdict.REFUSED, reasons=["it was changed"])))


def test_other_documents_fit(sample_lock: Lock) -> None:
    place: Any = (sample_lock, Path("pylock.train.toml"), "a" * 64)
    validate("freeze", freeze_document(*place))
    validate("show", show_document(*place))
    contents = contents_of_lock(sample_lock)
    differences = find_differences(contents, contents)
    validate("diff", comparison_document(Comparison(first="a", second="b", differences=differences, not_compared=[])))
    validate("doctor", examination_document(list[Examination]()))


def test_documents_of_the_other_commands_fit(sample_lock: Lock) -> None:
    move = Move(package="alpha", before="1.0", after=None)
    attempt = Attempt(what="all", changed=["alpha"], answer="different", detail="", seconds=1.5)
    bisection = Bisection(
        good="a",
        bad="b",
        found=True,
        reasons=[],
        culprits=[move],
        changes=1,
        groups=1,
        attempts=[attempt],
        runs=2,
        most_runs=9,
        seconds=3.5,
        engine="venv",
    )
    validate("bisect", bisection_document(bisection))
    derived = replace(sample_lock, derivation=Derivation(name="train", sha256="a" * 64, moved=[move]))
    validate("upgrade", upgrade_document(derived, Path("pylock.new.toml"), "a" * 64))
    validate("upgrade", upgrade_document(sample_lock, None, None))
    validate("pack", pack_document(sample_lock, Path("train.capsule"), 4096, 12))
    validate("cache", cache_document(CacheContents(folder="cache", sizes={"files": 3}, removed=1)))


def test_a_document_with_an_unknown_key_does_not_fit() -> None:
    document = json.loads(judgement_document(Judgement(verdict=Verdict.REFUSED, reasons=[])))
    schema = Draft202012Validator(json.loads((PUBLISHED / "verify.json").read_bytes()))
    assert schema.is_valid(document)
    assert not schema.is_valid({**document, "verdict": "PERFECT"})
    assert not schema.is_valid({**document, "surprise": 1})
