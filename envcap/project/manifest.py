"""The files of one data input, one by one: kept in the store so that a refusal can name what changed.

One JSON array a line (`path`, size in bytes, sha256, sum of the digests of its lines or null), sorted by the bytes of
the paths.
"""

import json
import os
from collections import Counter

import msgspec

from envcap.model.struct import Data

MANIFEST = "data.jsonl"  # its name in the store
MOST_NAMED = 5  # files of each kind in one message; of the rest the count is told


class DataFile(Data, frozen=True, kw_only=True, array_like=True, forbid_unknown_fields=True):
    """One file of an input: `path` below it, empty where the input is that file itself; `size` in bytes.

    `lines` is the sum of the sha256 of its lines, None where it is no text or not among the smallest of a large input.
    """

    path: str
    size: int
    sha256: str
    lines: str | None


def dump_manifest(files: list[DataFile]) -> bytes:
    """Give the bytes that the store keeps: the same for the same files. Odd names survive as escapes."""
    ordered = sorted(files, key=lambda file: os.fsencode(file.path))
    return "".join(f"{json.dumps([file.path, file.size, file.sha256, file.lines])}\n" for file in ordered).encode()


def parse_manifest(content: bytes) -> list[DataFile]:
    """Give what `dump_manifest` was given, sorted. Raises ValueError for anything else."""
    try:
        return [msgspec.convert(json.loads(line), DataFile) for line in content.splitlines()]
    except (msgspec.ValidationError, RecursionError) as error:
        raise ValueError(f"it is no manifest: {error}") from error


def tell_changes(frozen: list[DataFile], now: list[DataFile]) -> list[str]:
    """Say in words which files differ, a few of each kind by name; empty where none does."""
    before, after = {file.path: file for file in frozen}, {file.path: file for file in now}
    both = [path for path in before if path in after and before[path].sha256 != after[path].sha256]
    reordered = [path for path in both if before[path].lines is not None and before[path].lines == after[path].lines]
    gone = [path for path in before if path not in after]
    came = [path for path in after if path not in before]
    moved = _moved({path: before[path].sha256 for path in gone}, {path: after[path].sha256 for path in came})
    kinds = {
        "changed": [path for path in both if path not in set(reordered)],
        "only in the order of lines": reordered,
        "moved": [f"{_shown(old)}` to `{_shown(new)}" for old, new in moved.items()],
        "gone": [path for path in gone if path not in moved],
        "new": [path for path in came if path not in set(moved.values())],
    }
    return [f"{kind}: {_listed(paths, ready=kind == 'moved')}" for kind, paths in kinds.items() if paths]


def _moved(gone: dict[str, str], came: dict[str, str]) -> dict[str, str]:
    """Pair a file that went with one of the same content that came, where there is one of each only."""
    left, arrived = Counter(gone.values()), Counter(came.values())
    new_place = {sha256: path for path, sha256 in came.items()}
    return {path: new_place[sha256] for path, sha256 in gone.items() if left[sha256] == arrived[sha256] == 1}


def _listed(paths: list[str], *, ready: bool) -> str:
    shown = paths if ready else [_shown(path) for path in paths]
    more = f" and {len(paths) - MOST_NAMED} more" if len(paths) > MOST_NAMED else ""
    return ", ".join(f"`{path}`" for path in shown[:MOST_NAMED]) + more


def _shown(path: str) -> str:
    """Give a file's name as one line of text, whatever bytes it has."""
    return (
        "".join(
            character if character.isprintable() else character.encode("unicode_escape").decode() for character in path
        )
        or "the file itself"
    )
