"""Which CUDA a set of packages brings along, and whether a driver and a GPU can run it. Pure, but for its table."""

import functools
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from envcap.model.facts import Gpu, Hardware
from envcap.model.lock import CondaPackage, Lock, Package
from envcap.model.struct import Data
from envcap.resources import template_folder

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_RUNTIME = re.compile(r"nvidia-cuda-runtime(-cu[0-9]+)?")
# conda's packages whose version is that of CUDA.
_CONDA = {"cuda-version", "cudatoolkit", "cuda-cudart"}
# The large ones, as NVIDIA calls them.
_LIBRARIES = {"cublas", "cudnn", "cufft", "cufile", "curand", "cusolver", "cusparse", "cusparselt", "nccl", "nvjitlink"}
_LIBRARY = re.compile(r"(nvidia-|lib|cuda-)?(?P<library>[a-z]+)(-cu[0-9]+)?")
_LOCAL = re.compile(r"\+cu([0-9]{2})([0-9]+)(?![0-9])")  # `2.7.0+cu128`; the form of PyTorch's own index


class Stack(Data, frozen=True, kw_only=True):
    """The CUDA release that an environment uses, such as `12.8`, and what tells it.

    `torch` is the release of torch, where it is a wheel for x86_64: for these it is known what they were compiled for.
    """

    cuda: str
    told_by: str
    torch: str | None = None


def stack_of(lock: Lock) -> Stack | None:
    """Give the CUDA of a locked environment: its packages' own, pip's or conda's, else the system's. None without."""
    stack = cuda_of(lock.packages) or _cuda_of_conda(lock.conda)
    if stack is None and lock.toolkit is not None:
        return Stack(cuda=lock.toolkit.release, told_by="the system's toolkit")
    return stack


def _cuda_of_conda(packages: Iterable[CondaPackage]) -> Stack | None:
    for package in packages:
        if package.name in _CONDA and len(numbers(package.version)) > 1:
            major, minor = numbers(package.version)[:2]
            return Stack(cuda=f"{major}.{minor}", told_by=f"{package.name} {package.version}")
    return None


def cuda_of(packages: Iterable[Package]) -> Stack | None:
    """Give the CUDA that comes with the packages: by its own runtime wheel, else by a local version. None without."""
    packages = list(packages)
    torch = next((one.version for one in packages if one.name == "torch" and "x86_64" in one.wheel.name), None)
    for package in packages:
        if _RUNTIME.fullmatch(package.name) and len(numbers(package.version)) > 1:
            major, minor = numbers(package.version)[:2]
            return Stack(cuda=f"{major}.{minor}", told_by=f"{package.name} {package.version}", torch=torch)
    for package in packages:
        match = _LOCAL.search(package.version)
        if match:
            told_by = f"{package.name} {package.version}"
            return Stack(cuda=f"{match[1]}.{match[2]}", told_by=told_by, torch=torch)
    return None


def copies(names: Iterable[str]) -> list[str]:
    """Tell which CUDA libraries come more than once among packages of these names, pip's and conda's: each is large.

    NVIDIA's wheels are called `nvidia-LIBRARY` or `nvidia-LIBRARY-cuMAJOR`, conda's packages `libLIBRARY`, `LIBRARY` or
    `cuda-LIBRARY`.
    """
    held: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        match = _LIBRARY.fullmatch(name)
        if match and match["library"] in _LIBRARIES:
            held.setdefault(match["library"], []).append(name)
    return [f"{library} comes {len(found)} times: {', '.join(found)}" for library, found in held.items() if found[1:]]


def complaints(stack: Stack, hardware: Hardware) -> list[str]:
    """Tell why this driver or one of these GPUs cannot run the stack. What the table does not know is no complaint."""
    floor = _of_release("driver", stack.cuda)
    found = []
    if floor is not None and _is_older(hardware.driver, floor):
        found.append(
            f"the driver `{hardware.driver}` is too old for CUDA {stack.cuda} (`{stack.told_by}`), "
            f"which needs {floor} or newer"
        )
    gpus = [gpu for gpu in hardware.gpus if gpu.maker == "nvidia" and numbers(gpu.compute_capability)]
    about = [_complaint_of_cuda(gpu, stack) or _complaint_of_torch(gpu, stack, hardware.driver) for gpu in gpus]
    return found + [complaint for complaint in about if complaint]


def _complaint_of_cuda(gpu: Gpu, stack: Stack) -> str:
    """Tell why the CUDA release itself has no code for a GPU; empty where it has or where that is not known."""
    capability = numbers(gpu.compute_capability)
    told = f"CUDA {stack.cuda} (`{stack.told_by}`) has no code for `{gpu.name}`, compute capability"
    oldest = _of_release("oldest-capability", stack.cuda)
    if oldest is not None and capability < numbers(oldest):
        return f"{told} {gpu.compute_capability}: it begins at {oldest}"
    first = _table()["newest-capability"].get(str(capability[0]))
    if first is not None and numbers(stack.cuda) < numbers(first):
        return f"{told} {gpu.compute_capability}, which came with CUDA {first}"
    return ""


def _complaint_of_torch(gpu: Gpu, stack: Stack, driver: str | None) -> str:
    """Tell why torch's wheel has no code for a GPU; empty where it has or where that is not known.

    Code for a GPU runs on others of the same major compute capability and a later minor one; PTX on all later ones.
    Source: CUDA C++ Programming Guide, "Binary Compatibility" and "PTX Compatibility".
    """
    compiled = _compiled_for(stack)
    capability = numbers(gpu.compute_capability)
    known = [numbers(one) for one in compiled["capabilities"]] if compiled else []
    if compiled is None or any(one[0] == capability[0] and one <= capability for one in known):
        return ""
    told = f"torch {stack.torch} has no code for `{gpu.name}`, compute capability {gpu.compute_capability}"
    if not compiled.get("ptx", False) or capability < max(known):
        return f"{told}: it was compiled for {', '.join(compiled['capabilities'])}"
    needed = _of_release("toolkit-driver", stack.cuda)
    if needed is not None and _is_older(driver, needed):
        return f"{told}, and the driver `{driver}` compiles none of CUDA {stack.cuda}: that needs {needed} or newer"
    return ""


def _compiled_for(stack: Stack) -> Mapping[str, Any] | None:
    release = numbers(stack.torch or "")[:2]
    rows: list[dict[str, Any]] = _table()["torch"]
    return next(
        (row for row in rows if row["cuda"] == stack.cuda and numbers(row["from"]) <= release <= numbers(row["to"])),
        None,
    )


def _of_release(name: str, cuda: str) -> str | None:
    """Look a release up in a part of the table: its own row, else the one of its major version."""
    rows: dict[str, str] = _table()[name]
    return rows.get(cuda, rows.get(cuda.partition(".")[0]))


def _is_older(version: str | None, floor: str) -> bool:
    return bool(version) and numbers(version or "") < numbers(floor)


def numbers(version: str) -> tuple[int, ...]:
    """Give the numbers of a version, to be compared; empty where there are none."""
    return tuple(int(number) for number in re.findall(r"[0-9]+", version))


@functools.cache
def _table() -> Mapping[str, Any]:
    table: dict[str, Any] = tomllib.loads((template_folder() / "cuda.toml").read_text(encoding="utf-8"))
    return table
