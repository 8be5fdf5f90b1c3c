"""Every installed file against its RECORD. It reads the environment's files on this host and asks nobody.

Existence and size come first, then the digest, several files at once. The format of RECORD is that of PEP 376.
"""

import os
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence

from envcap.model.facts import Distribution
from envcap.model.progress import Tell
from envcap.pins.claims import Claimed, Row, read_claims
from envcap.pins.contents import read_contents
from envcap.pins.damage import Damage
from envcap.pins.verified import Verified

_MODULES = (".py", ".so")
_NOBODYS = {"_virtualenv.py"}  # virtualenv and uv put it into every environment


def check_files(
    distributions: Sequence[Distribution], *, tell: Tell, verified: Verified | None = None, refresh: bool = False
) -> dict[str, Damage]:
    """Give the damage of each distribution that has any, by the path of its metadata.

    A file that belongs to several is in order when one of their rows says so. Byte code, scripts that installers
    make, and first lines that they rewrite are left aside. What `verified` has of a file that has not changed since
    is believed, unless `refresh` is set.
    """
    looked_at = time.time()
    claimed = read_claims(distributions)
    worth_reading = [file for file in claimed if file.worth_reading]
    known = {} if verified is None or refresh else verified.recall(worth_reading)
    unknown = [file for file in worth_reading if file.path not in known]
    read = read_contents(unknown, tell=tell)
    contents = known | read.digests
    if verified is not None and unknown:
        settled = [file for file in worth_reading if file.path not in read.unsettled]
        verified.remember(settled, contents, looked_at=looked_at)
    found: dict[int, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for file in claimed:
        for row in file.rows:
            state = _state(row, file, contents.get(file.path, []))
            if state:
                found[row.owner][state].add(row.path)
    for owner, path in _unowned(distributions, {file.path: file.rows[0].owner for file in claimed}):
        found[owner]["unowned"].add(path)
    return {
        distributions[owner].path: Damage(**{state: sorted(paths) for state, paths in states.items()})
        for owner, states in sorted(found.items())
    }


def _state(row: Row, file: Claimed, contents: Sequence[str]) -> str:
    """Give the kind of damage, or nothing where the row is right or cannot tell."""
    if file.identity is None:
        return "missing"
    if not row.digest or row.digest.rstrip("=") in contents:
        return ""
    theirs = any(other.digest.rstrip("=") in contents for other in file.rows if other.owner != row.owner)
    return "replaced" if theirs else "edited"


def _unowned(distributions: Sequence[Distribution], owners: dict[str, int]) -> Iterator[tuple[int, str]]:
    """Give the modules that nobody's RECORD has, each with the owner of its folder, as RECORD would spell them.

    A site directory where some distribution left no list of its files is passed over: they might be its.
    """
    sites = {os.path.dirname(one.path) for one in distributions}  # noqa: PTH120
    silent = {os.path.dirname(one.path) for one in distributions if not one.record}  # noqa: PTH120
    for site in sorted(sites - silent):
        folders: dict[str, int] = {}
        for path, owner in owners.items():
            first, below, _ = path.removeprefix(f"{site}/").partition("/")
            if path.startswith(f"{site}/") and below and not first.endswith(".dist-info"):
                folders[first] = min(owner, folders.get(first, owner))
        for first, owner in sorted(folders.items()):
            for folder, below_it, files in os.walk(f"{site}/{first}"):
                below_it[:] = [name for name in below_it if name != "__pycache__"]
                for name in files:
                    path = f"{folder}/{name}"
                    if name.endswith(_MODULES) and name not in _NOBODYS and path not in owners:
                        yield owner, path.removeprefix(f"{site}/")
