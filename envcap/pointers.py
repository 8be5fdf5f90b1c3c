"""Small files that stand for large ones kept elsewhere: of Git LFS and of git-annex. Pure."""

import shlex
from typing import Literal

Keeper = Literal["Git LFS", "git-annex", "DVC"]

# git-lfs: docs/spec.md, "The pointer"; git-annex: doc/internals/pointer_file.
_LFS = b"version https://git-lfs.github.com/spec/v1\n"
_ANNEX = b"/annex/objects/"
LARGEST_POINTER = 1024  # bytes; the specification of LFS
_FETCH = {"Git LFS": "git lfs pull --include", "git-annex": "git annex get", "DVC": "dvc pull"}


def pointer_of(head: bytes, *, size: int) -> Keeper | None:
    """Say whose pointer a file is, by its first bytes and its size in bytes; None where it is a file of its own."""
    if size > LARGEST_POINTER:
        return None
    if head.startswith(_LFS):
        return "Git LFS"
    return "git-annex" if head.startswith(_ANNEX) else None


def is_annex_link(target: str) -> bool:
    """Tell whether a link leads to where git-annex keeps contents."""
    return ".git/annex/objects/" in target


def fetching(keeper: Keeper, path: str) -> str:
    """Give the command that fetches what a pointer stands for, in backticks; `path` is below the project."""
    return f"`{_FETCH[keeper]} {shlex.quote(path)}`"
