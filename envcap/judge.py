"""Judge: every declared output of all new runs against that of all frozen ones."""

from pathlib import Path

from envcap.compare.artifact import Contents, judge_artifact
from envcap.compare.decision import Setting, share_alpha
from envcap.compare.number import judge_metric, mode_of_metric
from envcap.errors import NotRunError
from envcap.evaluate.collect import collect_artifacts, collect_metrics
from envcap.model.evaluation import Artifact, Metric
from envcap.model.lock import Lock
from envcap.model.struct import Data
from envcap.model.verdict import Check
from envcap.store import Store


class Returned(Data, frozen=True, kw_only=True):
    """What one run of verify left behind."""

    folder: Path
    stdout: str
    events: bytes = b""  # what the hook saw, as it wrote it


def judge_outputs(lock: Lock, runs: list[Returned], *, store: Store) -> list[Check]:
    """Judge every declared output in `runs` against the frozen runs; the primary metric comes first."""
    settings = _settings(lock)
    return _judge_metrics(lock, runs, settings) + _judge_artifacts(lock, runs, settings, store)


def _settings(lock: Lock) -> dict[str, Setting]:
    """Share the chance of a false alarm among what is judged by its spread, which the frozen runs alone decide."""
    declaration = lock.declaration
    ignored = {name for name, tolerance in declaration.tolerance.items() if tolerance.ignore}
    frozen = _frozen_metrics(lock)
    noisy = [
        name for name, values in frozen.items() if mode_of_metric(values, declaration.tolerance.get(name)) == "runs"
    ]
    noisy += [path for path, items in _frozen_artifacts(lock).items() if len({item.sha256 for item in items}) > 1]
    noisy = [name for name in noisy if name not in ignored]
    primary = None if declaration.primary in ignored else declaration.primary
    return share_alpha(noisy, primary=primary, kind=declaration.kind)


def _judge_metrics(lock: Lock, runs: list[Returned], settings: dict[str, Setting]) -> list[Check]:
    declaration = lock.declaration
    observed = [_metrics(lock, run) for run in runs]
    frozen = _frozen_metrics(lock)
    names = list(dict.fromkeys([*frozen, *(name for metrics in observed for name in metrics)]))
    names.sort(key=lambda name: name != declaration.primary)
    return [
        judge_metric(
            name,
            frozen.get(name, []),
            [metrics.get(name) for metrics in observed],
            declaration.tolerance.get(name),
            settings.get(name, Setting(kind=declaration.kind)),
        )
        for name in names
    ]


def _metrics(lock: Lock, run: Returned) -> dict[str, Metric]:
    try:
        return collect_metrics(run.folder, lock.declaration, stdout=run.stdout)
    except NotRunError:
        # It ran and ended well, but the metrics are not there: that is a different result, not a failed step.
        return {}


def _frozen_metrics(lock: Lock) -> dict[str, list[Metric]]:
    frozen: dict[str, list[Metric]] = {}
    for run in lock.runs:
        for name, value in run.metrics.items():
            frozen.setdefault(name, []).append(value)
    return frozen


def _frozen_artifacts(lock: Lock) -> dict[str, list[Artifact]]:
    frozen: dict[str, list[Artifact]] = {}
    for run in lock.runs:
        for item in run.artifacts:
            frozen.setdefault(item.path, []).append(item)
    return frozen


def _judge_artifacts(lock: Lock, runs: list[Returned], settings: dict[str, Setting], store: Store) -> list[Check]:
    declaration = lock.declaration
    observed = [{item.path: item for item in collect_artifacts(run.folder, declaration)} for run in runs]
    frozen = _frozen_artifacts(lock)
    checks = []
    for path in sorted({*frozen, *(path for items in observed for path in items)}):
        before, after = frozen.get(path, []), [items.get(path) for items in observed]
        is_equal = len({item.sha256 if item else "" for item in [*before, *after]}) == 1
        check = judge_artifact(
            path,
            before,
            after,
            declaration.tolerance.get(path),
            settings.get(path, Setting(kind=declaration.kind)),
            contents=None if is_equal else _contents(before, [run.folder / path for run in runs], store),
        )
        checks.append(check)
    return checks


def _contents(frozen: list[Artifact], new: list[Path], store: Store) -> Contents | None:
    """Give the bytes of the frozen runs that were kept, and of all new ones; None where a side has none."""
    kept = [store.find(item.sha256, Path(item.path).name) for item in frozen]
    found = [path for path in kept if path is not None]
    if not found or not all(path.is_file() for path in new):
        return None
    return Contents(frozen=[path.read_bytes() for path in found], observed=[path.read_bytes() for path in new])
