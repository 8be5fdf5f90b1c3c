"""Files of an environment's own folder that no package owns: named, and for conda carried where the runs used them.

Modules where imports look are not meant here: they are told with the packages (`strays.py`, `integrity.py`).
"""

import os
from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath

from envcap.model.facts import Facts
from envcap.model.gap import Gap
from envcap.model.observed import Observed
from envcap.model.struct import Data
from envcap.pins.conda_files import files_of_records
from envcap.pins.record import installed_rows
from envcap.sources import is_secret_file

_MODULES = {".py", ".so", ".pth", ".egg-link"}
_METADATA = (".dist-info", ".egg-info", ".egg")
# What the tools keep for themselves: conda's records and messages, its caches and other environments, what virtualenv,
# venv and uv put into each environment.
_TOOLS_FOLDERS = {"conda-meta", "pkgs", "envs", "condabin"}
_TOOLS_FILES = {"pyvenv.cfg", ".messages.txt", ".condarc", ".nonadmin", ".gitignore", ".lock", "CACHEDIR.TAG"}
_INTERPRETERS = ("python", "pypy", "activate", "Activate")
_ACTIVATION = "etc/conda/activate.d/"
_OF_NO_MATTER = "etc/conda/deactivate.d/"
_MOST_NAMED = 3


class Leftovers(Data, frozen=True, kw_only=True):
    """Paths below the prefix, sorted: all that there are, and those of them that the image gets."""

    found: list[str] = []
    carried: list[str] = []
    gaps: list[Gap] = []


def find_leftovers(facts: Facts, observed: Observed, *, project: Path) -> Leftovers:
    """Tell what no package owns below the prefix of a conda environment, or of a virtual one if the runs used it.

    Programs and libraries that the runs loaded count as used, as do files that they read and did not write. A file
    that is named like a secret is never carried.
    """
    kind = facts.interpreter.kind
    if kind not in {"conda", "venv"} or not facts.prefix:
        return Leftovers()
    real = os.path.realpath(facts.prefix)
    used = {path for path in [*observed.read, *observed.mapped, *observed.started] if path.startswith(f"{real}/")}
    used = {path.removeprefix(f"{real}/") for path in used}
    written = {path.removeprefix(f"{real}/") for path in observed.written}
    every = sorted(used) if kind == "venv" else _walk(real, leave={os.path.realpath(project)})
    owned = _owned(facts, real)
    sites = tuple(f"{os.path.relpath(os.path.realpath(path), real)}/" for path in facts.paths if path)
    found = [path for path in every if path not in owned | written and not _is_nobodys(path, sites)]
    if kind == "venv":
        return Leftovers(found=found, gaps=_venv_gaps(facts.prefix, found))
    scripts = [path for path in found if path.startswith(_ACTIVATION)]
    others = [path for path in found if path not in scripts and not path.startswith(_OF_NO_MATTER)]
    # A name that is no plain text cannot be told, and is in no archive either.
    carried = [path for path in others if path in used and path.isprintable() and not is_secret_file(path)]
    return Leftovers(
        found=found,
        carried=carried,
        gaps=[*map(_script_gap, scripts), *_conda_gaps(facts.prefix, others, carried)],
    )


def _walk(root: str, *, leave: Collection[str]) -> list[str]:
    """List the plain files below a prefix, without other environments in it."""
    found = []
    for folder, folders, files in os.walk(root):
        kept = [name for name in folders if f"{folder}/{name}" not in leave and name != "__pycache__"]
        kept = [name for name in kept if not _is_environment(Path(folder, name))]
        folders[:] = [name for name in kept if folder != root or name not in _TOOLS_FOLDERS]
        paths = [Path(folder, name) for name in files]
        found += [path.relative_to(root).as_posix() for path in paths if path.is_file() and not path.is_symlink()]
    return sorted(found)


def _is_environment(folder: Path) -> bool:
    return (folder / "conda-meta").is_dir() or (folder / "pyvenv.cfg").is_file()


def _owned(facts: Facts, real: str) -> set[str]:
    """Give what conda's records and the RECORD of each distribution list, below the prefix."""
    owned = files_of_records(facts.conda.records) if facts.conda is not None else set()
    for one in facts.distributions:
        site = os.path.realpath(Path(one.path).parent)
        for row in installed_rows(Path(one.path)):
            path = os.path.normpath(f"{site}/{row}")
            if path.startswith(f"{real}/"):
                owned.add(path.removeprefix(f"{real}/"))
    return owned


def _is_nobodys(path: str, sites: tuple[str, ...]) -> bool:
    """Tell whether a file is a tool's own, is made anew when it is missing, or is told elsewhere."""
    pure = PurePosixPath(path)
    if pure.suffix == ".pyc" or any(part.endswith(_METADATA) for part in pure.parts):
        return True
    if path in _TOOLS_FILES or (pure.parts[0] == "bin" and pure.name.startswith(_INTERPRETERS)):
        return True
    return pure.suffix in _MODULES and path.startswith(sites)


def _venv_gaps(prefix: str, found: Sequence[str]) -> list[Gap]:
    if not found:
        return []
    reason = f"the runs used {_named(found)}, which no package owns"
    consequence = "the image will not have them; put them into a package, or declare them as data from another folder"
    return [Gap(where="packages", subject=prefix, reason=reason, consequence=consequence)]


def _script_gap(path: str) -> Gap:
    return Gap(
        where="conda",
        subject=os.fsencode(path).decode(errors="replace"),
        reason="activating the environment runs it, and no package owns it",
        consequence="the evaluation in the image runs without the variables that it sets",
    )


def _conda_gaps(prefix: str, found: Sequence[str], carried: Sequence[str]) -> list[Gap]:
    if not found:
        return []
    told = "the runs read none of them, and the image will not have them"
    if carried:
        told = f"the image gets those that the runs used, {_named(carried)}"
        told += ", and not the others" if len(carried) < len(found) else ""
    reason = f"it holds {_named(found)}, which no package owns"
    return [Gap(where="conda", subject=prefix, reason=reason, consequence=told)]


def _named(paths: Sequence[str]) -> str:
    shown = ", ".join(f"`{os.fsencode(path).decode(errors='replace')}`" for path in paths[:_MOST_NAMED])
    more = f" and {len(paths) - _MOST_NAMED} more" if len(paths) > _MOST_NAMED else ""
    return f"{len(paths)} file{'s' * (len(paths) != 1)} ({shown}{more})"
