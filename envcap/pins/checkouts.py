"""Packages that are used from their source tree: the tree goes into a wheel, with its provenance beside it.

The wheel lays the tree at `share/envcap/checkouts/NAME` below the environment's prefix, and a .pth file leads there by
a path relative to the site folder (site.py resolves it so). Any installer can install it, and code that looks for files
around itself finds them as it did.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from packaging.utils import canonicalize_name

from envcap.model.facts import Distribution
from envcap.model.gap import NOT_IN_IMAGE, Gap
from envcap.model.lock import Checkout
from envcap.model.struct import Data
from envcap.pins.carry import Carrier, Pinned
from envcap.pins.classify import subject
from envcap.pins.editable import Imports, read_imports
from envcap.pins.provenance import checkout_of, describe_state
from envcap.pins.repack import (
    CannotRepackError,
    Member,
    Repacked,
    keep,
    metadata_members,
    stem_of,
    wheel_name_of,
)
from envcap.pins.unlisted import written_metadata
from envcap.sources import (
    LARGEST_UNTRACKED,
    SourceFiles,
    is_passing,
    is_secret_file,
    is_source_folder,
    list_files,
    secret_line,
)
from envcap.store import Store

_LARGEST_TREE = 2 << 30  # bytes
_TO_PREFIX = "../../.."  # from `lib/pythonX.Y/site-packages`
_FINDER = Path(__file__).with_name("carried_finder.py")
_MADE = {"build", "dist"}  # folders at the top of a project that hold what was made of the rest
_IMPORTABLE = (".py", ".so")


class _Tree(Data, frozen=True, kw_only=True):
    """The files to carry, by their path below the project, and what is known of where they come from."""

    files: dict[str, Path]
    listing: SourceFiles
    gaps: list[Gap]


def pin_editable(
    distribution: Distribution, *, carrier: Carrier, store: Store, tag: str, left_out: Sequence[Path]
) -> Pinned:
    """Give the package of an editable install, with the Gap that says so.

    `left_out` are paths that are no code, such as the data of the evaluation; `tag` is the platform's most specific
    wheel tag. Where the tree cannot be carried there is no package, and the Gap says why.
    """
    try:
        imports = read_imports(distribution)
        tree = _read_tree(distribution, imports, left_out=left_out)
        made = _write(distribution, imports, tree, store=store, tag=tag)
    except CannotRepackError as error:
        reason = f"it is an editable install, and its source tree cannot be carried: {error}"
        gap = Gap(where="packages", subject=subject(distribution), reason=reason, consequence=NOT_IN_IMAGE)
        return Pinned(gaps=[gap])
    checkout = _checkout(distribution, tree, store)
    carried = f"its source tree is carried ({len(tree.files)} files, {describe_state(checkout)})"
    pinned = carrier.carried(distribution, made, reason=f"it is an editable install: {carried}")
    packages = [msgspec.structs.replace(package, origin="editable", checkout=checkout) for package in pinned.packages]
    return Pinned(packages=packages, gaps=[*pinned.gaps, *tree.gaps])


def _checkout(distribution: Distribution, tree: _Tree, store: Store) -> Checkout:
    found = checkout_of(distribution, tree.listing, store, kind="editable")
    return msgspec.structs.replace(found, untracked=tuple(path for path in found.untracked if path in tree.files))


def _read_tree(distribution: Distribution, imports: Imports, *, left_out: Sequence[Path]) -> _Tree:
    project = imports.project
    below = [os.path.relpath(path, project) for path in left_out]
    listing = list_files(project, left_out=[path for path in below if not path.startswith("..")])
    gaps = [
        msgspec.structs.replace(gap, where="packages", subject=f"{subject(distribution)}: {gap.subject}")
        for gap in listing.gaps
    ]
    files: dict[str, Path] = {}
    for path in listing.paths:
        if ".egg-info/" in path:
            continue  # setuptools writes it again at each installation; what counts of it goes into the .dist-info
        source = (project / path).resolve()
        if source.is_file() and not is_secret_file(str(source)):
            files[path] = source
        else:
            gaps.append(_link_gap(distribution, path))
    for root in [*imports.roots, *imports.modules.values()]:
        for source in _importable(root, project):
            home = _place_of(source, root, project)
            if listing.left_out.get(home) == "secret" or secret_line(source) is not None:
                continue
            files.setdefault(home, source.resolve())
    size = sum(source.stat().st_size for source in files.values())
    if size > _LARGEST_TREE:
        raise CannotRepackError(f"it holds {size:,} bytes")
    return _Tree(files=files, listing=listing, gaps=gaps)


def _link_gap(distribution: Distribution, path: str) -> Gap:
    return Gap(
        where="packages",
        subject=f"{subject(distribution)}: {path}",
        reason="it is a link to a folder, or to what may not be taken along",
        consequence="the package in the image does not find it",
    )


def _importable(root: Path, project: Path) -> Iterator[Path]:
    """Give what Python could import below a root though git ignores it: extensions built in place, generated modules.

    With the other files of their packages, for a package may read them.
    """
    if root.is_file():
        yield root
        return
    for name, folders, files in os.walk(root):
        folder = Path(name)
        at_top = folder == project
        folders[:] = sorted(one for one in folders if is_source_folder(folder / one) and not (at_top and one in _MADE))
        in_package = "__init__.py" in files
        for file in sorted(files):
            path = folder / file
            if (
                ".egg-info" in folder.name
                or is_passing(file)
                or is_secret_file(str(path.resolve()))
                or not path.is_file()
            ):
                continue
            importable = file.endswith(_IMPORTABLE)
            if importable or (in_package and path.stat().st_size <= LARGEST_UNTRACKED):
                yield path


def _place_of(path: Path, root: Path, project: Path) -> str:
    """Give where a path goes in the carried tree: as in the project, or by its root's name where it lies elsewhere."""
    if path.is_relative_to(project):
        return path.relative_to(project).as_posix()
    folder = root if root.is_dir() else root.parent
    return Path("elsewhere", "-".join(folder.parts[1:]), path.relative_to(folder)).as_posix()


