"""What of a watched run an image would lack: undeclared data, hosts it talked to; and what could not be watched."""

import os
import re
from collections import defaultdict
from collections.abc import Collection

from envcap.evaluate.classify import Ground, classify, count_read, is_made
from envcap.model.evaluation import Declaration
from envcap.model.gap import Gap
from envcap.model.lock import WatchedFiles
from envcap.model.observed import Observed

_OWN = re.compile(r"pylock(\.[^./]+)?\.toml|pyproject\.toml|envcap\.toml")
_PASSING = re.compile(r"(?i)te?mp|[0-9]{4}|~$")  # a name with a time, a process or chance in it
_MOST = 12


def undeclared_data(
    observed: Observed,
    declaration: Declaration,
    ground: Ground,
    *,
    inputs: Collection[str],
    taken: Collection[str],
) -> list[str]:
    """List files and folders that a run read and that are neither declared nor in the archive of the code (`taken`).

    `inputs` are the real paths of what is declared.

    Several files of one folder are named by the folder: below the project by the first one, elsewhere by the nearest.
    """
    project = ground.project
    declared = [*inputs, *(os.path.realpath(os.path.join(project, path)) for path in declaration.artifacts)]  # noqa: PTH118
    groups: dict[str, list[str]] = defaultdict(list)
    for path in observed.read:
        if not os.path.isfile(path) or any(path == one or path.startswith(f"{one}/") for one in declared):  # noqa: PTH113
            continue
        made = is_made(path, observed)
        kind = classify(path, ground, made=made)
        if kind == "project" and not made:
            name = os.path.relpath(path, project)
            if name not in taken and _OWN.fullmatch(name) is None and name != declaration.metrics:
                groups[name.split("/")[0]].append(name)
        elif kind == "data":
            groups[os.path.dirname(path)].append(path)  # noqa: PTH120
    return sorted(name for folder, files in groups.items() for name in _called(folder, files, ground))


def _called(folder: str, files: list[str], ground: Ground) -> list[str]:
    """Name several files by their folder, unless that is where everybody puts files."""
    common = {ground.temporary, os.path.expanduser("~"), "/tmp", "/var/tmp", "/dev/shm"}  # noqa: PTH111, S108
    shallow = folder in common or (folder.startswith("/") and folder.count("/") == 1)
    return files if len(files) == 1 or shallow else [folder]


def watched_files(
    observed: Observed, declaration: Declaration, ground: Ground, *, inputs: Collection[str], undeclared: list[str]
) -> WatchedFiles:
    """Summarise what the runs read and what they left in the project. The same runs give the same summary."""
    return WatchedFiles(
        read=count_read(observed, ground, inputs),
        written=_written(observed, declaration, ground),
        undeclared=undeclared[:_MOST],
    )


def _written(observed: Observed, declaration: Declaration, ground: Ground) -> list[str]:
    """List what was written beside the declared outputs, by the first name below the project; no passing names."""
    declared = [f"{ground.project}/{path}" for path in (*declaration.artifacts, declaration.metrics)]
    names = {
        "".join(os.path.relpath(path, ground.project).partition("/")[:2])
        for path in observed.written
        if classify(path, ground, made=True) == "project"
        and os.path.isfile(path)  # noqa: PTH113
        and not any(path == one or path.startswith(f"{one}/") for one in declared)
    }
    return sorted(name for name in names if not _PASSING.search(name))[:_MOST]


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
    if observed.opaque:
        gaps.append(_opaque(observed.opaque))
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


def _opaque(names: list[str]) -> Gap:
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return Gap(
        where="evaluation.watch",
        subject=", ".join(names[:_MOST]) + more,
        reason="what runs or is loaded by these names opens files without Python",
        consequence="what they read and which hosts they asked for is not known; `freeze --deep` sees it",
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
