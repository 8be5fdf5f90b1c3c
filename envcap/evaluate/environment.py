"""Environment variables: which may be recorded in a lock, and what the reference run is started with. Pure."""

import os
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from envcap.locales import compiled_name, special_locales
from envcap.model.facts import System
from envcap.model.gap import Gap
from envcap.redact import holds_credentials, is_secret_name, may_be_key
from envcap.trust.forms import has_control_characters
from envcap.trust.lock import is_variable_name
from envcap.trust.steering import is_steering

# Variables known to change numbers, thread counts, kernels or device choice. A name outside this list is recorded
# only when the user names it. Sources: the projects' own documentation, collected in the design notes.
_ALLOWED = re.compile(
    r"PYTHON(HASHSEED|OPTIMIZE|UTF8|IOENCODING)"
    r"|(OMP|KMP|GOMP|MKL|OPENBLAS|BLIS|VECLIB|NUMEXPR|GOTO|TBB)_[A-Z0-9_]+"
    r"|(NPY|NUMPY|ATEN|ONEDNN|DNNL|NUMBA|CUPY|JAX|XLA|TF|TORCH|PYTORCH|TRITON|KERAS|TRANSFORMERS|TOKENIZERS)_[A-Z0-9_]+"
    r"|(CUDA|CUBLAS|CUDNN|NCCL|NVIDIA_TF32|HSA|ROCR|HIP|MIOPEN)_[A-Z0-9_]+"
    r"|CUBLASLT_[A-Z0-9_]+|LOKY_MAX_CPU_COUNT|RAYON_NUM_THREADS|SCIPY_ARRAY_API|SKLEARN_[A-Z0-9_]+"
    r"|MALLOC_[A-Z0-9_]+|GLIBC_TUNABLES"
)
# They name places, interfaces, addresses and processes of one machine, or what only its driver can answer.
_MACHINE_ONLY = re.compile(
    r".*_(HOME|DIR|PATH|ROOT|CACHE|CACHE_DIR|LIBRARY|FILE|IFNAME|ADDR|ADDRESS|HOSTS?|PORT|URL|ENDPOINT|SERVER|PROXY)"
    r"|CUDA_VERSION|NVIDIA_(?!TF32).*|TF_CONFIG|NCCL_(IB_HCA|COMM_ID|HOSTID)|JAX_PROCESS_ID|CUDA_MPS_.*"
)
# They choose GPUs by this machine's numbers; what is seen of each GPU stands in the lock. To see none means the same
# everywhere, and decides what computes.
_CHOOSING_GPUS = re.compile(r"(CUDA|HIP|ROCR)_VISIBLE_DEVICES")
_NO_GPU = re.compile(r"\s*|-1")
_GPU_IDENTIFIER = re.compile(r"(GPU|MIG)-[0-9A-Fa-f]{4}|MIG-GPU-")


def locale_gaps(system: System, compiled: Collection[str]) -> list[Gap]:
    """Tell of each locale that the image will not have; `compiled` are those that it is given."""
    return [
        Gap(
            where="system.locale",
            subject=locale,
            reason="the base image does not have it, and no package with its definition could be pinned"
            if compiled_name(locale)
            else "the base image does not have it, and only locales in UTF-8 can be put there",
            consequence="the evaluation in the image runs under C.UTF-8; sorting and number formats may differ",
        )
        for locale in special_locales(system)
        if compiled_name(locale) not in compiled
    ]


def recordable(environ: Mapping[str, str], *, named: Iterable[str]) -> tuple[dict[str, str], list[Gap]]:
    """Choose the variables that go into the lock, sorted; a Gap for each named one that cannot.

    A value that could be a secret is never recorded: neither by its name nor by holding credentials or a token.
    """
    wanted = set(named)
    chosen: dict[str, str] = {}
    gaps: list[Gap] = []
    for name in sorted(wanted | set(environ)):
        asked_for = name in wanted
        if not asked_for and not is_recorded_unasked(name, environ[name]):
            continue
        reason = _reason_against(name, environ.get(name))
        if reason is None:
            chosen[name] = environ[name]
        elif asked_for:
            gaps.append(
                Gap(
                    where="system.environment",
                    subject=name,
                    reason=reason,
                    consequence="the evaluation in the image runs without it",
                )
            )
    return chosen, gaps


def is_recorded_unasked(name: str, value: str = "") -> bool:
    """Tell whether a variable of that name goes into every lock where it is set to that value."""
    if _CHOOSING_GPUS.fullmatch(name):
        return _NO_GPU.fullmatch(value) is not None
    return _ALLOWED.fullmatch(name) is not None and _MACHINE_ONLY.fullmatch(name) is None


def _reason_against(name: str, value: str | None) -> str | None:
    if not is_variable_name(name):
        return "its name cannot be that of a variable in an image"
    if value is None:
        return "it is not set"
    if is_steering(name):
        return "it decides what is loaded into the process, and names places of this machine"
    return _reason_against_value(name, value)


def _reason_against_value(name: str, value: str) -> str | None:
    complaints = (
        (is_secret_name(name), "its name says that it holds a secret"),
        (holds_credentials(value), "its value is an address with credentials, or holds a token"),
        (may_be_key(value), "its value looks like a key"),
        (_GPU_IDENTIFIER.search(value) is not None, "its value is the identifier of one GPU of this machine"),
        (has_control_characters(value), "its value holds control characters"),
    )
    return next((reason for found, reason in complaints if found), None)


def with_interpreter_first(environ: Mapping[str, str], *, programs: Path, prefix: Path | None) -> dict[str, str]:
    """Give the user's environment with the frozen interpreter's programs found first, as activating would do.

    `prefix` is the virtual environment, or None where the interpreter is not in one.
    """
    result = {name: value for name, value in environ.items() if not name.startswith("ENVCAP_")}
    result["PATH"] = os.pathsep.join([str(programs), environ.get("PATH", os.defpath)])
    result.pop("PYTHONHOME", None)
    result.pop("VIRTUAL_ENV", None)
    if prefix is not None:
        result["VIRTUAL_ENV"] = str(prefix)
    return result
