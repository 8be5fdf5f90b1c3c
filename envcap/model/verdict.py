"""The judgement: one check per output, findings about the environment, and the verdict over all."""

from enum import Enum

from envcap.model.cause import Cause, Trial
from envcap.model.evaluation import Kind, Metric
from envcap.model.facts import Hardware
from envcap.model.gap import Gap
from envcap.model.stress import Stressed
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


class Measured(Data, frozen=True, kw_only=True):
    """The numbers behind a check, for who draws or recomputes it. None where there is none.

    Values are those that were compared: of a metric the metric itself, of a table of samples or of texts the agreement
    with the frozen runs.
    """

    frozen: list[Metric] = []  # one value for each frozen run, in their order
    observed: list[Metric] = []  # one value for each run of verify
    reference: float | None = None  # what the observed mean is compared with
    low: float | None = None  # the band within which it passes, ends included
    high: float | None = None
    margin: float | None = None  # the widest that the band may be: stated, or the default
    detectable: float | None = None  # the smallest shift that would be caught in four of five cases
    statistic: str = ""  # what `value` is: `t`, `F`, `McNemar`
    value: float | None = None
    freedom: float | None = None  # degrees of freedom
    p_value: float | None = None
    alpha: float | None = None  # the chance of a false alarm that was allowed, after correction
    correction: str = ""  # `Bonferroni over 4 metrics`


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
    mode: str = "content"  # how it was compared
    origin: str = ""  # where the tolerance came from
    primary: bool = False
    gates: bool = True  # False: beside a primary metric, an INCONCLUSIVE of this one is told and decides nothing
    measured: Measured = Measured()


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
    kind: Kind = "fixed"  # what the frozen numbers are of, as declared
    claim: str = ""  # what the verdict says, and does not say, about such a number
    runs: int = 1  # of verify
    checks: list[Check] = []
    findings: list[Finding] = []
    causes: list[Cause] = []  # of a difference, the likeliest first
    trials: list[Trial] = []  # what `--explain` tried, in that order
    stressed: list[Stressed] = []  # what `--stress` varied, or could not
    gaps: list[Gap] = []
    compared: list[str] = []  # which files in the image were held against the lock
    notes: list[str] = []  # what this verdict does not cover
    engine: str = ""
    image: str = ""
    image_digest: str = ""  # the engine's own id of it, `sha256:…` where it has one
    lock: str = ""
    options: list[str] = []  # words of the command that decide what is run, so that it can be repeated
    verifier: str = ""  # `envcap 0.1.0`
    hardware: Hardware | None = None  # of the machine that verified, as the image sees it; None where it was not asked
    started: str = ""  # UTC, RFC 3339, seconds
    seconds: float = 0.0
