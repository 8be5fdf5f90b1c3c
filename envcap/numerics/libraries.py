"""Tells what the libraries for linear algebra and threads say of themselves. Runs under the frozen interpreter, 3.6+.

Those that this process has mapped are asked here, as they were set up; those that only a run had loaded are asked in a
process of their own each, because two of a kind in one process get in each other's way.
"""

import ctypes
import json
import os
import subprocess
import sys

TYPE_CHECKING = False  # as in `typing`, which is dear to import
if TYPE_CHECKING:
    from typing import Any

    Told = dict[str, Any]

START, END = "-----ENVCAP NUMERICS-----", "-----END ENVCAP NUMERICS-----"  # around what the program prints
_BEGINNINGS = (
    "libmkl_rt", "libblis", "libflexiblas", "libblas.", "libcblas.", "libatlas", "libsatlas", "libtatlas", "libarmpl",
    "libnvpl_blas", "libgomp", "libomp.", "libomp-", "libomp5", "libiomp",
)  # fmt: skip
_OPENBLAS = [
    (prefix, suffix) for prefix in ("scipy_openblas", "openblas") for suffix in ("64_", "", "_64_")
]  # how builds name their functions
_SECONDS = 60


def is_numeric(path: str) -> bool:
    """Tell by its name whether a file is such a library."""
    name = os.path.basename(path)
    return ".so" in name and ("openblas" in name or name.startswith(_BEGINNINGS))


def list_libraries(paths: "list[str]") -> "list[Told]":
    """Give the tables that `envcap.model.numerics.NumericLibrary` describes: of this process's own and of `paths`."""
    own = _mapped()
    others = {os.path.realpath(path) for path in paths if is_numeric(path)} - own
    found = {path: ask(path) for path in own}
    found.update((path, _ask_apart(path)) for path in others if os.path.isfile(path))
    roots = sorted({os.path.realpath(path) for path in sys.path[1:] if path}, key=len, reverse=True)
    return [dict(told, name=os.path.basename(path), path=_below(path, roots)) for path, told in sorted(found.items())]


def _mapped() -> "set[str]":
    try:
        with open("/proc/self/maps", "rb") as maps:
            lines = maps.read().decode("utf-8", "surrogateescape").splitlines()
    except OSError:
        return set()
    return {path for path in (line[line.index("/") :] for line in lines if "/" in line) if is_numeric(path)}


def _below(path: str, roots: "list[str]") -> str:
    """Give the path from the folder on sys.path that holds it: elsewhere that folder is another one."""
    root = next((root for root in roots if path.startswith(root + "/")), None)
    return path if root is None else os.path.relpath(path, root)


def _ask_apart(path: str) -> "Told":
    """Ask a library in a process of its own; what does not load or answer tells nothing."""
    words = [sys.executable, "-I", "-S", "-B", os.path.abspath(__file__), path]
    null = subprocess.DEVNULL
    try:
        done = subprocess.run(words, stdin=null, stdout=subprocess.PIPE, stderr=null, timeout=_SECONDS, check=False)
        told = json.loads(done.stdout.decode("utf-8", "replace").rstrip("\n").rpartition("\n")[2])
    except (OSError, subprocess.SubprocessError, ValueError):
        return _told()
    return told if isinstance(told, dict) else _told()


def ask(path: str) -> "Told":
    """Give `version`, `kernel` and `threads`; "" and 0 where it does not tell."""
    try:
        library = ctypes.CDLL(path)
    except OSError:
        return _told()
    for family in (_openblas, _mkl, _blis, _flexiblas):
        told = family(library)
        if told is not None:
            return told
    return _told(threads=_number(library, "omp_get_max_threads"))


def _openblas(library: "Any") -> "Told | None":
    for prefix, suffix in _OPENBLAS:
        words = _text(library, "{}_get_config{}".format(prefix, suffix)).split()
        if words:
            return _told(
                version=" ".join(words[:2]),  # `OpenBLAS 0.3.31`
                kernel=_text(library, "{}_get_corename{}".format(prefix, suffix)),
                threads=_number(library, "{}_get_num_threads{}".format(prefix, suffix)),
            )
    return None


def _mkl(library: "Any") -> "Told | None":
    """Source: oneMKL developer reference, `mkl_get_version_string`, `mkl_get_max_threads`."""
    function = getattr(library, "mkl_get_version_string", None)
    if function is None:
        return None
    buffer = ctypes.create_string_buffer(256)
    function.restype = None
    function(buffer, ctypes.c_int(len(buffer)))
    words = buffer.value.decode("ascii", "replace")  # `Intel(R) oneAPI Math Kernel Library Version 2024.1-Product …`
    version = words.partition("Version ")[2].split() or [""]
    return _told(version="MKL " + version[0].partition("-")[0], threads=_number(library, "mkl_get_max_threads"))


def _blis(library: "Any") -> "Told | None":
    """Source: BLIS, docs/BLISTypedAPI.md, "Query function reference"."""
    version = _text(library, "bli_info_get_version_str")
    if not version:
        return None
    kernel = ""
    if hasattr(library, "bli_arch_query_id") and hasattr(library, "bli_arch_string"):
        library.bli_arch_string.restype = ctypes.c_char_p
        kernel = (library.bli_arch_string(library.bli_arch_query_id()) or b"").decode("ascii", "replace")
    return _told(version="BLIS " + version, kernel=kernel, threads=_number(library, "bli_thread_get_num_threads"))


def _flexiblas(library: "Any") -> "Told | None":
    """FlexiBLAS hands on to another: that one is the kernel. Source: its `flexiblas_api.h`."""
    if not hasattr(library, "flexiblas_get_version"):
        return None
    numbers = [ctypes.c_int(0) for _ in range(3)]
    library.flexiblas_get_version(*[ctypes.byref(number) for number in numbers])
    buffer = ctypes.create_string_buffer(256)
    if hasattr(library, "flexiblas_current_backend"):
        library.flexiblas_current_backend(buffer, ctypes.c_size_t(len(buffer)))
    version = ".".join(str(number.value) for number in numbers)
    return _told(version="FlexiBLAS " + version, kernel=buffer.value.decode("ascii", "replace"))


def _told(version: str = "", kernel: str = "", threads: int = 0) -> "Told":
    return {"version": version, "kernel": kernel, "threads": max(threads, 0)}


def _text(library: "Any", name: str) -> str:
    function = getattr(library, name, None)
    if function is None:
        return ""
    function.restype = ctypes.c_char_p
    return (function() or b"").decode("ascii", "replace")


def _number(library: "Any", name: str) -> int:
    function = getattr(library, name, None)
    return int(function()) if function is not None else 0


if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps(ask(sys.argv[1])) + "\n")
