"""Equivalence with a margin that was declared before: two one-sided tests. Pure.

TOST (Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15, 1987): the means are equivalent at 5 % when the
90 % confidence interval of their difference lies inside the margin. That is a proof of sameness, where the absence of
a significant difference is none.
"""

import math

from envcap.compare.distributions import normal_quantile, t_quantile, t_tail
from envcap.compare.spread import exact_mean, standard_error, to_float
from envcap.model.struct import Data
from envcap.model.verdict import Verdict

ALPHA = 0.05  # of each one-sided test


class Interval(Data, frozen=True, kw_only=True):
    """The confidence interval of the difference of the means, and what follows from it."""

    verdict: Verdict
    shift: float
    half: float  # of the 90 % interval
    reference: float
    t: float  # of the nearer of the two tests
    freedom: float
    p_value: float
    detectable: float
    origin: str


def judge_equivalence(frozen: list[float], observed: list[float], *, margin: float) -> Interval:
    """Judge whether the difference of the means is proven to be within `margin`. Two runs on each side at least."""
    error = standard_error(frozen, observed)
    reference = exact_mean(frozen)
    shift = to_float(exact_mean(observed) - reference)
    half = t_quantile(2 * ALPHA, error.freedom) * error.size
    if abs(shift) + half <= margin:
        verdict = Verdict.EQUIVALENT
    else:
        verdict = Verdict.DIFFERENT if abs(shift) - half > margin else Verdict.INCONCLUSIVE
    is_known = 0 < error.size < math.inf
    t = (margin - abs(shift)) / error.size if is_known else math.copysign(math.inf, margin - abs(shift))
    tail = t_tail(abs(t), error.freedom) / 2
    return Interval(
        verdict=verdict,
        shift=shift,
        half=half,
        reference=float(reference),
        t=t,
        freedom=error.freedom,
        p_value=tail if t >= 0 else 1 - tail,
        detectable=margin + half + normal_quantile(0.8) * error.size,
        origin=f"margin declared when it was frozen, two one-sided tests at {100 * ALPHA:g} % over {error.how}",
    )
