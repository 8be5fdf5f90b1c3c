"""The libraries of CUDA and ROCm that programs can load, each with its own word for its version. Imports no framework.

They are looked for where wheels, conda, toolkits and the system put them. A library is asked in a process of its own,
because some start threads or end badly without a GPU; where it gives no answer, the header beside it is read.
"""

import os
import sys

from .document import from_json
from .files import text_or_none

TYPE_CHECKING = False  # as in `typing`, which is dear to import
if TYPE_CHECKING:
    from collections.abc import Iterator

# How a file is called, what it is, the function that tells its version, and how that is to be called.
_LIBRARIES = {
    "libcudart.so": ("cuda runtime", "cudaRuntimeGetVersion", "pointer"),
    "libcudnn.so": ("cudnn", "cudnnGetVersion", "result"),
    "libcublasLt.so": ("cublas", "cublasLtGetVersion", "result"),
    "libnccl.so": ("nccl", "ncclGetVersion", "pointer"),
    "libnvrtc.so": ("nvrtc", "nvrtcVersion", "pair"),
    "libamdhip64.so": ("hip", "hipRuntimeGetVersion", "pointer"),
    "libMIOpen.so": ("miopen", "miopenGetVersion", "triple"),
    "librccl.so": ("rccl", "ncclGetVersion", "pointer"),
}
_HEADERS = {
    "cudnn": ("cudnn_version.h", ("CUDNN_MAJOR", "CUDNN_MINOR", "CUDNN_PATCHLEVEL")),
    "nccl": ("nccl.h", ("NCCL_MAJOR", "NCCL_MINOR", "NCCL_PATCH")),
}
# The component of a toolkit's version.json, and how many numbers of it the library itself would tell.
_COMPONENTS = {"cuda runtime": ("cuda_cudart", 2), "cublas": ("libcublas", 3), "nvrtc": ("cuda_nvrtc", 2)}
_SYSTEM = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/local/lib")
_TOOLKITS = ("/usr/local", "/opt")  # /usr/local/cuda-12.8/lib64, /opt/rocm-6.2.0/lib
_SECONDS = 20
_MOST_FOLDERS = 4  # /usr/local/cuda-12.8/targets/x86_64-linux/lib/libcudart.so.12.8.90
# Answers on standard output; the library may print whatever it likes before.
_ASK = """
import ctypes, sys
path, function, kind = sys.argv[1:]
call = getattr(ctypes.CDLL(path, ctypes.RTLD_GLOBAL), function)
kinds = {"pointer": (ctypes.c_int, 1), "pair": (ctypes.c_int, 2), "triple": (ctypes.c_size_t, 3), "result": (None, 0)}
number, count = kinds[kind]
if count:
    values = [number(0) for _ in range(count)]
    code = call(*[ctypes.byref(value) for value in values])
    numbers = [] if code else [value.value for value in values]
else:
    call.restype = ctypes.c_size_t
    numbers = [call()]
sys.stdout.write("\\nversion " + " ".join(str(number) for number in numbers) + "\\n")
"""


def list_gpu_libraries(paths: "list[str]", loaded: "list[str]") -> "list[dict[str, object]]":
    """Give the tables that `envcap.model.facts.GpuLibrary` describes, by the real path of each copy, sorted.

    `paths` is sys.path. `loaded` are files that a run had mapped, wherever they are; others than these libraries count
    for nothing.
    """
    copies = _copies(paths)
    for path in loaded:
        known = library_of(path)
        if known is not None and os.path.isfile(path):
            copies.setdefault(os.path.realpath(path), known)
    found = []  # type: list[dict[str, object]]
    for path, known in sorted(copies.items()):
        name, function, kind = known
        version, told_by = _version_of_toolkit(name, path), "folder"
        if not version:
            version, told_by = version_of(name, _ask(path, function, kind)), "library"
        if not version:
            version, told_by = _version_in_header(name, path), "header"
        if not version:
            version, told_by = version_in_json(name, path), "version.json"
        found.append({"name": name, "path": path, "version": version, "told-by": told_by if version else "nothing"})
    return found


def _copies(paths: "list[str]") -> "dict[str, tuple[str, str, str]]":
    found = {}  # type: dict[str, tuple[str, str, str]]
    for folder in _folders(paths):
        try:
            names = os.listdir(folder)
        except OSError:
            continue
        for name in names:
            known = library_of(name)
            if known is not None:
                found.setdefault(os.path.realpath(os.path.join(folder, name)), known)
    return found


def library_of(path: str) -> "tuple[str, str, str] | None":
    """Give what a file is by its name: the library, and how it is asked; None where it is none of them."""
    stem, dot, _ = os.path.basename(path).partition(".so")
    return _LIBRARIES.get(stem.partition("-")[0] + dot)  # torch's own copies: libcudart-1b2c3d4e.so.12


