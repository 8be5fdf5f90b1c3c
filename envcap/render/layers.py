"""Which packages share a layer, and in which order the layers come. Pure: from the names and sizes in the lock.

A builder makes a layer again when it, or one before it, has changed. So what is large and seldom changes comes first,
and a package stays in its layer whatever happens to the others.
"""

import hashlib
import re
import textwrap
from pathlib import PurePosixPath

from envcap.model.image import ContextFile, Installation
from envcap.model.layout import EPOCH
from envcap.model.lock import Lock, Package
from envcap.render.quoting import exec_form

ENVIRONMENT = "/opt/env"
# One line, since it stands in the Dockerfile: an environment with nothing in it, whose files have one time, as has the
# folder above. The standard library gets no byte code from it (-B).
MAKE_ENVIRONMENT = (
    f"import os, venv; venv.create('{ENVIRONMENT}', symlinks=True); "
    f"[os.utime(path, ({EPOCH}, {EPOCH}), follow_symlinks=False) "
    f"for folder, folders, files in os.walk('{ENVIRONMENT}', topdown=False) "
    "for path in [*(os.path.join(folder, name) for name in folders + files), folder]]; "
    f"os.utime('{PurePosixPath(ENVIRONMENT).parent}', ({EPOCH}, {EPOCH}))"
)
_HEAVY = 4 << 20  # bytes of a wheel that gets a layer of its own
_MOST_HEAVY = 40  # engines allow some 120 layers, and the base has its own
_IN_A_BUCKET = 16  # packages, on average
_MOST_BUCKETS = 16
_MADE_HERE = {"local", "repacked"}
_WIDTH = 116  # of a comment


class _Layer:
    """Packages whose files one archive holds."""

    def __init__(self, name: str, packages: list[Package]) -> None:
        self.name = name
        self.packages = packages


def installation_of(lock: Lock) -> Installation:
    """Tell where the Python packages of an image are."""
    version = ".".join(lock.python.version.split(".")[:2])
    name = "pypy" if lock.python.implementation == "pypy" else "python"
    threaded = re.match(r"cpython-[0-9]+t\b", lock.python.abi)  # PEP 703: it has folders of its own
    return Installation(
        prefix=lock.conda_prefix.path if lock.conda_prefix is not None else ENVIRONMENT,
        python=lock.python.version,
        series=f"{name}{version}{'t' if threaded else ''}",
    )


def layer_files(packages: list[Package]) -> list[ContextFile]:
    """List the archives, in the order of their layers."""
    return [
        ContextFile(path=_path(number, layer), wheels=tuple(package.wheel.sha256 for package in layer.packages))
        for number, layer in enumerate(_plan(packages), 1)
    ]


def layer_steps(packages: list[Package]) -> list[tuple[list[str], str]]:
    """Give for each layer the lines of its comment, and the arguments of its ADD."""
    return [
        (_comment(layer), exec_form([_path(number, layer), "/"])) for number, layer in enumerate(_plan(packages), 1)
    ]


def _plan(packages: list[Package]) -> list[_Layer]:
    """Give the layers: a heavy package each, buckets of light ones, and last what was made in this project."""
    heavy = [package for package in packages if _size(package) >= _HEAVY]
    # By the power of two of their size, so that a new version seldom moves one.
    heavy = sorted(heavy, key=lambda package: (-_size(package).bit_length(), package.name))[:_MOST_HEAVY]
    light = [package for package in packages if package not in heavy]
    own = [package for package in light if package.checkout is not None or package.origin in _MADE_HERE]
    rest = [package for package in light if package not in own]
    buckets: dict[int, list[Package]] = {}
    for package in rest:
        buckets.setdefault(_bucket(package, among=len(rest)), []).append(package)
    return [
        *(_Layer(package.name, [package]) for package in heavy),
        *(_Layer(f"small-{number:02}", buckets[number]) for number in sorted(buckets)),
        *([_Layer("own", own)] if own else []),
    ]


def _size(package: Package) -> int:
    return package.wheel.size or 0


def _bucket(package: Package, *, among: int) -> int:
    """Give the number of a package's bucket. It depends on its name and, in steps, on how many there are."""
    count = 1
    while count < _MOST_BUCKETS and among > count * _IN_A_BUCKET:
        count *= 2
    return hashlib.sha256(package.name.encode()).digest()[0] % count


def _path(number: int, layer: _Layer) -> str:
    return f"layers/{number:02}-{layer.name}.tar"


def _comment(layer: _Layer) -> list[str]:
    words = ", ".join(f"{package.name} {package.version}{_edited(package)}" for package in layer.packages)
    return textwrap.wrap(" ".join(words.split()), width=_WIDTH)


def edited_comment(packages: list[Package]) -> list[str]:
    """Give the lines of a comment on the packages that are not as they were published; none where all are."""
    words = ", ".join(f"{one.name} {one.version}{_edited(one)}" for one in packages if one.edits is not None)
    return textwrap.wrap(" ".join(f"Not as published: {words}.".split()), width=_WIDTH) if words else []


def _edited(package: Package) -> str:
    if package.edits is None:
        return ""
    return f" (changed by hand: {package.edits.files} file{'s' * (package.edits.files != 1)})"
