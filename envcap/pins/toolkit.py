"""Choose NVIDIA's image that has the libraries of the system's CUDA, by the table, and resolve it to a digest."""

import functools
import re
import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec

from envcap.model.gap import Gap
from envcap.model.lock import Toolkit
from envcap.model.struct import Data
from envcap.pins.base_image import resolve_image
from envcap.resources import template_folder

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class ToolkitImage(Data, frozen=True, kw_only=True):
    """One of NVIDIA's images, all of which hold a CUDA release on a system. `kind` is `base` or `runtime`."""

    tag: str
    cuda: str  # `12.8.1`
    kind: str
    system: str  # `ubuntu22.04`
    cudnn: str | None = None  # its version, at least the first number; None for an image without it


class ImageTable(Data, frozen=True, kw_only=True):
    """What templates/bases.toml says of them. `glibc` is the C library of each system."""

    repository: str
    glibc: dict[str, str]
    images: list[ToolkitImage]


def read_table(path: Path) -> ImageTable:
    """Give the table of images. Raises msgspec.ValidationError for one of another form."""
    return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8"))["cuda"], ImageTable)


@functools.cache
def known_images() -> ImageTable:
    """Give the table that comes with envcap."""
    return read_table(template_folder() / "bases.toml")


def resolve_toolkit(
    libraries: list[str], *, release: str, cudnn: str | None, glibc: str | None, platform: str, offline: bool = False
) -> tuple[Toolkit | None, list[Gap]]:
    """Give NVIDIA's image for these libraries of the system's CUDA, or a Gap that says why there is none.

    `release` is that of CUDA (`12.8`), `cudnn` the version in use, None without; `glibc` that of the base image below.
    """
    found = choose_images(libraries, release=release, cudnn=cudnn, glibc=glibc)
    subject = f"CUDA {release}" + (f", cuDNN {cudnn}" if cudnn else "")
    if not found:
        return None, [_gap(subject, "envcap's table has no image of NVIDIA's with these versions")]
    failures: list[str] = []
    for image in found:
        reference = f"{known_images().repository}:{image.tag}"
        base, why = resolve_image(reference, platform, offline=offline)
        if base is not None:
            return Toolkit(release=release, image=base, libraries=libraries), cudnn_gaps(image, base.reference, cudnn)
        failures += why
    return None, [_gap(subject, "NVIDIA's image could not be resolved: " + "; ".join(dict.fromkeys(failures)))]


def choose_images(
    libraries: Iterable[str], *, release: str, cudnn: str | None, glibc: str | None, table: ImageTable | None = None
) -> list[ToolkitImage]:
    """List the images that hold these libraries of a CUDA release, best first.

    An image of the kind `base` has the runtime alone, and will do where nothing else is used. The cuDNN in use comes
    first, then others of its major version; then the newest patch of the release; then the newest system whose C
    library is not newer than the one below, on which its libraries are to run.
    """
    table = known_images() if table is None else table
    kind = "base" if all(name.startswith("libcudart.") for name in libraries) else "runtime"
    fitting = [
        image
        for image in table.images
        if image.kind == kind
        and numbers(image.cuda)[:2] == numbers(release)[:2]
        and (numbers(image.cudnn or "")[:1] == numbers(cudnn or "")[:1])
        and (glibc is None or numbers(table.glibc.get(image.system, "0")) <= numbers(glibc))
    ]

    def rank(image: ToolkitImage) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
        return _common(image.cudnn or "", cudnn or ""), numbers(image.cuda), numbers(image.system)

    return sorted(fitting, key=rank, reverse=True)


def _common(first: str, second: str) -> int:
    """Give how many of their numbers two versions have in common, from the first on."""
    count = 0
    for one, other in zip(numbers(first), numbers(second), strict=False):
        if one != other:
            break
        count += 1
    return count


def numbers(version: str) -> tuple[int, ...]:
    """Give the numbers of a version, to be compared; empty where there are none."""
    return tuple(int(number) for number in re.findall(r"[0-9]+", version))


def cudnn_gaps(image: ToolkitImage, reference: str, cudnn: str | None) -> list[Gap]:
    """Tell when the image is not known to have the very cuDNN that was used."""
    if cudnn is None or _common(image.cudnn or "", cudnn) >= min(3, len(numbers(cudnn))):
        return []
    return [
        Gap(
            where="toolkit",
            subject=f"cuDNN {cudnn}",
            reason=f"`{reference}` has cuDNN {image.cudnn}, as far as envcap's table knows",
            consequence="results may differ; verify names the version that the image loads",
        )
    ]


def _gap(subject: str, reason: str) -> Gap:
    return Gap(
        where="toolkit",
        subject=subject,
        reason=reason,
        consequence="its libraries do not come from NVIDIA's image; freeze with a base that has them: `--base IMAGE`",
    )
