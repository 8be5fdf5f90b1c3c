"""Why a result did not come back to the bit: what is suspected, how strongly, and what trying it showed."""

from typing import Literal

from envcap.model.struct import Data

# `confirmed` and `excluded` only a rerun can say; the other three are how much speaks for it, most first.
Strength = Literal["confirmed", "strong", "likely", "possible", "excluded"]

# `changed`: other outputs, but not the frozen ones; that alone proves nothing.
TrialOutcome = Literal["confirmed", "changed", "no change", "not applied"]


class Trial(Data, frozen=True, kw_only=True):
    """One thing that `verify --explain` changed, and what the outputs did."""

    suspect: str  # the key of the cause that it asks about
    knob: str  # what was changed, in words
    outcome: TrialOutcome
    detail: str
    runs: int  # that it took


class Cause(Data, frozen=True, kw_only=True):
    """One thing that may have caused the difference, with what speaks for it."""

    key: str  # `threads`; stable, for programs
    title: str
    strength: Strength
    points: int  # the sum of its evidence, by which causes are ranked; see docs/verdict.md
    evidence: list[str]
    confirm: str  # what would confirm it
    remedy: str  # what to do about it
