"""From single checks to one verdict: the worst decides, and nothing judged is no success."""

from itertools import permutations

import msgspec
import pytest

from envcap.compare.conclusion import conclude
from envcap.compare.wording import claim_of
from envcap.model.evaluation import Kind
from envcap.model.verdict import Check, Finding, Measured, Verdict

replace = msgspec.structs.replace
IDENTICAL, EQUIVALENT = Verdict.IDENTICAL, Verdict.EQUIVALENT
DIFFERENT, INCONCLUSIVE = Verdict.DIFFERENT, Verdict.INCONCLUSIVE


def check(verdict: Verdict, *, judged: bool = True, name: str = "m") -> Check:
    return Check(
        name=name,
        kind="metric",
        frozen="1",
        observed="2",
        tolerance="equal",
        verdict=verdict,
        detail="the detail",
        judged=judged,
    )


def finding(*, fatal: bool) -> Finding:
    return Finding(where="packages", subject="alpha", frozen="1.0", observed="2.0", fatal=fatal)


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([IDENTICAL], IDENTICAL),
        ([IDENTICAL, IDENTICAL], IDENTICAL),
        ([IDENTICAL, EQUIVALENT], EQUIVALENT),
        ([EQUIVALENT], EQUIVALENT),
        ([IDENTICAL, EQUIVALENT, INCONCLUSIVE], INCONCLUSIVE),
        ([IDENTICAL, EQUIVALENT, INCONCLUSIVE, DIFFERENT], DIFFERENT),
        ([DIFFERENT, DIFFERENT], DIFFERENT),
    ],
)
def test_the_worst_check_decides(verdicts: list[Verdict], expected: Verdict) -> None:
    for order in permutations(verdicts):
        assert conclude([check(verdict) for verdict in order], [])[0] is expected


def test_a_check_that_is_not_judged_decides_nothing() -> None:
    assert conclude([check(IDENTICAL), check(DIFFERENT, judged=False)], [])[0] is IDENTICAL


def test_beside_a_primary_what_cannot_be_told_is_told_and_decides_nothing() -> None:
    primary, other = check(EQUIVALENT, name="a"), replace(check(INCONCLUSIVE, name="b"), gates=False)
    verdict, reasons = conclude([primary, other], [])
    assert verdict is EQUIVALENT
    assert reasons == ["the one output is within tolerance", "metric `b` could not be told: the detail"]
    assert conclude([check(IDENTICAL), other], [])[0] is EQUIVALENT  # not all outputs are known to be equal
    assert conclude([check(IDENTICAL), replace(other, verdict=DIFFERENT)], [])[0] is DIFFERENT
    assert conclude([other], [])[0] is INCONCLUSIVE
    assert conclude([primary, replace(other, gates=True)], [])[0] is INCONCLUSIVE


@pytest.mark.parametrize("kind", ["fixed", "retraining", "generation"])
def test_each_kind_has_its_words_for_each_verdict(kind: Kind) -> None:
    claims = {claim_of(kind, verdict) for verdict in (IDENTICAL, EQUIVALENT, DIFFERENT, INCONCLUSIVE)}
    assert len(claims) == 4
    assert claim_of(kind, Verdict.REFUSED) == ""


@pytest.mark.parametrize("checks", [[], [check(IDENTICAL, judged=False)]])
def test_with_nothing_judged_there_is_no_success(checks: list[Check]) -> None:
    verdict, reasons = conclude(checks, [])
    assert verdict is INCONCLUSIVE
    assert "nothing was judged" in reasons[0]


@pytest.mark.parametrize("checks", [[], [check(IDENTICAL)], [check(DIFFERENT)]])
def test_an_image_that_is_not_what_was_locked_is_refused(checks: list[Check]) -> None:
    verdict, reasons = conclude(checks, [finding(fatal=False), finding(fatal=True)])
    assert verdict is Verdict.REFUSED
    assert reasons == ["packages `alpha`: the lock says `1.0`, inside is `2.0`"]


def test_a_finding_that_is_not_fatal_leaves_the_verdict() -> None:
    assert conclude([check(IDENTICAL)], [finding(fatal=False)])[0] is IDENTICAL


def test_the_reasons_name_what_decided() -> None:
    checks = [check(IDENTICAL, name="a"), check(EQUIVALENT, name="b"), check(DIFFERENT, name="c")]
    assert conclude(checks[:1], [])[1] == ["the one output is equal"]
    assert conclude(checks[:1] * 2, [])[1] == ["all 2 outputs are equal"]
    assert conclude(checks[1:2], [])[1] == ["the one output is within tolerance"]
    assert conclude(checks[:2], [])[1] == ["2 outputs are within tolerance, 1 of them equal"]
    assert conclude(checks, [])[1] == ["metric `c`: the detail"]


@pytest.mark.parametrize(
    ("verdict", "code"),
    [("IDENTICAL", 0), ("EQUIVALENT", 0), ("DIFFERENT", 1), ("NOT-RUN", 3), ("INCONCLUSIVE", 4), ("REFUSED", 5)],
)
def test_exit_codes(verdict: str, code: int) -> None:
    assert Verdict(verdict).exit_code == code
    assert len(Verdict) == 6


def hardware(subject: str) -> Finding:
    return Finding(where="hardware", subject=subject, frozen="Card A", observed="Card B")


@pytest.mark.parametrize("subject", ["gpus", "driver", "instruction sets"])
def test_on_other_hardware_equal_outputs_are_no_more_than_equivalent(subject: str) -> None:
    verdict, reasons = conclude([check(IDENTICAL)], [hardware(subject)])
    assert verdict is EQUIVALENT
    assert any("no more than EQUIVALENT" in reason for reason in reasons)
    assert any(f"{subject} `Card A`, here `Card B`" in reason for reason in reasons)
    assert conclude([check(EQUIVALENT)], [hardware(subject)])[0] is EQUIVALENT


MEASURED = replace(check(DIFFERENT), measured=Measured(reference=1.0))
SPREAD = replace(MEASURED, mode="runs", tolerance="±0.1")
STATED = replace(SPREAD, mode="stated")


@pytest.mark.parametrize(
    ("checks", "subject", "expected"),
    [
        ([MEASURED], "gpus", INCONCLUSIVE),
        ([SPREAD, check(IDENTICAL)], "gpus", INCONCLUSIVE),
        ([STATED], "gpus", DIFFERENT),  # the bound was declared
        ([MEASURED, STATED], "gpus", DIFFERENT),
        ([check(DIFFERENT)], "gpus", DIFFERENT),  # missing, or of another type: no hardware does that
        ([replace(MEASURED, kind="artifact")], "gpus", DIFFERENT),
        ([MEASURED], "driver", DIFFERENT),
        ([MEASURED], "instruction sets", DIFFERENT),
    ],
)
def test_a_tolerance_measured_on_other_gpus_tells_nothing(checks: list[Check], subject: str, expected: Verdict) -> None:
    verdict, reasons = conclude(checks, [hardware(subject)])
    assert verdict is expected
    assert ("hardware not comparable" in reasons[0]) == (expected is INCONCLUSIVE)
    assert any("hardware not as frozen" in reason for reason in reasons)
