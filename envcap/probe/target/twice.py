"""Which of several metadata folders of one name in one folder belongs to the files that are there."""

import os

from .files import read

_UNKNOWN = 0.5  # between a list of files that is right and one that is wrong
_STAGES = {"dev": -4, "a": -3, "alpha": -3, "b": -2, "beta": -2, "c": -1, "rc": -1, "pre": -1, "post": 1}


def nearest_first(several: "list[dict[str, object]]") -> "list[dict[str, object]]":
    """Give them with the one first whose RECORD fits the disk best; of equally good ones the newest version.

    An interrupted upgrade and two installers at work leave such pairs. `importlib.metadata` takes whichever the
    file system lists first.
    """
    newest = sorted(several, key=lambda one: version_key(str(one["version"])), reverse=True)
    return sorted(newest, key=_wrongness)


def version_key(version: str) -> "list[tuple[int, int]]":
    """Give what versions are ordered by: numbers, with the words of PEP 440 for what comes before and after."""
    public, _, local = version.lower().partition("+")
    epoch, _, rest = public.rpartition("!")
    return [(0, int(epoch) if epoch.isdigit() else 0), *_pieces(rest), (0, 0), (0, 0), *_pieces(local)]


def _pieces(text: str) -> "list[tuple[int, int]]":
    found = []  # type: list[tuple[int, int]]
    word = ""
    for one in text + ".":
        if word and (word[0].isdigit() != one.isdigit() or not one.isalnum()):
            if not word.isdigit():
                _trim(found)
            found.append((0, int(word)) if word.isdigit() else (_STAGES.get(word, 0), 0))
            word = ""
        word += one if one.isalnum() else ""
    _trim(found)
    return found


def _trim(found: "list[tuple[int, int]]") -> None:
    """Take the zeros from the end: 1.0 is 1."""
    while found and found[-1] == (0, 0):
        del found[-1]


def _wrongness(distribution: "dict[str, object]") -> float:
    """Give the share of rows of a RECORD whose file is gone or has another size."""
    import csv
    import io

    metadata = str(distribution["path"])
    site = os.path.dirname(metadata)
    rows = wrong = 0
    try:
        text = read(os.path.join(metadata, "RECORD")).decode("utf-8", "surrogateescape")
        for row in csv.reader(io.StringIO(text)):
            if len(row) == 3 and row[2].isdigit() and not row[0].startswith(("../", "/")):
                rows += 1
                wrong += not _has_size(os.path.join(site, row[0]), row[2])
    except (OSError, ValueError, csv.Error):
        return _UNKNOWN
    return wrong / rows if rows else _UNKNOWN


def _has_size(path: str, size: str) -> bool:
    try:
        return str(os.stat(path).st_size) == size
    except (OSError, ValueError):
        return False
