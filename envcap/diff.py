"""Diff: what differs between two locks, or between a lock and the live environment or an image."""

from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path

from envcap import lockfile
from envcap.compare.contents import Contents, contents_of_facts, contents_of_lock
from envcap.compare.differences import areas_not_compared, find_differences
from envcap.engines import open_engine
from envcap.errors import WrongUsageError
from envcap.evaluate.environment import recordable
from envcap.image_facts import facts_of_image
from envcap.model.difference import Comparison
from envcap.model.progress import Progress, Tell
from envcap.model.struct import Data
from envcap.probe.handover import find_python, probe_host

LIVE = "live"
_HINT = "Name a lock (`train`, or the path of its file), `live`, or an image that envcap built."


class DiffRequest(Data, frozen=True, kw_only=True):
    """What the command line asked for: two sides, each a lock, `live`, or an image."""

    project: Path
    first: str
    second: str = LIVE
    python: Path | None = None  # of the live environment
    engine: str = "auto"  # where images are


def diff(request: DiffRequest, *, environ: Mapping[str, str], tell: Tell) -> Comparison:
    """Compare the two sides in all that both of them tell.

    Raises WrongUsageError for a side that cannot be meant, RefusedError for a lock that cannot be believed,
    NotRunError for an environment or an image that cannot be inspected.
    """
    sides = (request.first, request.second)
    still = {side: _contents(side, request, tell=tell) for side in sides if side != LIVE}
    named = {name for contents in still.values() for name in contents.areas.get("settings", {})}
    first, second = (still.get(side) or _live(request, named, environ=environ, tell=tell) for side in sides)
    return Comparison(
        first=request.first,
        second=request.second,
        differences=find_differences(first, second),
        not_compared=areas_not_compared(first, second),
    )


def _live(request: DiffRequest, named: Iterable[str], *, environ: Mapping[str, str], tell: Tell) -> Contents:
    """Look at the live environment, and at the variables that the other side recorded."""
    tell(Progress(kind="step", text="inspecting the environment"))
    settings, _ = recordable(environ, named=named)
    return contents_of_facts(probe_host(find_python(request.python, environ)), settings=settings)


def _contents(side: str, request: DiffRequest, *, tell: Tell) -> Contents:
    path = _lock_file(side, request.project)
    if path is not None:
        lock, _ = lockfile.read(path)
        return contents_of_lock(lock)
    return _contents_of_image(side, request, tell=tell)


def _lock_file(side: str, project: Path) -> Path | None:
    """Give the file that a side names: as a path, or as the name of one of the project's locks."""
    if side.endswith(".toml"):
        return Path(side)
    if "/" in side or ":" in side:
        return None
    try:
        path = lockfile.lock_path(project, side)
    except WrongUsageError:
        return None
    return path if path.exists() else None


def _contents_of_image(reference: str, request: DiffRequest, *, tell: Tell) -> Contents:
    with closing(open_engine(request.engine, request.project.resolve(), tell=tell)) as engine:
        image = engine.find(reference)
        if image is None:
            raise WrongUsageError(f"`{reference}` is neither a lock here nor an image of {engine.name}.", hint=_HINT)
        tell(Progress(kind="step", text=f"inspecting {engine.name} `{reference}`"))
        facts = facts_of_image(engine, image)
    return contents_of_facts(facts, settings=None)
