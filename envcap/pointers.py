"""Small files that stand for large ones kept elsewhere: of Git LFS and of git-annex. Pure."""

# git-lfs: docs/spec.md, "The pointer"; git-annex: doc/internals/pointer_file.
_LFS = b"version https://git-lfs.github.com/spec/v1\n"
_ANNEX = b"/annex/objects/"
LARGEST_POINTER = 1024  # bytes; the specification of LFS


def pointer_of(head: bytes, *, size: int) -> str | None:
    """Say whose pointer a file is, by its first bytes and its size in bytes; None where it is a file of its own."""
    if size > LARGEST_POINTER:
        return None
    if head.startswith(_LFS):
        return "Git LFS"
    return "git-annex" if head.startswith(_ANNEX) else None


def is_annex_link(target: str) -> bool:
    """Tell whether a link leads to where git-annex keeps contents."""
    return ".git/annex/objects/" in target
