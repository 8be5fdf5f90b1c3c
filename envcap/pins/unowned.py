"""Files that lie in the folders of packages and that no RECORD has. It reads folders, and no contents."""

import os
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from envcap.model.facts import Distribution
from envcap.model.gap import Gap
from envcap.model.struct import Data
from envcap.pins.claims import Claimed
from envcap.pins.classify import subject
from envcap.regular import LARGEST_METADATA, read_regular
from envcap.sources import LARGEST_UNTRACKED, is_passing, is_secret_file, secret_line

_MODULES = (".py", ".so")
_NOBODYS = {"_virtualenv.py"}  # virtualenv and uv put it into every environment


class Unowned(Data, frozen=True, kw_only=True):
    """One such file, as RECORD would spell its path, with the number of the distribution whose folder it is in.

    It is `carried` where that one was changed by hand: it is part of the change then.
    """

    owner: int
    path: str
    carried: bool


def find_unowned(
    distributions: Sequence[Distribution], claimed: Sequence[Claimed], *, changed: Collection[int]
) -> Iterator[Unowned]:
    """Give the modules that nobody's RECORD has; of those that were `changed`, whatever is in folders of their own.

    Folders are passed over that may belong to a distribution without a RECORD.
    """
    owners = {file.path: file.rows[0].owner for file in claimed}
    for site in sorted({_site(one) for one in distributions}):
        silent = _names_without_record(distributions, site)
        if silent is None:
            continue
        for first, folder_owners in sorted(_folders(site, claimed).items()):
            if first in silent:
                continue
            owner = min(folder_owners)
            own = owner in changed and len(folder_owners) == 1
            for path in _files(f"{site}/{first}", every=own):
                if path not in owners:
                    yield Unowned(owner=owner, path=path.removeprefix(f"{site}/"), carried=own and _may_go_along(path))


def unlooked_gaps(distributions: Sequence[Distribution]) -> list[Gap]:
    """Give a Gap for each distribution that may own anything, beside others whose folders could be looked through."""
    gaps = []
    with_record = {_site(one) for one in distributions if one.record}
    for one in distributions:
        if not one.record and _site(one) in with_record and _own_names(Path(one.path)) is None:
            reason = "it left no list of its files and does not say which folders are its own"
            consequence = "files beside it that no package installed are not told from its own, and not named"
            gaps.append(Gap(where="packages", subject=subject(one), reason=reason, consequence=consequence))
    return gaps


def _site(distribution: Distribution) -> str:
    return os.path.dirname(distribution.path)  # noqa: PTH120


def _names_without_record(distributions: Sequence[Distribution], site: str) -> set[str] | None:
    """Give the folders of distributions without a RECORD; None where one of these may own any."""
    names: set[str] = set()
    for one in distributions:
        if one.record or _site(one) != site:
            continue
        own = _own_names(Path(one.path))
        if own is None:
            return None
        names |= own
    return names


def _own_names(metadata: Path) -> set[str] | None:
    """Give what setuptools or pip noted down of the folders of an installation; None where neither did."""
    tops = _lines(metadata / "top_level.txt")
    files = _lines(metadata / "installed-files.txt")  # relative to the metadata: `../demo/__init__.py`
    if not tops and not files:
        return None
    return {line.strip().partition("/")[0] for line in tops} | {
        line.removeprefix("../").partition("/")[0] for line in files
    }


def _lines(path: Path) -> list[str]:
    try:
        text = read_regular(path, limit=LARGEST_METADATA).decode("utf-8", errors="surrogateescape")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip()]


def _folders(site: str, claimed: Sequence[Claimed]) -> dict[str, set[int]]:
    """Give the folders right below a site directory, each with everybody who has a file in it."""
    folders: dict[str, set[int]] = defaultdict(set)
    for file in claimed:
        if file.path.startswith(f"{site}/"):
            first, below, _ = file.path[len(site) + 1 :].partition("/")
            if below and not first.endswith(".dist-info"):
                folders[first].update(row.owner for row in file.rows)
    return folders


def _files(top: str, *, every: bool) -> Iterator[str]:
    for folder, below, files in os.walk(top):
        below[:] = [name for name in below if name != "__pycache__"]
        for name in files:
            if name not in _NOBODYS and (name.endswith(_MODULES) or (every and not is_passing(name))):
                yield f"{folder}/{name}"


def _may_go_along(path: str) -> bool:
    """Tell whether a file can be carried: it is none, is what a project may not have in its code either, is no link."""
    file = Path(path)
    if file.is_symlink() or not file.is_file() or is_secret_file(path) or secret_line(file) is not None:
        return False
    return path.endswith(_MODULES) or file.stat().st_size <= LARGEST_UNTRACKED
