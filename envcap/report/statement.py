"""A judgement as in-toto statements about the image: what any verifier reads, and all that envcap knows.

In-toto Attestation Framework, "Statement v1" and "Predicate type: Test Result v0.1".
"""

import json
from typing import Any

import msgspec

from envcap import __version__
from envcap.model.lock import Lock
from envcap.model.verdict import Judgement, Verdict
from envcap.report.document import to_plain

_STATEMENT = "https://in-toto.io/Statement/v1"
_TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
_VERIFICATION = "https://envcap.dev/attestation/verification/v0.1"
_PASSING = (Verdict.IDENTICAL, Verdict.EQUIVALENT)


def statement_lines(judgement: Judgement, lock: Lock | None) -> str:
    """Give two statements, one a line: the portable test result, and the whole judgement with its hardware.

    A statement is about something: without an image or a lock that was read there is none, and the text is empty.
    """
    subject = _subject(judgement)
    if not subject:
        return ""
    predicates = {_TEST_RESULT: _test_result(judgement), _VERIFICATION: _verification(judgement, lock)}
    statements = [statement(subject, kind, predicate) for kind, predicate in predicates.items()]
    return "".join(f"{json.dumps(document, sort_keys=True)}\n" for document in statements)


def statement(subject: list[dict[str, Any]], kind: str, predicate: dict[str, Any]) -> dict[str, Any]:
    """Give a statement that says the predicate of that kind of the subject."""
    return {"_type": _STATEMENT, "subject": subject, "predicateType": kind, "predicate": predicate}


def _subject(judgement: Judgement) -> list[dict[str, Any]]:
    """Name the image by its digest; an environment without one is named by the lock that it was built from."""
    algorithm, _, digest = judgement.image_digest.partition(":")
    if algorithm == "sha256" and digest:
        return [{"name": judgement.image, "digest": {"sha256": digest}}]
    return [{"name": "pylock", "digest": {"sha256": judgement.lock}}] if judgement.lock else []


def _test_result(judgement: Judgement) -> dict[str, Any]:
    judged = [check for check in judgement.checks if check.judged]
    passed = [check.name for check in judged if check.verdict in _PASSING]
    return {
        # An undecided result has not passed: INCONCLUSIVE must not look like success to who reads only this word.
        "result": "PASSED" if judgement.verdict in _PASSING else "FAILED",
        "configuration": [{"name": "lock", "digest": {"sha256": judgement.lock}}] if judgement.lock else [],
        "passedTests": passed,
        "warnedTests": [check.name for check in judged if check.verdict is Verdict.INCONCLUSIVE],
        "failedTests": [check.name for check in judged if check.verdict is Verdict.DIFFERENT],
    }


def _verification(judgement: Judgement, lock: Lock | None) -> dict[str, Any]:
    return {
        "verifier": f"envcap {__version__}",
        "verifiedOn": judgement.started,
        "judgement": to_plain(judgement),
        "frozenHardware": None if lock is None else msgspec.to_builtins(lock.hardware),
        "verifierHardware": msgspec.to_builtins(judgement.hardware),
    }
