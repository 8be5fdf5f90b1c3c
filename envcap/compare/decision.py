"""What every mode is told and gives back, and how the chance of a false alarm is shared out. Pure."""

import msgspec

from envcap.compare.distributions import next_differs_at_most
from envcap.compare.spread import ALPHA
from envcap.model.evaluation import Kind, Metric
from envcap.model.struct import Data
from envcap.model.verdict import Measured, Verdict


class Setting(Data, frozen=True, kw_only=True):
    """What a check needs to know of the others: its share of false alarms, and whether it gates the verdict."""

    kind: Kind = "fixed"
    alpha: float = ALPHA
    correction: str = ""
    primary: bool = False
    gates: bool = True


ALONE = Setting()  # a check that shares its chance of a false alarm with no other


class Decision(Data, frozen=True, kw_only=True):
    """What a mode found."""

    verdict: Verdict
    detail: str = ""
    catches: str = ""
    mode: str = "content"
    tolerance: str = ""  # in few characters; empty for the stated one
    origin: str = ""
    measured: Measured = Measured()

    def with_values(self, frozen: list[Metric], observed: list[Metric]) -> Measured:
        """Give the numbers with the values they came from, unless the mode put others there."""
        if self.measured.frozen or self.measured.observed:
            return self.measured
        return msgspec.structs.replace(self.measured, frozen=frozen, observed=observed)

    def saying(self, detail: str) -> "Decision":
        """Give the same decision with another detail."""
        return msgspec.structs.replace(self, detail=detail)

    def but(self, verdict: Verdict, detail: str) -> "Decision":
        """Give the same decision with another verdict, for another reason."""
        return msgspec.structs.replace(self, verdict=verdict, detail=detail)


def one_sided(*, was_frozen: bool) -> Decision:
    """Judge an output that one side lacks."""
    return Decision(
        verdict=Verdict.DIFFERENT,
        detail="it was frozen and did not come back"
        if was_frozen
        else "it was not there when the evaluation was frozen",
        catches="any change",
        origin="what was frozen must come back, and nothing else",
    )


def never_within(detail: str, origin: str, mode: str) -> Decision:
    """Judge a value that no tolerance covers."""
    return Decision(verdict=Verdict.DIFFERENT, detail=detail, catches="any change", mode=mode, origin=origin)


def exact_origin(runs: int) -> str:
    """Say what so many equal runs do and do not prove."""
    if runs == 1:
        return "exact: frozen from one run, which shows nothing of how far runs vary"
    at_most = next_differs_at_most(runs)
    return (
        f"exact: {runs} frozen runs were equal, which does not prove that every run is "
        f"(up to {100 * at_most:.0f} % could differ, at 95 % confidence)"
    )


def share_alpha(noisy: list[str], *, primary: str | None, kind: Kind) -> dict[str, Setting]:
    """Give each output that is judged by its spread its chance of a false alarm.

    The primary metric has all of it. The others share it in equal parts, so that the chance that any of them alarms
    falsely is no larger (Bonferroni's inequality; Dunn, Journal of the American Statistical Association 56, 1961). The
    shares are fixed before a value is seen, so that the shift which each check catches can be told beforehand.
    """
    others = [name for name in noisy if name != primary]
    correction = f"Bonferroni over {len(others)} outputs" if len(others) > 1 else ""
    settings = {
        name: Setting(kind=kind, alpha=ALPHA / len(others), correction=correction, gates=primary is None)
        for name in others
    }
    if primary is not None:
        settings[primary] = Setting(kind=kind, primary=True)
    return settings
