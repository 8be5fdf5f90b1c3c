"""Read what a run wrote: metrics as flat names and values, artifacts as digests. Reads files, changes none."""

import json
from pathlib import Path
from typing import Any

from envcap.config import STDOUT_JSON
from envcap.errors import NotRunError
from envcap.metrics import flatten, last_json_object
from envcap.model.evaluation import Artifact, Declaration, Metric
from envcap.redact import redact_text
from envcap.store import file_sha256

_MOST_METRICS = 10_000
_LARGEST_METRICS = 64 << 20  # bytes of the file
_HINT = "Metrics are a JSON object, nested or flat, in a file (`--metrics FILE`) or printed (`--metrics stdout-json`)."


def collect_metrics(folder: Path, declaration: Declaration, *, stdout: str) -> dict[str, Metric]:
    """Give the metrics of one run by dotted name, in the document's order.

    Raises NotRunError when they are missing, no JSON object, or hold no value at all.
    """
    if declaration.metrics == STDOUT_JSON:
        document = last_json_object(stdout)
        if document is None:
            raise NotRunError("The evaluation printed no JSON object on standard output.", hint=_HINT)
    else:
        document = _load(folder / declaration.metrics, declaration.metrics)
    metrics: dict[str, Metric] = {}
    for written, leaf in _flatten(document):
        # In the lock and in every report, and the same at freeze and at verify.
        name, value = redact_text(written), redact_text(leaf) if isinstance(leaf, str) else leaf
        if name in metrics:
            raise NotRunError(f"The metrics name `{name}` twice.", hint=_HINT)
        if not (_is_text(name) and (_is_text(value) if isinstance(value, str) else True)):
            raise NotRunError(f"The metrics hold text that is no Unicode: {name!r}.", hint=_HINT)
        metrics[name] = value
        if len(metrics) > _MOST_METRICS:
            raise NotRunError(
                f"`{declaration.metrics}` holds more than {_MOST_METRICS:,} values.",
                hint="Write per-sample values to an artifact, for example `--artifact predictions.csv`.",
            )
    if not metrics:
        raise NotRunError(f"`{declaration.metrics}` holds no metric.", hint=_HINT)
    return metrics


def collect_artifacts(folder: Path, declaration: Declaration) -> list[Artifact]:
    """Give size and sha256 of every declared artifact that is there; a folder stands for all files below it.

    Raises NotRunError for a name that no lock can hold.
    """
    for path in artifact_files(folder, declaration):
        if not _is_text(str(path)):
            raise NotRunError(f"The artifact {str(path)!r} has a name that is no Unicode.")
    return [
        Artifact(
            path=path.relative_to(folder).as_posix(),
            size=path.stat().st_size,
            sha256=file_sha256(path),
        )
        for path in artifact_files(folder, declaration)
    ]


def artifact_files(folder: Path, declaration: Declaration) -> list[Path]:
    """List the files that the declared artifacts stand for, sorted by path."""
    found: set[Path] = set()
    for name in declaration.artifacts:
        path = folder / name
        if path.is_dir():
            found.update(item for item in path.rglob("*") if item.is_file())
        elif path.is_file():
            found.add(path)
    return sorted(found)


def _flatten(document: dict[str, Any]) -> list[tuple[str, Metric]]:
    try:
        return list(flatten(document))
    except RecursionError as error:
        raise NotRunError("The metrics are nested too deeply.", hint=_HINT) from error


def _is_text(text: str) -> bool:
    """Tell whether it can be written: JSON can hold half of a character, and a file's name any bytes."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _load(path: Path, name: str) -> dict[str, Any]:
    try:
        if path.stat().st_size > _LARGEST_METRICS:
            raise NotRunError(f"`{name}` has more than {_LARGEST_METRICS:,} bytes, which no metrics have.", hint=_HINT)
        document = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise NotRunError(f"The evaluation wrote no metrics: there is no `{name}`.", hint=_HINT) from error
    except (ValueError, RecursionError) as error:
        raise NotRunError(f"`{name}` is not valid JSON: {error}.", hint=_HINT) from error
    except OSError as error:
        raise NotRunError(f"`{name}` cannot be read: {error.strerror}.") from error
    if not isinstance(document, dict):
        raise NotRunError(f"`{name}` holds a {type(document).__name__}, not a JSON object.", hint=_HINT)
    return document


def output_stamps(folder: Path, declaration: Declaration) -> dict[str, tuple[int, int, int]]:
    """Give what changes when an output is written anew (inode, time, size), for each output that is there."""
    names = [] if declaration.metrics == STDOUT_JSON else [declaration.metrics]
    paths = [folder / name for name in names] + artifact_files(folder, declaration)
    stamps = {}
    for path in paths:
        if path.exists():
            status = path.stat()
            stamps[path.relative_to(folder).as_posix()] = (status.st_ino, status.st_mtime_ns, status.st_size)
    return stamps
