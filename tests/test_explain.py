"""What counts as the same outputs of two reruns."""

from envcap.explain import outputs_of
from envcap.model.verdict import Check, Measured, Verdict


def test_files_that_agree_equally_well_are_not_the_same() -> None:
    def check(digest: str, score: float) -> list[Check]:
        file = Check(
            name="p.csv",
            kind="artifact",
            frozen="aaaaaaaaaaaa… 9 bytes",
            observed=f"{digest}… 9 bytes",
            tolerance="equal",
            verdict=Verdict.DIFFERENT,
            measured=Measured(frozen=[1.0], observed=[0.95]),
        )
        metric = Check(
            name="score",
            kind="metric",
            frozen="0.5",
            observed="0.25 … 0.5",
            tolerance="equal",
            verdict=Verdict.DIFFERENT,
            measured=Measured(frozen=[0.5], observed=[score, 0.5]),
        )
        return [file, metric]

    assert outputs_of(check("bbbbbbbbbbbb", 0.25)) == outputs_of(check("bbbbbbbbbbbb", 0.25))
    assert outputs_of(check("bbbbbbbbbbbb", 0.25)) != outputs_of(check("cccccccccccc", 0.25))
    assert outputs_of(check("bbbbbbbbbbbb", 0.25)) != outputs_of(check("bbbbbbbbbbbb", 0.125))
