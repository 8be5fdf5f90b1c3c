"""What an editable install makes importable: its source folders, and modules under another name.

Sources: PEP 660 and PEP 610; the "Development Mode" of setuptools (static .pth files, finders with a MAPPING, link
trees); site.py of the standard library for .pth files.
"""

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from envcap.model.facts import Distribution
from envcap.model.struct import Data
from envcap.pins.record import installed_rows
from envcap.pins.repack import CannotRepackError

_FINDER = re.compile(r"import[ \t]+(__editable___\w+_finder)\b.*")
_LARGEST = 1 << 20  # bytes of a .pth file or a finder


class Imports(Data, frozen=True, kw_only=True):
    """What is importable: everything in `roots`, and `modules`, each a folder or a file, by their dotted names."""

    project: Path
    roots: list[Path] = []
    modules: dict[str, Path] = {}


def read_imports(distribution: Distribution) -> Imports:
    """Give what an editable distribution adds to sys.path.

    Raises CannotRepackError where it is a loader that nobody else can read, or leads nowhere.
    """
    metadata = Path(distribution.path)
    url = distribution.direct_url.url if distribution.direct_url else ""
    project = Path(unquote(urlsplit(url).path))
    if distribution.layout == "egg-link":
        root = metadata.parent
        return Imports(project=project if project.is_dir() and root.is_relative_to(project) else root, roots=[root])
    if not project.is_dir():
        raise CannotRepackError(f"its source tree `{project}` is gone")
    roots: list[Path] = []
    modules: dict[str, Path] = {}
    for name in sorted(_path_files(metadata)):
        for line in _text(metadata.parent / name).splitlines():
            _read_line(line.rstrip(), metadata.parent, roots=roots, modules=modules)
    modules |= _links(metadata)
    if not roots and not modules:
        raise CannotRepackError("nothing tells which modules it makes importable")
    return Imports(project=project, roots=roots, modules=modules)


def _path_files(metadata: Path) -> Iterator[str]:
    yield from (row for row in installed_rows(metadata) if row.endswith(".pth") and "/" not in row)


def _read_line(line: str, site: Path, *, roots: list[Path], modules: dict[str, Path]) -> None:
    if not line.strip() or line.startswith("#"):
        return
    if not line.startswith(("import ", "import\t")):
        folder = Path(os.path.normpath(site / line))
        if not folder.is_dir():
            raise CannotRepackError(f"its source folder `{folder}` is gone")
        roots.append(folder)
        return
    match = _FINDER.fullmatch(line)
    if match is None:
        raise CannotRepackError(f"a loader of its own finds its modules: `{line[:80]}`")
    modules.update(_mapping(site / f"{match[1]}.py"))


def _mapping(finder: Path) -> dict[str, Path]:
    """Give the modules that setuptools' finder maps to paths, and the namespaces that it spreads over folders."""
    try:
        tree = ast.parse(_text(finder))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise CannotRepackError(f"`{finder.name}` cannot be understood") from error
    mapping: dict[str, Any] = {}
    for node in tree.body:
        targets = [node.target] if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [])
        names = {target.id for target in targets if isinstance(target, ast.Name)}
        value = getattr(node, "value", None)
        if names & {"MAPPING", "NAMESPACES"} and value is not None:
            try:
                mapping |= ast.literal_eval(value)
            except (ValueError, TypeError) as error:
                raise CannotRepackError(f"`{finder.name}` cannot be understood") from error
    found: dict[str, Path] = {}
    for name, path in mapping.items():
        for one in [path] if isinstance(path, str) else list(path):
            there = _existing(Path(str(one)))
            if there is not None:
                found[str(name)] = there
    return found


def _existing(path: Path) -> Path | None:
    """Give what a mapping means: a package is named by its folder, a module by its file without the suffix."""
    candidates = [path, path.with_name(f"{path.name}.py")]
    return next((candidate for candidate in candidates if candidate.exists()), None)


def _links(metadata: Path) -> dict[str, Path]:
    """Give the modules that lie in the site folder as links into a source tree, as `flit install --symlink` does."""
    found = {}
    for top in {row.split("/")[0] for row in installed_rows(metadata)}:
        path = metadata.parent / top
        if path.is_symlink() and path.exists() and path != metadata:
            found[top.removesuffix(".py")] = path.resolve()
    return found


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST:
            raise CannotRepackError(f"`{path.name}` is too large to be what it should be")
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise CannotRepackError(f"`{path.name}` cannot be read: {error.strerror}") from error
