"""What of a watched run an image would lack: undeclared data, hosts it talked to; and what could not be watched."""

import os
import re
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path

from envcap.model.evaluation import Declaration
from envcap.model.gap import Gap
from envcap.model.observed import Observed

_SYSTEM = ("/usr/", "/etc/", "/lib/", "/lib64/", "/bin/", "/sbin/", "/var/", "/run/", "/opt/", "/snap/", "/nix/")
_TEMPORARY = ("/tmp/", "/var/tmp/", "/dev/shm/")  # noqa: S108  (names, not places to write to)
# Made again wherever they are missing; models and data sets in the same place are data.
_CACHES = re.compile(
    r"/(__pycache__|\.cache/(matplotlib|fontconfig|pip|uv|mesa_shader_cache|torch/kernels|numba)|\.config|\.nv"
    r"|\.triton|\.git|\.envcap)(/|$)|\.pyc$|\.pth$"
)
_OWN = re.compile(r"pylock(\.[^./]+)?\.toml|pyproject\.toml|envcap\.toml")
_MOST = 12


def classify(path: str, *, project: str, environment: tuple[str, ...], temporary: str) -> str:
    """Say what a file is: `environment`, `cache`, `project`, `temporary`, `system` or `data`. Paths are real ones."""
    if path.startswith(environment):
        return "environment"
    if _CACHES.search(path):
        return "cache"
    if path.startswith(f"{project}/"):
        return "project"
    if path.startswith((*_TEMPORARY, f"{temporary}/")):
        return "temporary"
    return "system" if path.startswith(_SYSTEM) else "data"


def undeclared_data(
    observed: Observed,
    declaration: Declaration,
    *,
    project: Path,
    inputs: Collection[str],
    environment: tuple[str, ...],
    taken: Collection[str],
    temporary: str,
) -> list[str]:
    """List files and folders that a run read and that are neither declared nor in the archive of the code (`taken`).

    `inputs` are the real paths of what is declared.

    Several files of one folder are named by the folder: below the project by the first one, elsewhere by the nearest.
    """
    declared = [*inputs, *(os.path.realpath(project / path) for path in declaration.artifacts)]
    groups: dict[str, list[str]] = defaultdict(list)
    root = os.path.realpath(project)
    for path in observed.read:
        if not os.path.isfile(path) or any(path == one or path.startswith(f"{one}/") for one in declared):  # noqa: PTH113
            continue
        kind = classify(path, project=root, environment=environment, temporary=temporary)
        if kind == "project":
            name = os.path.relpath(path, root)
            if name not in taken and _OWN.fullmatch(name) is None and name != declaration.metrics:
                groups[name.split("/")[0]].append(name)
        elif kind == "data":
            groups[os.path.dirname(path)].append(path)  # noqa: PTH120
    return sorted(files[0] if len(files) == 1 else folder for folder, files in groups.items())


def watching_gaps(observed: Observed, declaration: Declaration, undeclared: list[str]) -> list[Gap]:
    """Turn what was seen, and what could not be seen, into gaps."""
    line = f"data = [{', '.join(_quote(item) for item in sorted({*declaration.data, *undeclared}))}]"
    gaps = [_undeclared(path, line) for path in undeclared[:_MOST]]
    if len(undeclared) > _MOST:
        gaps.append(_undeclared(f"{len(undeclared) - _MOST} more", line))
    gaps += [
        Gap(
            where="evaluation.network",
            subject=host,
            reason="the evaluation asked for this host",
            consequence="verify runs without network: what comes from there is missing, or may have changed since",
        )
        for host in observed.connections
    ]
    if observed.deep:
        return gaps
    gaps += [
        _unseen(f"Python {name}", "it has no audit hooks (3.8 and newer have)", "files read and programs started")
        for name in observed.old
    ]
    for text in observed.unwatched:
        command, _, reason = text.partition(": ")
        gaps.append(_unseen(command, reason, "files that it read and programs that it started"))
    if not observed.watched and not observed.unwatched:
        gaps.append(
            _unseen(
                " ".join(declaration.command)[:80],
                "no Python process took part in watching it",
                "files read and programs started",
            )
        )
    return gaps


def _undeclared(path: str, line: str) -> Gap:
    """Tell of one input; `line` declares all of them, so that it is pasted once."""
    return Gap(
        where="data",
        subject=path,
        reason="the evaluation read it, and it is neither declared nor part of the code",
        consequence=f"it is not in the image; under [tool.envcap.evaluation] put: {line}",
    )


def _unseen(subject: str, reason: str, what: str) -> Gap:
    return Gap(
        where="evaluation.watch",
        subject=subject,
        reason=reason,
        consequence=f"{what} are known only as far as its memory and open files showed them",
    )


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
