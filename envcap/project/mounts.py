"""The declared data as a container gets them: each input, and what the links in it lead to.

Freeze follows links when it measures. In a container only what is mounted is there, so what a link that leads out of
its input stands for is mounted in the link's place.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from envcap.errors import NotRunError
from envcap.model.gap import Gap
from envcap.model.image import Mount
from envcap.model.layout import CODE_FOLDER
from envcap.model.lock import DataInput
from envcap.pointers import is_annex_link

MOST_LINKS = 64  # of one input; more mounts than that slow an engine down, and it may refuse them
_WORK = f"/{CODE_FOLDER}"


def mounts_of(data: Iterable[DataInput], project: Path, *, apart: bool) -> list[Mount]:
    """Give the mounts of all inputs, an outer one before those within it.

    Where the evaluation runs `apart` from this machine's files, with what links lead to. Raises NotRunError where more
    of them lead out of an input than can be mounted.
    """
    found: list[Mount] = []
    for item in data:
        mounts = _mounts(project, item.path) if apart else [_own_mount(project, item.path)]
        if len(mounts) > MOST_LINKS:
            raise NotRunError(
                f"More than {MOST_LINKS} links lead out of the data `{item.path}`: in a container they lead nowhere.",
                hint=_hint(project, item.path),
            )
        found += mounts
    return found


def places_of(paths: Iterable[str], project: Path) -> list[str]:
    """Give the real paths at which the files of declared inputs lie, links in them followed."""
    return [str(mount.source) for path in paths for mount in _mounts(project, path)]


def link_gaps(project: Path, paths: Iterable[str]) -> Iterator[Gap]:
    """Tell of each input that holds more such links than can be mounted."""
    for path in paths:
        if len(_mounts(project, path)) > MOST_LINKS:
            yield Gap(
                where="data",
                subject=path,
                reason=f"more than {MOST_LINKS} links lead out of it",
                consequence=f"verify does not run in a container, where they lead nowhere. {_hint(project, path)}",
            )


def _mounts(project: Path, path: str) -> list[Mount]:
    """Give the mounts of one input; where there are too many, one more than that."""
    mounts = [_own_mount(project, path)]
    root = mounts[0].source
    if root.is_dir():
        _follow(root, path, mounts, inside=(root,))
    return mounts


def _own_mount(project: Path, path: str) -> Mount:
    return Mount(source=(project / path).resolve(), target=path)


def _follow(folder: Path, target: str, mounts: list[Mount], *, inside: tuple[Path, ...]) -> None:
    """Add the mounts of what links below a mounted folder lead to, where that is not in the folder itself."""
    for name, folders, files in os.walk(folder):
        for one in sorted([*folders, *files]):
            link = Path(name, one)
            if not link.is_symlink() or not link.exists() or not _leads_out(link, folder, target):
                continue
            real = link.resolve()
            if real in inside:
                continue  # it leads back to where it is
            if len(mounts) > MOST_LINKS:
                return
            place = f"{target.rstrip('/')}/{link.relative_to(folder).as_posix()}"
            mounts.append(Mount(source=real, target=place))
            if real.is_dir():
                _follow(real, place, mounts, inside=(*inside, real))


def _leads_out(link: Path, folder: Path, target: str) -> bool:
    """Tell whether a link, read where the folder is mounted, does not lead to the same place in the folder."""
    mounted = os.path.normpath(os.path.join(_WORK, target))  # noqa: PTH118  (inside the container)
    own = os.path.join(mounted, link.relative_to(folder).parent)  # noqa: PTH118
    seen = os.path.normpath(os.path.join(own, link.readlink()))  # noqa: PTH118
    if seen != mounted and not seen.startswith(f"{mounted}/"):
        return True
    there = folder / os.path.relpath(seen, mounted)
    return not there.exists() or there.resolve() != link.resolve()


def _hint(project: Path, path: str) -> str:
    """Say how the files come to lie where they are declared."""
    for folder, _, files in os.walk(project / path):
        if any(_is_annexed(Path(folder, name)) for name in files[:MOST_LINKS]):
            return f"`git annex unlock {path}` puts the files in their place."
    return "Copy the files into the folder, or declare the folder that the links lead to and read from there."


def _is_annexed(file: Path) -> bool:
    return file.is_symlink() and is_annex_link(str(file.readlink()))
