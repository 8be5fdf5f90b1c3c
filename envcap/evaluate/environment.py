"""Environment variables: which may be recorded in a lock, and what the reference run is started with. Pure."""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from envcap.model.gap import Gap
from envcap.redact import is_secret_name, redact_text
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
_PORTABLE_LOCALES = ("C", "POSIX", "C.UTF-8", "C.utf8")  # what every base image has
# They name places of one machine, or what only its driver can answer.
_MACHINE_ONLY = re.compile(
    r".*(_HOME|_DIR|_PATH|_ROOT|_CACHE|_CACHE_DIR|_LIBRARY|_FILE)$|CUDA_VERSION|NVIDIA_(?!TF32).*"
)


def locale_gaps(locale: str) -> list[Gap]:
    """Tell of a locale that the image will not have."""
    if locale in _PORTABLE_LOCALES:
        return []
    return [
        Gap(
            where="system.locale",
            subject=locale,
            reason="slim base images do not have it",
            consequence="the evaluation in the image runs under C.UTF-8; sorting and number formats may differ",
        )
    ]


def recordable(environ: Mapping[str, str], *, named: Iterable[str]) -> tuple[dict[str, str], list[Gap]]:
    """Choose the variables that go into the lock, sorted; a Gap for each named one that cannot.

    A value that could be a secret is never recorded: neither by its name nor by being a URL with credentials.
    """
    wanted = set(named)
    chosen: dict[str, str] = {}
    gaps: list[Gap] = []
    for name in sorted(wanted | set(environ)):
        asked_for = name in wanted
        if not asked_for and not is_recorded_unasked(name):
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


def is_recorded_unasked(name: str) -> bool:
    """Tell whether a variable of that name goes into every lock where it is set."""
    return _ALLOWED.fullmatch(name) is not None and _MACHINE_ONLY.fullmatch(name) is None


def _reason_against(name: str, value: str | None) -> str | None:
    if not is_variable_name(name):
        return "its name cannot be that of a variable in an image"
    if value is None:
        return "it is not set"
    if is_steering(name):
        return "it decides what is loaded into the process, and names places of this machine"
    if is_secret_name(name):
        return "its name says that it holds a secret"
    if redact_text(value) != value:
        return "its value is an address with credentials"
    return "its value holds control characters" if has_control_characters(value) else None


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
