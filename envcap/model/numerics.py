"""How an environment computes on one machine."""

from envcap.model.struct import Table


class NumericLibrary(Table, frozen=True, kw_only=True):
    """A library for linear algebra or threads that a run, numpy or torch loads; "" and 0 where it does not tell."""

    name: str  # of its file, without a folder
    path: str = ""  # from the folder on sys.path that holds it, where one does; older locks have none
    version: str = ""
    kernel: str = ""  # what it chose for this processor, such as `SkylakeX`
    threads: int = 0


class Numerics(Table, frozen=True, kw_only=True):
    """The fingerprint: digests of small fixed operations, with what may explain why they change."""

    operations: dict[str, str] = {}  # `numpy matmul float64` -> 16 digits of the sha256 of its result
    libraries: list[NumericLibrary] = []
    features: list[str] = []  # the instruction sets that numpy found and may choose kernels by
    settings: dict[str, str] = {}  # of torch: threads, precision, capability
