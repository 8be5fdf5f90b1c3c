"""What reads files behind the hook's back: programs that are no Python, and libraries that open files by themselves."""

import os
import re
from collections.abc import Collection, Iterable

# They start others, tell of the machine, or compile what they are given: none brings data into an evaluation.
_QUIET = re.compile(
    r"(ba|da|z|k)?sh|true|false|test|\[|echo|printf|sleep|date|pwd|which|env|nice|nohup|timeout|taskset|numactl|stdbuf|time"
    r"|mpirun|mpiexec.*|srun|orted|prted|prterun|hydra_.*|uname|arch|hostname|id|whoami|nproc|getconf|lscpu|lspci"
    r"|lsb_release|ldconfig|ldd|locale|tput|stty|clear|ps|kill|free|df|ls|mkdir|rm|rmdir|touch|ln|chmod|fc-list|sysctl"
    r"|nvidia-smi|rocm-smi|amd-smi|rocminfo|rocm_agent_enumerator"
    r"|([a-z0-9_]+-linux-gnu-)?(cc|gcc|g\+\+|c\+\+|cpp|clang|clang\+\+|cc1|cc1plus|as|ld(\..*)?|lld|collect2|lto1|lto-wrapper"
    r"|ar|ranlib|nm|strip|objdump|readelf)(-[0-9.]+)?"
    r"|nvcc|cicc|ptxas|cuobjdump|nvdisasm|fatbinary|nvlink|cudafe\+\+|hipcc|ninja|make|cmake|pkg-config|strace"
)
_PYTHON = re.compile(r"(python|pypy)[0-9.]*t?")
# What asks a repository for its state; `clone`, `fetch` and the like bring something in.
_QUIET_GIT = re.compile(
    r"|rev-parse|describe|status|log|diff|show|branch|tag|config|ls-files|ls-tree|cat-file|rev-list|remote|symbolic-ref"
    r"|version|for-each-ref|diff-index|update-index|name-rev|merge-base|check-ignore|hash-object|blame|grep|shortlog"
)
# By what they are mapped as: who loads one of them reads files through it, in compiled code.
_LIBRARIES = {
    "h5py or netCDF": re.compile(r"libhdf5[-_.].*|libnetcdf[-.].*"),
    "parquet": re.compile(r"_parquet\..*|libparquet\..*"),
    "lmdb": re.compile(r"lmdb.*\.so.*"),
    "soundfile": re.compile(r"libsndfile.*"),
    "cv2": re.compile(r"cv2\..*"),
    "gdal": re.compile(r"libgdal[-.].*"),
    "onnxruntime": re.compile(r"onnxruntime_pybind11_state.*"),
    "xgboost": re.compile(r"libxgboost\..*"),
    "lightgbm": re.compile(r"lib_lightgbm\..*"),
    "sentencepiece": re.compile(r"_sentencepiece\..*"),
    "faiss": re.compile(r"_swigfaiss.*"),
    "safetensors": re.compile(r"_safetensors_rust\..*"),
    "tokenizers": re.compile(r"tokenizers\..*"),
}
_LINE = 256  # bytes of a script that are looked at


def opaque_readers(
    started: Iterable[str], libraries: Collection[str], *, scripts: Iterable[str], git: Collection[str]
) -> list[str]:
    """Name, sorted, the programs (by path) and libraries whose reading is not seen.

    `scripts` are shells and what they were given to run, with a line between; `git` are the commands given to git.
    """
    found = {name for name in map(os.path.basename, started_as_programs(started)) if not _QUIET.fullmatch(name)}
    if all(_QUIET_GIT.fullmatch(command) for command in git):
        found.discard("git")
    found |= {" ".join(map(os.path.basename, text.split("\n"))) for text in scripts}
    names = [os.path.basename(path) for path in libraries]  # noqa: PTH119
    return sorted(found | {told for told, form in _LIBRARIES.items() if any(map(form.fullmatch, names))})


def started_as_programs(paths: Iterable[str]) -> Iterable[str]:
    """Leave out each Python, and each script of one."""
    for path in paths:
        if not _PYTHON.fullmatch(os.path.basename(path)) and not _is_script_of_python(path):  # noqa: PTH119
            yield path


def _is_script_of_python(path: str) -> bool:
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            line = file.read(_LINE).partition(b"\n")[0]
    except OSError:
        return False
    return line.startswith(b"#!") and re.search(rb"python|pypy", line) is not None
