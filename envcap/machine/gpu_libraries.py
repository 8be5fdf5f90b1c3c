"""Which copies of the GPU's libraries a run used, and where they are in terms that hold on another machine."""

import os
from collections.abc import Iterable

import msgspec

from envcap.model.facts import Facts, Hardware


def with_loaded(facts: Facts, mapped: Iterable[str], *, watched: bool) -> Hardware:
    """Give the hardware with `loaded` told for each library by what a run has mapped, None where it was not watched.

    Below a folder on sys.path a copy is named from there: elsewhere that folder is another one.
    """
    seen = set(mapped)
    roots = sorted({os.path.realpath(path) for path in facts.paths if path}, key=len, reverse=True)
    marked = []
    for copy in facts.hardware.gpu_libraries:
        root = next((root for root in roots if copy.path.startswith(f"{root}/")), None)
        path = copy.path if root is None else os.path.relpath(copy.path, root)
        marked.append(msgspec.structs.replace(copy, path=path, loaded=copy.path in seen if watched else None))
    marked.sort(key=lambda copy: (copy.name, copy.path))
    return msgspec.structs.replace(facts.hardware, gpu_libraries=marked)
