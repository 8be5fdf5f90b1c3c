"""What this machine can do, one point after the other."""

from typing import Literal

from envcap.model.struct import Data

State = Literal["good", "missing", "failed"]  # `missing` is what envcap can do without


class Examination(Data, frozen=True, kw_only=True):
    """One point: what was found, what envcap needs it for, and what to do where it is not good."""

    subject: str
    state: State
    found: str
    purpose: str
    hint: str = ""
