"""A floor against the reference: good enough, whatever the distance above it. Pure.

The rule of MLPerf Inference: a metric must reach 99 % (or 99.9 %) of the reference. Where runs spread, the mean must
clear the floor by its one-sided 95 % bound; what lies within that bound on either side of the floor cannot be told.
"""

from envcap.compare.distributions import t_quantile
from envcap.compare.spread import exact_mean, standard_error
from envcap.model.evaluation import Tolerance
from envcap.model.struct import Data
from envcap.model.verdict import Verdict

_ALPHA = 0.05


class Reach(Data, frozen=True, kw_only=True):
    """Where the floor is and by how much the new mean clears it; a negative `clears` falls short."""

    verdict: Verdict
    limit: float
    reference: float
    clears: float
    uncertain: float
    origin: str


def judge_floor(frozen: list[float], observed: list[float], tolerance: Tolerance) -> Reach:
    """Judge whether the mean of `observed` reaches the stated share of the frozen mean, which may be negative."""
    share = tolerance.floor if tolerance.floor is not None else 1.0
    reference, mean = float(exact_mean(frozen)), float(exact_mean(observed))
    allowed = (1 - share) * abs(reference)
    is_higher = tolerance.better == "higher"
    limit = reference - allowed if is_higher else reference + allowed
    clears = mean - limit if is_higher else limit - mean
    uncertain, over = 0.0, ""
    if len(set(frozen)) > 1 or len(set(observed)) > 1:
        error = standard_error(frozen, observed)
        uncertain, over = t_quantile(2 * _ALPHA, error.freedom) * error.size, f", 95 % bound over {error.how}"
    verdict = Verdict.INCONCLUSIVE
    if clears >= uncertain:
        verdict = Verdict.EQUIVALENT
    elif clears < -uncertain:
        verdict = Verdict.DIFFERENT
    return Reach(
        verdict=verdict,
        limit=limit,
        reference=reference,
        clears=clears,
        uncertain=uncertain,
        origin=f"stated floor of {100 * share:g} %, {tolerance.better} is better{over}",
    )
