"""Kernels that a run compiled for itself and keeps: a run that finds them all starts no compiler, and needs one."""

import os
import re
import shutil
from collections.abc import Mapping

from msgspec import structs

from envcap.model.gap import Gap
from envcap.model.observed import Observed

COMPILER = re.compile(r"([a-z0-9_]+-linux-gnu-)?(cc|gcc|g\+\+|c\+\+|clang|clang\+\+)(-[0-9.]+)?")
# Where Triton, torch.compile and torch's C++ extensions keep them, unless a variable names another folder.
_KEPT = re.compile(r"(?P<folder>.*/(\.triton|torchinductor_[^/]+|torch_extensions))/")
_FOLDERS = ("TRITON_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR", "TORCH_EXTENSIONS_DIR")
_C = ("CC", "gcc", "clang")  # in the order in which Triton looks for one
_CXX = ("CXX", "g++", "clang++")


def with_compilers(observed: Observed, *, env: Mapping[str, str]) -> tuple[Observed, list[Gap]]:
    """Take kept kernels for what they are: no libraries to be installed, but a compiler that the image needs.

    Where the runs started none, the one that they would have started counts as started, and a Gap tells of it.
    """
    places = tuple(f"{os.path.realpath(env[name])}/" for name in _FOLDERS if env.get(name))
    kept = {path: folder for path in [*observed.read, *observed.mapped] if (folder := _folder(path, places))}
    observed = structs.replace(observed, mapped=[path for path in observed.mapped if path not in kept])
    if not kept or any(COMPILER.fullmatch(os.path.basename(path)) for path in observed.started):  # noqa: PTH119
        return observed, []
    kinds = [_C, *([] if all(".triton" in folder for folder in kept.values()) else [_CXX])]
    found = [path for names in kinds if (path := _first(names, env))]
    gap = Gap(
        where="evaluation.watch",
        subject=", ".join(sorted(set(kept.values()))),
        reason="the runs used kernels that earlier ones had compiled, and started no compiler",
        consequence=f"the image compiles them anew, with {' and '.join(map(os.path.basename, found))}"
        if found
        else "the image would have to compile them anew, and no compiler is here that it could be given",
    )
    return structs.replace(observed, started=sorted({*observed.started, *found})), [gap]


def _folder(path: str, places: tuple[str, ...]) -> str | None:
    named = next((place.rstrip("/") for place in places if path.startswith(place)), None)
    match = None if named else _KEPT.match(path)
    return named or (match["folder"] if match else None)


def _first(names: tuple[str, ...], env: Mapping[str, str]) -> str | None:
    variable, *programs = names
    wishes = [env.get(variable, ""), *programs]
    return next((path for name in wishes if name and (path := shutil.which(name, path=env.get("PATH")))), None)
