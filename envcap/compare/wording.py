"""What a verdict says about each kind of frozen number, and what it does not. Pure.

After ACM's terms for artifacts: equal or near-equal outputs of the same model are repeatability; a retraining can only
agree within the spread of retrainings.
"""

from collections.abc import Mapping

from envcap.model.evaluation import Kind
from envcap.model.verdict import Verdict

_IDENTICAL, _EQUIVALENT = Verdict.IDENTICAL, Verdict.EQUIVALENT
_DIFFERENT, _INCONCLUSIVE = Verdict.DIFFERENT, Verdict.INCONCLUSIVE

_CLAIMS: Mapping[Kind, Mapping[Verdict, str]] = {
    "fixed": {
        _IDENTICAL: "the evaluation of the fixed model gave the frozen outputs again",
        _EQUIVALENT: "the evaluation of the fixed model came back within its tolerances, not to the bit",
        _DIFFERENT: "the evaluation of the fixed model did not come back",
        _INCONCLUSIVE: "whether the evaluation of the fixed model came back cannot be told",
    },
    "retraining": {
        _IDENTICAL: "the retraining repeated the frozen one exactly, so what decides it is under control",
        _EQUIVALENT: "the retraining cannot be told from the frozen ones; it is another model all the same",
        _DIFFERENT: "the retraining gave what the frozen ones do not give",
        _INCONCLUSIVE: "retrainings vary too much, or were too few, to tell whether this one is like them",
    },
    "generation": {
        _IDENTICAL: "the generation repeated the frozen texts and metrics exactly",
        _EQUIVALENT: "the generation is like the frozen ones within its tolerances; single texts may differ",
        _DIFFERENT: "the generation gave what the frozen ones do not give",
        _INCONCLUSIVE: "generations vary too much, or were too few, to tell whether this one is like them",
    },
}


def claim_of(kind: Kind, verdict: Verdict) -> str:
    """Give the sentence for that verdict, empty where nothing ran."""
    return _CLAIMS[kind].get(verdict, "")
