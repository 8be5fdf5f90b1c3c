"""What DVC knows of the declared data: by which md5, and what of it was not fetched. DVC itself is not asked.

Its files are YAML: `NAME.dvc` beside what it stands for, and `dvc.lock` with what pipelines wrote (DVC's documentation,
".dvc Files" and "dvc.yaml Files"). One that cannot be understood tells nothing.
"""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from envcap.model.gap import Gap
from envcap.pointers import fetching
from envcap.regular import read_regular

_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")  # `.dir` at the end of a folder's
_LARGEST = 4 << 20  # bytes: it takes seconds to read
_PIPELINE = "dvc.lock"


class DvcOutputs:
    """What the DVC files in the folders above an input stand for: absolute paths, with the md5 where one is told."""

    def __init__(self, project: Path, path: str) -> None:
        self._project = project
        self._root = project / path
        above = [folder for folder in self._root.parents if folder.is_relative_to(project)]
        self._known: dict[str, str | None] = {}
        for folder in above:
            for file in [*sorted(folder.glob("*.dvc")), folder / _PIPELINE]:
                self._known |= _outputs(file)

    @property
    def md5(self) -> str | None:
        """The md5 of the input itself; None where DVC does not know it under its own name."""
        return self._known.get(str(self._root))

    @property
    def fetching(self) -> str | None:
        """The command that fetches the input, or the folder that it is in; None where DVC does not know it."""
        for place in (self._root, *self._root.parents):
            if str(place) in self._known:
                return fetching("DVC", os.path.relpath(place, self._project))
        return None

    def gaps(self, files: Iterable[Path]) -> Iterator[Gap]:
        """Tell of what is not there: below the input, where `files` are, or what a declared pointer stands for."""
        known = dict(self._known)
        pointers = [file for file in files if file.suffix == ".dvc"]
        for file in pointers:
            known |= _outputs(file)
        own = {path for file in pointers for path in _outputs(file)}
        below = f"{self._root}{os.sep}"
        for path in sorted(known):
            if (path in own or path.startswith(below)) and not os.path.lexists(path):
                yield _gap(os.path.relpath(path, self._project))
        if self._root in pointers:
            for path in sorted(own):
                if os.path.lexists(path):
                    yield _only_pointer(
                        os.path.relpath(self._root, self._project), os.path.relpath(path, self._project)
                    )


def _outputs(file: Path) -> dict[str, str | None]:
    """Give what a DVC file stands for: absolute paths, with the md5 where it is told."""
    document = _load(file)
    if not isinstance(document, dict):
        return {}
    if file.name != _PIPELINE:
        return _listed(document.get("outs"), file.parent / str(document.get("wdir", ".")))
    pipeline = _load(file.with_name("dvc.yaml"))
    stages = document.get("stages")
    if not isinstance(stages, dict) or not isinstance(pipeline, dict) or "wdir" in repr(pipeline):
        return {}  # with a `wdir` its paths begin elsewhere
    found: dict[str, str | None] = {}
    for stage in stages.values():
        found |= _listed(stage.get("outs"), file.parent) if isinstance(stage, dict) else {}
    return found


def _listed(outs: Any, folder: Path) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for out in outs if isinstance(outs, list) else []:
        path, md5 = (out.get("path"), out.get("md5")) if isinstance(out, dict) else (None, None)
        if isinstance(path, str) and "://" not in path:
            is_md5 = isinstance(md5, str) and _MD5.fullmatch(md5) is not None
            found[os.path.normpath(folder / path)] = md5 if is_md5 else None
    return found


def _load(file: Path) -> Any:
    try:
        content = read_regular(file, limit=_LARGEST)
    except OSError:
        return None
    import yaml

    try:
        return yaml.safe_load(content)  # not the loader in C: it crashes on brackets without end
    except (yaml.YAMLError, ValueError, RecursionError):  # ValueError: a date that is none
        return None


def _gap(path: str) -> Gap:
    return Gap(
        where="data",
        subject=path,
        reason="it is a pointer of DVC whose content was not fetched",
        consequence=f"it is not part of the recorded data; {fetching('DVC', path)} fetches the content",
    )


def _only_pointer(pointer: str, path: str) -> Gap:
    return Gap(
        where="data",
        subject=pointer,
        reason=f"it is DVC's pointer to `{path}`, which is not declared",
        consequence=f"only the pointer is recorded; declare `{path}`",
    )
