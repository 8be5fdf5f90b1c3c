"""Two fingerprints: which operations compute otherwise, and what that points to. Pure.

What each pattern means was measured: masking AVX-512 in numpy changes `exp` and `log` only, another OpenBLAS kernel
changes products and what is built on them only.
"""

from collections.abc import Collection

from envcap.model.numerics import Numerics
from envcap.model.verdict import Finding

_PRODUCTS = ("matmul", "matvec", "dot", "solve", "eigenvalues", "conv2d")
_FIXED = ("torch cuda matmul with TF32", "torch cuda matmul without TF32")
_FUNCTIONS = ("exp", "log", "sin", "softmax")


def compare_numerics(frozen: Numerics, observed: Numerics) -> list[Finding]:
    """List what differs, none of it fatal: libraries, their kernels and threads, and the operations that changed."""
    if Numerics() in (frozen, observed):
        return []
    changed = changed_operations(frozen, observed)
    pairs = {
        "libraries": (libraries_of(frozen), libraries_of(observed)),
        "numpy features": (" ".join(frozen.features), " ".join(observed.features)),
        **{
            name: (frozen.settings.get(name, "missing"), observed.settings.get(name, "missing"))
            for name in {**frozen.settings, **observed.settings}
        },
    }
    found = [
        Finding(where="numerics", subject=subject, frozen=one, observed=other)
        for subject, (one, other) in pairs.items()
        if one != other
    ]
    if changed:
        both = frozen.operations.keys() & observed.operations.keys()
        observed_text = f"{len(changed)} compute otherwise ({', '.join(changed)}): {meaning_of(changed, known=both)}"
        total = f"{len(frozen.operations)} operations"
        found.append(Finding(where="numerics", subject="fingerprint", frozen=total, observed=observed_text))
    return found


def changed_operations(frozen: Numerics, observed: Numerics) -> list[str]:
    """List the operations that both sides have and that gave other bits."""
    both = frozen.operations.keys() & observed.operations.keys()
    return sorted(name for name in both if frozen.operations[name] != observed.operations[name])


def meaning_of(changed: list[str], *, known: Collection[str] = ()) -> str:
    """Say what the pattern of changed operations points to; `known` are all that both sides have."""
    kinds = kinds_of(changed)
    if are_of_gpu(changed):
        suspects = {"tf32": "another precision mode (TF32)", "gpu": "another GPU or CUDA library"}
        told = [suspects[name] for name in suspects_of_gpu(changed, known=known)]
        return " or ".join(told)
    if kinds == {"product"}:
        return "another BLAS, or another kernel of it"
    if kinds == {"function"}:
        return "another instruction set or mathematical library"
    if "random" in kinds:
        return "another release of numpy, whose random numbers changed"
    return "other builds of the libraries, or another processor"


def are_of_gpu(changed: Collection[str]) -> bool:
    """Tell whether operations changed, and all of them on the GPU."""
    return bool(changed) and all(name.startswith("torch cuda") for name in changed)


def suspects_of_gpu(changed: Collection[str], *, known: Collection[str]) -> list[str]:
    """Tell `tf32` and `gpu` apart where operations changed on the GPU alone, the likelier first.

    A product with TF32 and one without are fixed in their mode. Another GPU or library changes both; one that stayed
    shows that they are the same, and so the mode is another. A variable of NVIDIA's can overrule one of the two.
    """
    if not set(_FIXED) <= set(known):
        return ["gpu", "tf32"]
    if set(_FIXED) <= set(changed) or kinds_of([*changed]) != {"product"}:
        return ["gpu"]
    return ["tf32"]


def kinds_of(operations: list[str]) -> set[str]:
    """Give the kinds of operations among these: `product`, `function`, `random`, `other`."""
    return {_kind(name) for name in operations}


def _kind(operation: str) -> str:
    words = set(operation.split())
    if words.intersection(_PRODUCTS):
        return "product"
    if words.intersection(_FUNCTIONS):
        return "function"
    return "random" if "random" in words else "other"


def libraries_of(numerics: Numerics) -> str:
    """Name them by what they are, not by their files: a bundled library's file name holds a digest of its build."""
    shown = {
        f"{one.version or one.name.partition('-')[0].partition('.')[0]}"
        f"{f' {one.kernel}' if one.kernel else ''}{f' ({one.threads} threads)' if one.threads else ''}"
        for one in numerics.libraries
    }
    return ", ".join(sorted(shown)) or "none"
