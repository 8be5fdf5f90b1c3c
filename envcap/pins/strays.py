"""Modules on sys.path that no distribution owns: the image will not have them, so they are named. Reads folders."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence, Set
from pathlib import Path

from envcap.model.facts import Facts
from envcap.model.gap import Gap
from envcap.pins.conda_files import files_of_records
from envcap.pins.debian import InstalledByDpkg
from envcap.pins.listing import list_files
from envcap.regular import LARGEST_METADATA, read_regular

_MODULES = {".py", ".so"}
_METADATA = (".dist-info", ".egg-info", ".egg-link", ".egg")
# Installers put them into environments: virtualenv and uv; easy_install's lists of paths; setuptools' switch.
_INSTALLERS_OWN = {"_virtualenv.py", "_virtualenv.pth", "__pycache__"}
_MOST_NAMED = 5
_MOST_LOOKED_AT = 2000  # entries of one folder: a home folder on PYTHONPATH is not searched to its end


def stray_gaps(facts: Facts, *, claimed: Set[Path], carried_roots: Set[Path]) -> list[Gap]:
    """Give a Gap for each folder on sys.path with modules that belong to no distribution.

    `claimed` are files of distributions that have no RECORD. `carried_roots` are folders that editable installs put
    on sys.path: they are carried whole, and are on it in the image too.
    """
    dpkg = InstalledByDpkg()
    own = Path(__file__).parents[2]  # envcap's, which the user may have put on PYTHONPATH to start it from its source
    claimed = {*claimed, *_of_conda(facts)}
    gaps = []
    for folder in dict.fromkeys(Path(path) for path in facts.paths):
        if folder in carried_roots:
            continue
        if not folder.is_dir() or _is_standard(folder) or (folder == own and not folder.name.endswith("-packages")):
            continue
        strays = sorted(_strays(folder, claimed, dpkg))
        if strays:
            shown = ", ".join(f"`{name}`" for name in strays[:_MOST_NAMED])
            more = f" and {len(strays) - _MOST_NAMED} more" if len(strays) > _MOST_NAMED else ""
            gaps.append(
                Gap(
                    where="packages",
                    subject=str(folder),
                    reason=f"it is on sys.path and holds modules that no package installed: {shown}{more}",
                    consequence="the image will not have them where imports look; put them into a package",
                )
            )
    return gaps


def _of_conda(facts: Facts) -> Iterator[Path]:
    """Give what conda's packages have in site directories: many have modules and no metadata for Python."""
    if facts.conda is None or facts.interpreter.kind != "conda":
        return
    found = (path.partition("/site-packages/") for path in files_of_records(facts.conda.records))
    for folder, name in {(folder, below.partition("/")[0]) for folder, _, below in found if below}:
        yield Path(facts.prefix, folder, "site-packages", name)


def _is_standard(folder: Path) -> bool:
    return folder.name == "lib-dynload" or (folder / "encodings" / "__init__.py").is_file()


def _strays(folder: Path, claimed: Set[Path], dpkg: InstalledByDpkg) -> Iterator[str]:
    try:
        names = sorted(os.listdir(folder))[:_MOST_LOOKED_AT]  # noqa: PTH208
    except OSError:
        return
    if folder.name.endswith(".egg") and "EGG-INFO" in names:
        return  # the egg is one distribution
    owned = _owned(folder, names, claimed, dpkg)
    for name in names:
        if name in owned or name in _INSTALLERS_OWN or name.endswith(_METADATA):
            continue
        if _is_module(folder / name):
            yield name


def _is_module(path: Path) -> bool:
    if path.suffix in _MODULES:
        return path.is_file()
    if path.suffix == ".pth":
        return _runs_code(path)
    return path.name.isidentifier() and path.is_dir() and _has_module(path)


def _owned(folder: Path, names: Sequence[str], claimed: Set[Path], dpkg: InstalledByDpkg) -> set[str]:
    """Give the first part of every path below the folder that some metadata in it claims, also of a hidden version."""
    owned = {path.relative_to(folder).parts[0] for path in claimed if path.is_relative_to(folder)}
    for name in names:
        if name.endswith(".dist-info"):
            owned |= _first_parts(folder / name / "RECORD")
    for name in names:
        if not name.endswith(".egg-info"):
            continue
        listing = list_files(folder / name, dpkg=dpkg, owned=frozenset())
        if listing is not None:
            owned |= {path.partition("/")[0] for path in listing.files}
    return owned


def _first_parts(record: Path) -> set[str]:
    """Give the first part of each path of a RECORD. A quoted one is taken without its quotes."""
    try:
        text = read_regular(record, limit=LARGEST_METADATA).decode("utf-8", errors="surrogateescape")
    except OSError:
        return set()
    return {line.lstrip('"').partition(",")[0].partition("/")[0] for line in text.splitlines()}


def _runs_code(path: Path) -> bool:
    """Tell whether a .pth file does more than to add folders, which are looked at themselves (`site`)."""
    try:
        lines = read_regular(path, limit=LARGEST_METADATA).splitlines()
    except OSError:
        return False
    return any(line.startswith((b"import ", b"import\t")) for line in lines)


def _has_module(folder: Path) -> bool:
    for looked_at, (_, below, names) in enumerate(os.walk(folder)):
        if any(Path(name).suffix in _MODULES for name in names):
            return True
        below[:] = [name for name in below if name.isidentifier() and name != "__pycache__"]
        if looked_at > _MOST_LOOKED_AT:
            return False
    return False
