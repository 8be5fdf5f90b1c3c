"""Every installed file against its RECORD. It reads the environment's files on this host and asks nobody.

Existence and size come first, then the digest, several files at once. The format of RECORD is that of PEP 376.
"""

import time
from collections import defaultdict
from collections.abc import Sequence

from envcap.model.facts import Distribution
from envcap.model.progress import Tell
from envcap.pins.claims import Claimed, Row, read_claims
from envcap.pins.contents import read_contents
from envcap.pins.damage import Damage
from envcap.pins.unowned import find_unowned
from envcap.pins.verified import Verified

_NOTHING_READ = ("",)  # of a file that was not worth it: no row is right about it


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
            state = _state(row, file, contents.get(file.path, _NOTHING_READ))
            if state:
                found[row.owner][state].add(row.path)
    changed = {owner for owner, states in found.items() if states.keys() & {"edited", "missing"}}
    for stray in find_unowned(distributions, claimed, changed=changed):
        found[stray.owner]["added" if stray.carried else "unowned"].add(stray.path)
    return {
        distributions[owner].path: Damage(**{state: sorted(paths) for state, paths in states.items()})
        for owner, states in sorted(found.items())
    }


def _state(row: Row, file: Claimed, contents: Sequence[str]) -> str:
    """Give the kind of damage, or nothing where the row is right or cannot tell."""
    if file.hidden or not contents:
        return "unreadable" if row.digest else ""
    if file.identity is None:
        return "missing"
    if not row.digest or row.digest.rstrip("=") in contents:
        return ""
    theirs = any(other.digest.rstrip("=") in contents for other in file.rows if other.owner != row.owner)
    return "replaced" if theirs else "edited"
