"""What became of the outputs when what must not matter was made different."""

from typing import Literal

from envcap.model.struct import Data

# `not exercised`: it could not be varied, which is not the same as passed; `not told`: runs differ by themselves.
StressOutcome = Literal["no change", "within tolerance", "changes the result", "fails", "not exercised", "not told"]


class Stressed(Data, frozen=True, kw_only=True):
    """One thing that `verify --stress` varied, or could not."""

    name: str  # `hash seed`; stable, for programs
    setting: str  # what it was set to, in words; empty where it was not
    outcome: StressOutcome
    detail: str

    @property
    def matters(self) -> bool:
        """Tell whether the outputs depend on it, and must not."""
        return self.outcome in {"changes the result", "fails"}
