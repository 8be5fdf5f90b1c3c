"""Which CUDA a set of packages brings along, and whether a driver and a GPU can run it. Pure, but for its table."""

import functools
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from envcap.model.facts import Gpu, Hardware
from envcap.model.lock import Package
from envcap.model.struct import Data
from envcap.resources import template_folder

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_RUNTIME = re.compile(r"nvidia-cuda-runtime(-cu[0-9]+)?")
# The large ones, as NVIDIA calls them.
_LIBRARIES = {"cublas", "cudnn", "cufft", "cufile", "curand", "cusolver", "cusparse", "cusparselt", "nccl", "nvjitlink"}
_LIBRARY = re.compile(r"(nvidia-|lib|cuda-)?(?P<library>[a-z]+)(-cu[0-9]+)?")
_LOCAL = re.compile(r"\+cu([0-9]{2})([0-9]+)(?![0-9])")  # `2.7.0+cu128`; the form of PyTorch's own index


class Stack(Data, frozen=True, kw_only=True):
    """The CUDA release that the packages bring, such as `12.8`, and the package that tells."""

    cuda: str
    told_by: str


def cuda_of(packages: Iterable[Package]) -> Stack | None:
    """Give the CUDA that comes with the packages: by its own runtime wheel, else by a local version. None without."""
    packages = list(packages)
    for package in packages:
        if _RUNTIME.fullmatch(package.name) and len(numbers(package.version)) > 1:
            major, minor = numbers(package.version)[:2]
            return Stack(cuda=f"{major}.{minor}", told_by=f"{package.name} {package.version}")
    for package in packages:
        match = _LOCAL.search(package.version)
        if match:
            return Stack(cuda=f"{match[1]}.{match[2]}", told_by=f"{package.name} {package.version}")
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
    major = stack.cuda.partition(".")[0]
    found = []
    floor = _table()["driver"].get(major)
    if floor is not None and hardware.driver is not None and numbers(hardware.driver) < numbers(floor):
        found.append(
            f"the driver `{hardware.driver}` is too old for CUDA {stack.cuda} (`{stack.told_by}`), "
            f"which needs {floor} or newer"
        )
    return found + [
        complaint for gpu in hardware.gpus if gpu.maker == "nvidia" for complaint in _complaints_about(gpu, stack)
    ]


def _complaints_about(gpu: Gpu, stack: Stack) -> list[str]:
    capability, cuda = numbers(gpu.compute_capability), numbers(stack.cuda)
    if not capability:
        return []
    told = f"CUDA {stack.cuda} (`{stack.told_by}`) has no code for `{gpu.name}`, compute capability"
    oldest = _table()["oldest-capability"].get(stack.cuda.partition(".")[0])
    if oldest is not None and capability < numbers(oldest):
        return [f"{told} {gpu.compute_capability}: it begins at {oldest}"]
    firsts = [row for row in _table()["newest-capability"] if numbers(row["capability"]) <= capability]
    first = firsts[-1]["cuda"] if firsts else None
    if first is not None and cuda < numbers(first):
        return [f"{told} {gpu.compute_capability}, which came with CUDA {first}"]
    return []


def numbers(version: str) -> tuple[int, ...]:
    """Give the numbers of a version, to be compared; empty where there are none."""
    return tuple(int(number) for number in re.findall(r"[0-9]+", version))


@functools.cache
def _table() -> Mapping[str, Any]:
    table: dict[str, Any] = tomllib.loads((template_folder() / "cuda.toml").read_text(encoding="utf-8"))
    return table
