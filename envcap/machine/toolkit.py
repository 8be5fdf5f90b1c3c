"""Which CUDA of the system an environment uses: the libraries of a toolkit that lies outside of it. Pure."""

import re
from collections.abc import Collection, Iterable

from envcap.model.gap import Gap
from envcap.model.lock import Library
from envcap.model.struct import Data

# Where toolkits are: /usr/local/cuda-12.8/lib64, /opt/cuda-12.8/targets/x86_64-linux/lib, …/CUDA/12.1.1/lib of modules.
_FOLDER = re.compile(r".*/cuda[-/](?P<release>[0-9]+\.[0-9]+)(\.[0-9]+)*/(.+/)?lib(64)?/[^/]+", re.IGNORECASE)
# NVIDIA's own OS packages: `cuda-cudart-12-8`, `libcublas-12-8`, `libcudnn9-cuda-12`, `libcudnn8`, `libnccl2`.
_PACKAGE = re.compile(
    r"(cuda-[a-z-]+|lib(cu|npp|nv)[a-z]*(-dev)?)-(?P<release>[0-9]+-[0-9]+)"
    r"|libcudnn[0-9]+(-dev)?(-cuda-[0-9]+)?|libnccl([0-9]+|-dev)|cuda-[a-z-]+"
)
# What NVIDIA's images of the kind `runtime` hold: the libraries of its package cuda-libraries, NCCL, and cuDNN by kind.
_HELD = re.compile(
    r"lib(cudart|cublas(Lt)?|nvblas|cufftw?|cufile(_rdma)?|curand|cusolver(Mg)?|cusparse|npp[a-z]+|nvjpeg|nvrtc"
    r"(-builtins)?|nvJitLink|nvfatbin|nvToolsExt|nccl|cudnn(_[a-z0-9_]+)?)\.so(\.[0-9]+)*"
)
_CUDNN = re.compile(r"libcudnn(_[a-z0-9_]+)?\.so\.(?P<version>[0-9]+(\.[0-9]+)*)")


class Used(Data, frozen=True, kw_only=True):
    """The toolkit that is in use: its release such as `12.8`, the sonames of its libraries, the version of cuDNN."""

    release: str
    libraries: list[str]
    cudnn: str | None = None


def used_toolkit(libraries: Iterable[Library], *, provided: Collection[str] = ()) -> tuple[Used | None, list[Gap]]:
    """Tell which toolkit of the system was linked to or loaded, None without one or where it is not clear.

    That, and libraries of it that NVIDIA's images do not hold, is a Gap. `provided` are the names of libraries that the
    environment has itself: what only links to one of these gets the environment's, as torch loads it beforehand.
    """
    proven = [item for item in libraries if item.seen in {"loaded", "both"} or item.name not in provided]
    used = [item for item in proven if item.seen != "absent" and _is_of_toolkit(item)]
    held = [item for item in used if _HELD.fullmatch(item.name)]
    gaps = [_elsewhere(item) for item in used if item not in held]
    if not held:
        return None, gaps
    releases = sorted({release for item in held if (release := _release(item))})
    if len(releases) != 1:
        return None, [*gaps, _unclear(held, releases)]
    versions = [match["version"] for item in held if (match := _CUDNN.fullmatch(item.path.rpartition("/")[2]))]
    cudnn = max(versions, key=len, default=None)
    return Used(release=releases[0], libraries=sorted({item.name for item in held}), cudnn=cudnn), gaps


def is_package_of_toolkit(name: str) -> bool:
    """Tell whether an OS package is of NVIDIA's toolkit, by its name."""
    return _PACKAGE.fullmatch(name) is not None


def _is_of_toolkit(item: Library) -> bool:
    # The name too: other packages lie in such folders, and the driver's libraries do.
    if not item.name.startswith(("libcu", "libnv", "libnpp", "libnccl")) or item.name.startswith("libcuda.so"):
        return False
    return _FOLDER.fullmatch(item.path) is not None or is_package_of_toolkit(item.package or "")


def _release(item: Library) -> str:
    folder, package = _FOLDER.fullmatch(item.path), _PACKAGE.fullmatch(item.package or "")
    if folder is not None:
        return folder["release"]
    return (package["release"] or "").replace("-", ".") if package is not None else ""


def _unclear(held: list[Library], releases: list[str]) -> Gap:
    which = f"those of {' and '.join(releases)} are" if releases else "no release can be told of it"
    return Gap(
        where="toolkit",
        subject=", ".join(sorted({item.name for item in held})),
        reason=f"the environment uses the system's CUDA, and {which}{' used together' if releases else ''}",
        consequence="no image of NVIDIA's was chosen for it; freeze with a base that has it: `--base IMAGE`",
    )


def _elsewhere(item: Library) -> Gap:
    return Gap(
        where="toolkit",
        subject=item.name,
        reason="it is used from the system's CUDA, and NVIDIA's runtime images do not hold it",
        consequence="unless an OS package brings it, what needs it will miss it in the image",
    )
