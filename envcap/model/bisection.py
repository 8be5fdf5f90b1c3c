"""What a search for the package changes behind another result did, and what it found."""

from typing import Literal

from envcap.model.lock import Move
from envcap.model.struct import Data

# What a mixture of packages gave: the judgement against the frozen reference, or none where it did not end well.
Answer = Literal["as frozen", "different", "inconclusive", "did not run"]


class Attempt(Data, frozen=True, kw_only=True):
    """One mixture of packages that was tried: those of the good lock with some changes made to them."""

    what: str  # `all but numpy`
    changed: list[str]  # packages that were as in the bad lock, sorted
    answer: Answer
    detail: str  # the reasons of the judgement, or how the evaluation ended
    seconds: float = 0.0  # to make the environment and to run
    remembered: bool = False  # an earlier bisect had tried it


class Bisection(Data, frozen=True, kw_only=True):
    """The result. `culprits` alone give the good lock another result; unless `found` they may be more than needed."""

    good: str
    bad: str
    found: bool
    reasons: list[str]
    culprits: list[Move] = []
    changes: int  # packages that differ between the locks
    groups: int  # of them that can be changed apart from each other
    bound: list[str] = []  # why a change cannot be made without another, in words; of the culprits only
    kept: list[str] = []  # areas other than packages that differ, and were as in the good lock all the time
    attempts: list[Attempt] = []
    runs: int  # of the evaluation, this time
    most_runs: int
    seconds: float
    engine: str
    notes: list[str] = []  # what the engine does not rebuild

    @property
    def exit_code(self) -> int:
        """The exit code of a command that ends so: 0 found, 4 cannot tell."""
        return 0 if self.found else 4