def _write(distribution: Distribution, imports: Imports, tree: _Tree, *, store: Store, tag: str) -> Repacked:
    name = str(canonicalize_name(distribution.name))
    stem = stem_of(distribution)
    home = f"share/envcap/checkouts/{name}"
    store.root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="checkout", dir=store.root) as folder:
        compiled = any(path.endswith(".so") for path in tree.files)
        members = [
            *_leading(imports, home=home, name=name, folder=Path(folder)),
            *(Member(name=f"{stem}.data/data/{home}/{path}", source=source) for path, source in tree.files.items()),
        ]
        if distribution.layout == "egg-link":
            own = tag if compiled else "py3-none-any"
            members += written_metadata(distribution, Path(distribution.path), Path(folder), stem=stem, tag=own)
            wheel = f"{stem}-{own}.whl"
        else:
            members += metadata_members(distribution, stem=stem)
            wheel = wheel_name_of(distribution, stem)
        return keep(members, name=wheel, record=f"{stem}.dist-info/RECORD", store=store)


def _leading(imports: Imports, *, home: str, name: str, folder: Path) -> list[Member]:
    """Write what makes the tree importable: a .pth with its roots, and a finder for modules that have other names."""
    own = f"__envcap_{name.replace('-', '_')}"
    roots = [_place_of(root, root, imports.project) for root in imports.roots]
    lines = [os.path.normpath(f"{_TO_PREFIX}/{home}/{root}") for root in roots]
    members = [Member(name=f"{own}.pth", source=folder / "leading.pth")]
    if imports.modules:
        places = {module: _place_of(path, path, imports.project) for module, path in imports.modules.items()}
        called = f"install({f'{_TO_PREFIX}/{home}'!r}, {places!r})"
        text = f"{_FINDER.read_text(encoding='utf-8')}\n\n{called}\n"
        (folder / "finder.py").write_text(text, encoding="utf-8", errors="surrogateescape")
        members.append(Member(name=f"{own}_finder.py", source=folder / "finder.py"))
        lines.append(f"import {own}_finder")
    text = "".join(f"{line}\n" for line in dict.fromkeys(lines))
    (folder / "leading.pth").write_text(text, encoding="utf-8", errors="surrogateescape")
    return members
