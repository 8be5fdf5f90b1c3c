"""How an environment computes on one machine."""

from envcap.model.struct import Table


class NumericLibrary(Table, frozen=True, kw_only=True):
    """A linear-algebra or thread library as numpy or torch had loaded it; "" and 0 where it does not tell."""

    name: str  # of its file, without a folder
    version: str = ""
    kernel: str = ""  # what it chose for this processor, such as `SkylakeX`
    threads: int = 0


class Numerics(Table, frozen=True, kw_only=True):
    """The fingerprint: digests of small fixed operations, with what may explain why they change."""

    operations: dict[str, str] = {}  # `numpy matmul float64` -> 16 digits of the sha256 of its result
    libraries: list[NumericLibrary] = []
    features: list[str] = []  # the instruction sets that numpy found and may choose kernels by
    settings: dict[str, str] = {}  # of torch: threads, precision, capability
