"""The judgement: one check per output, findings about the environment, and the verdict over all."""

from enum import Enum

from envcap.model.gap import Gap
from envcap.model.struct import Data


class Verdict(str, Enum):
    """The verdicts that product.md defines, worst last."""

    IDENTICAL = "IDENTICAL"
    EQUIVALENT = "EQUIVALENT"
    DIFFERENT = "DIFFERENT"
    INCONCLUSIVE = "INCONCLUSIVE"
    NOT_RUN = "NOT-RUN"
    REFUSED = "REFUSED"

    @property
    def exit_code(self) -> int:
        """The exit code of a command that ends in this verdict."""
        return {"DIFFERENT": 1, "NOT-RUN": 3, "INCONCLUSIVE": 4, "REFUSED": 5}.get(self.value, 0)


class Check(Data, frozen=True, kw_only=True):
    """One output judged: what was frozen, what came back, how far apart it may be, and what was found."""

    name: str
    kind: str  # `metric` or `artifact`
    frozen: str
    observed: str
    tolerance: str  # `equal`, `±0.001`, `ignored`
    verdict: Verdict
    detail: str = ""
    catches: str = ""  # the smallest shift that this check would have caught
    judged: bool = True  # False: declared as recorded only


class Finding(Data, frozen=True, kw_only=True):
    """One difference between the lock and what was found inside. `fatal` ones make the lock's claim void."""

    where: str
    subject: str
    frozen: str
    observed: str
    fatal: bool = False


class Judgement(Data, frozen=True, kw_only=True):
    """The result of verify. `reasons` say in words why the verdict is what it is."""

    verdict: Verdict
    reasons: list[str]
    checks: list[Check] = []
    findings: list[Finding] = []
    gaps: list[Gap] = []
    notes: list[str] = []  # what this verdict does not cover
    engine: str = ""
    image: str = ""
    lock: str = ""
    seconds: float = 0.0