def _folders(paths: "list[str]") -> "Iterator[str]":
    """Give the folders in which copies may be: of wheels, of frameworks, of the prefix, of toolkits, of the system."""
    for site in paths:
        for part in _listed(os.path.join(site, "nvidia")):
            yield os.path.join(site, "nvidia", part, "lib")
        for framework in ("torch", "torch.libs", "tensorflow", "jaxlib", "cupy_backends"):
            yield os.path.join(site, framework, "lib") if framework == "torch" else os.path.join(site, framework)
    yield os.path.join(sys.prefix, "lib")
    for place in _TOOLKITS:
        for name in _listed(place):
            if name.startswith(("cuda", "rocm")):
                yield os.path.join(place, name, "lib64")
                yield os.path.join(place, name, "lib")
    for path in os.environ.get("LD_LIBRARY_PATH", "").split(":"):
        if path:
            yield path
    for folder in _SYSTEM:
        yield folder


def _listed(folder: str) -> "list[str]":
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _version_of_toolkit(name: str, path: str) -> str:
    """Give `12.8` for the runtime in /usr/local/cuda-12.8, as NVIDIA's installers name it; a process less to start."""
    folder = path.split("/")[3] if path.startswith("/usr/local/cuda-") else ""
    version = folder[len("cuda-") :]
    return version if name == "cuda runtime" and version.replace(".", "", 1).isdigit() else ""


def _ask(path: str, function: str, kind: str) -> "list[int]":
    """Ask one library for its version in a process of its own; nothing where it does not load or does not answer."""
    import subprocess

    words = [sys.executable, "-I", "-S", "-c", _ASK, path, function, kind]
    try:
        null = subprocess.DEVNULL
        done = subprocess.run(words, stdin=null, stdout=subprocess.PIPE, stderr=null, timeout=_SECONDS, check=False)
    except (OSError, subprocess.SubprocessError):
        return []
    last = done.stdout.decode("ascii", "replace").rstrip("\n").rpartition("\n")[2]
    words = last.split()
    if done.returncode or words[:1] != ["version"] or not all(word.isdigit() for word in words[1:]):
        return []
    return [int(word) for word in words[1:]]


def version_of(name: str, numbers: "list[int]") -> str:
    """Give `9.26.0` for what a library answers; each maker packs its numbers in another way, "" for no answer.

    Sources: the headers cuda_runtime_api.h, cudnn_version.h, cublasLt.h, nccl.h, nvrtc.h, hip_runtime_api.h, miopen.h.
    """
    if not numbers or not any(numbers):
        return ""
    if len(numbers) > 1:
        return ".".join(str(number) for number in numbers)
    packed = numbers[0]
    if name == "cuda runtime":
        parts = [packed // 1000, packed % 1000 // 10]
    elif name == "hip":
        parts = [packed // 10000000, packed // 100000 % 100, packed % 100000]
    else:
        # Since cuDNN 9, NCCL 2.9 and cuBLAS 11 the first number has four digits behind it; before, it had three.
        wide = packed >= (90000 if name == "cudnn" else 100000 if name == "cublas" else 10000)
        parts = [packed // (10000 if wide else 1000), packed // 100 % (100 if wide else 10), packed % 100]
    return ".".join(str(part) for part in parts)


def _version_in_header(name: str, path: str) -> str:
    header, words = _HEADERS.get(name, ("", ()))
    if not header:
        return ""
    parent = os.path.dirname(os.path.dirname(path))
    text = text_or_none(os.path.join(parent, "include", header)) or ""
    numbers = []
    for word in words:
        at = text.find("#define " + word + " ")
        value = text[at:].split(None, 3)[2] if at >= 0 else ""
        if not value.isdigit():
            return ""
        numbers.append(value)
    return ".".join(numbers)


def version_in_json(name: str, path: str) -> str:
    """Give the version of a component of the toolkit around a library: NVIDIA's installers leave a version.json."""
    component, count = _COMPONENTS.get(name, ("", 0))
    folder = path
    for _ in range(_MOST_FOLDERS if component else 0):
        folder = os.path.dirname(folder)
        text = text_or_none(os.path.join(folder, "version.json"))
        if text is None:
            continue
        try:
            told = from_json(text)
        except ValueError:
            return ""
        entry = told.get(component) if isinstance(told, dict) else None
        version = entry.get("version") if isinstance(entry, dict) else None
        numbers = version.split(".") if isinstance(version, str) else []
        return ".".join(numbers[:count]) if all(number.isdigit() for number in numbers) else ""
    return ""
