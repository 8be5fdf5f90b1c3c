"""Which files of a folder are source code: what git tracks and what it would, or the folder's plain files.

Left out, each for a stated reason: what the caller names, envcap's own files, key files, very large files.
"""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from envcap.model.gap import Gap
from envcap.model.lock import LeftWhy
from envcap.model.struct import Data
from envcap.pointers import LARGEST_POINTER, fetching, pointer_of
from envcap.redact import exposed_line
from envcap.repository import (
    Repository,
    ignored_files,
    missing_submodules,
    no_repository,
    read_diff,
    read_repository,
    tracked_files,
    untracked_files,
)

_LARGEST_SEARCHED = 16 << 20  # bytes: no file that people write is larger
LARGEST_UNTRACKED = 20 << 20  # bytes: larger ones are data, and should be declared as such
_OWN = re.compile(r"(^|/)(\.envcap(/|$)|pylock(\.[^./]+)?\.toml$|[^/]+\.capsule$)")
_PASSING = re.compile(r"(^|/)(__pycache__|\.ipynb_checkpoints|node_modules|\.git)(/|$)|\.pyc$")
# Files whose purpose is to hold a secret. Their text never enters a store or an image.
_KEYS = re.compile(
    r"(?i)(^|/)(\.env(\..+)?|\.netrc|_netrc|\.pypirc|pip\.(conf|ini)|auth\.toml|\.npmrc|\.git-credentials|\.aws/.*|\.ssh/.*|\.kube/.*"
    r"|id_(rsa|dsa|ecdsa|ed25519)[^/]*|kaggle\.json|(service[-_]?account|credentials?|secrets?)[^/]*\.(json|ya?ml|toml|ini|txt)"
    r"|[^/]+\.(pem|key|p12|pfx|keystore|jks|kdbx))$"
)
_MOVE_IT = "let it come from netrc, a keyring or a variable, and freeze again"


class SourceFiles(Data, frozen=True, kw_only=True):
    """Source code as relative paths, sorted; `untracked` is the part that git does not hold."""

    paths: list[str]
    untracked: list[str]
    left_out: dict[str, LeftWhy]  # with the reason; what git ignores is not among them
    repository: Repository | None
    patch: bytes  # uncommitted changes to the tracked ones among `paths`, as `git diff --binary` writes them
    gaps: list[Gap]


def list_files(project: Path, *, left_out: Sequence[str] = ()) -> SourceFiles:
    """Find the files of a folder that are source code; `left_out` are paths below it that are none.

    Raises NotRunError when git itself fails midway.
    """
    gaps: list[Gap] = []
    repository = read_repository(project, gaps)
    tracked: set[str] = set()
    others: set[str] = set()
    if repository is not None:
        tracked, others = set(tracked_files(project)), set(untracked_files(project))
        if not tracked and not others:
            repository = None
            gaps.append(no_repository("the repository around the folder ignores it"))
    if repository is None:
        others = set(_walk(project))
    left_out = [*left_out, *_environments(others)]
    paths: list[str] = []
    left: dict[str, LeftWhy] = {}
    for path in sorted(tracked | others):
        if _is_below(path, left_out) or _OWN.search(path) or _PASSING.search(path):
            continue
        if not os.path.lexists(project / path):
            continue  # deleted in the working tree: the patch says so
        reason = _reason_to_leave(project, path, is_tracked=path in tracked)
        if reason is not None:
            left[path], gap = reason
            gaps.append(gap)
        elif (project / path).is_file() or (project / path).is_symlink():
            paths.append(path)
            gaps += _pointer_gaps(project, path)
    if repository is not None:
        gaps += [_missing_submodule(path) for path in missing_submodules(project) if not _is_below(path, left_out)]
    untracked = [] if repository is None else [path for path in paths if path in others]
    patch = b""
    if repository is not None and repository.commit is not None:
        patch, withheld = _without_secrets(_read_patch(project, paths=set(paths), left_out=left_out))
        gaps += withheld
    return SourceFiles(paths=paths, untracked=untracked, left_out=left, repository=repository, patch=patch, gaps=gaps)


def left_by_rule(project: Path, listing: SourceFiles, *, left_out: Sequence[str]) -> dict[str, LeftWhy]:
    """Give what `list_files` never saw: what git ignores, or hidden files where there is no git; not environments.

    Nor what `left_out` names, what envcap writes, and what is made anew whenever it is missing.
    """
    if listing.repository is None:
        found: dict[str, LeftWhy] = dict.fromkeys(_walk_hidden(project), "hidden")
    else:
        found = dict.fromkeys(ignored_files(project), "ignored")
    return {
        path: why
        for path, why in found.items()
        if not _is_below(path.rstrip("/"), [*left_out])
        and not (_OWN.search(path) or _PASSING.search(path) or is_environment(project / path))
    }


def _reason_to_leave(project: Path, path: str, *, is_tracked: bool) -> tuple[LeftWhy, Gap] | None:
    full = project / path
    missing = "the evaluation will not find it in the image"
    if is_secret_file(path):
        return "secret", _gap(path, "files of this name hold secrets and are never taken along", missing)
    line = secret_line(full)
    if line is not None:
        reason = f"line {line} holds an address with a password or token in it"
        return "secret", _gap(path, reason, f"{missing}; {_MOVE_IT}")
    if path.endswith("/"):
        reason = "it is a repository of its own, which the one around it does not hold"
        return "repository", _gap(path, reason, f"{missing}; make it a submodule, or install it as a package")
    if leads_out(project, path):
        return "outside", _gap(path, "the link leads out of the project", f"{missing}; declare its target as data")
    if not full.is_symlink() and not is_tracked and full.is_file() and full.stat().st_size > LARGEST_UNTRACKED:
        reason = f"git does not track it and it is large ({full.stat().st_size:,} bytes)"
        return "large", _gap(path, reason, "it is not in the image; if the evaluation reads it, declare it as data")
    return None


def _gap(path: str, reason: str, consequence: str) -> Gap:
    return Gap(where="code", subject=path, reason=reason, consequence=consequence)


def _pointer_gaps(project: Path, path: str) -> Iterator[Gap]:
    """Tell of a file whose content git never fetched: what the image gets is the pointer."""
    full = project / path
    if full.is_symlink():
        return
    size = full.stat().st_size
    if size > LARGEST_POINTER:
        return
    with full.open("rb") as file:
        keeper = pointer_of(file.read(size), size=size)
    if keeper is not None:
        yield _gap(
            path,
            f"it is a pointer of {keeper} whose content was not fetched",
            f"the evaluation will find the pointer in the image, not the content; {fetching(keeper, path)} fetches it",
        )


def _missing_submodule(path: str) -> Gap:
    """Tell of a folder that git lists as one entry: a submodule whose files are not there."""
    fetch = "`git submodule update --init --recursive` fetches it"
    return _gap(path, "the submodule is not initialised", f"its folder is not in the image; {fetch}")


def leads_out(project: Path, path: str) -> bool:
    """Tell whether a file of a project is a link to something outside of it."""
    full = project / path
    if not full.is_symlink():
        return False
    return not Path(os.path.normpath(full.parent / full.readlink())).is_relative_to(project)


def _environments(paths: set[str]) -> list[str]:
    """Give the folders of whole environments that nobody ignored: their packages are pinned, not taken along."""
    witnesses = ("/pyvenv.cfg", "/conda-meta/history")
    return [path.removesuffix(mark) for path in paths for mark in witnesses if path.endswith(mark)]


def _is_below(path: str, prefixes: list[str]) -> bool:
    return any(path == prefix or path.startswith(f"{prefix}/") for prefix in prefixes)


def is_secret_file(path: str) -> bool:
    """Tell whether a file of that name is there to hold a secret."""
    return _KEYS.search(path) is not None


def secret_line(path: Path) -> int | None:
    """Give the line of a file that holds an address with a password or token; None where none does or can be read."""
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > _LARGEST_SEARCHED:
            return None
        return exposed_line(path.read_bytes())
    except OSError:
        return None


def is_passing(path: str) -> bool:
    """Tell whether a file is made anew whenever it is missing, such as byte code."""
    return _PASSING.search(path) is not None


def _read_patch(project: Path, *, paths: set[str], left_out: list[str]) -> bytes:
    """Give the uncommitted changes, but not those to files that are left out: a patch can carry a secret too.

    Not even where such a file was deleted: its lines would be in the patch.
    """
    excluded = [f":(exclude,literal){path}" for path in left_out]
    changed = [
        os.fsdecode(name) for name in read_diff(project, "--name-only", "-z", excluded=excluded).split(b"\0") if name
    ]
    excluded += [
        f":(exclude,literal){path}" for path in changed if path not in paths and not _is_plain_deletion(project, path)
    ]
    return read_diff(project, "--binary", excluded=excluded)


def _without_secrets(patch: bytes) -> tuple[bytes, list[Gap]]:
    """Give the patch without the files of whose old or new lines one holds a secret, and a Gap for each of these."""
    kept: list[bytes] = []
    gaps: list[Gap] = []
    for part in re.split(rb"(?m)^(?=diff --git )", patch):
        if exposed_line(part) is None:
            kept.append(part)
            continue
        name = part.partition(b"\n")[0].removeprefix(b"diff --git a/").partition(b" b/")[0].decode(errors="replace")
        reason = "its uncommitted changes hold an address with a password or token in it"
        gaps.append(_gap(name, reason, f"they are not in the recorded patch; {_MOVE_IT}"))
    return b"".join(kept), gaps


def _is_plain_deletion(project: Path, path: str) -> bool:
    has_purpose = is_secret_file(path) or _OWN.search(path) or _PASSING.search(path)
    return not has_purpose and not os.path.lexists(project / path)


def _walk(project: Path) -> Iterator[str]:
    """Give the plain files below a folder that is no repository; not hidden ones, not whole environments."""
    for folder_name, folders, files in os.walk(project):
        folder = Path(folder_name)
        links = [name for name in folders if (folder / name).is_symlink()]
        folders[:] = sorted(name for name in folders if name not in links and is_source_folder(folder / name))
        for name in [*files, *links]:
            if not name.startswith(".") or _KEYS.search(name):
                yield (folder / name).relative_to(project).as_posix()


def _walk_hidden(project: Path) -> Iterator[str]:
    """Give what `_walk` leaves out for its hidden name; a folder ends in `/`."""
    for folder_name, folders, files in os.walk(project):
        folder = Path(folder_name)
        below = "" if folder == project else f"{folder.relative_to(project).as_posix()}/"
        yield from sorted(f"{below}{name}" for name in files if name.startswith(".") and not _KEYS.search(name))
        yield from sorted(f"{below}{name}/" for name in folders if name.startswith("."))
        folders[:] = sorted(name for name in folders if is_source_folder(folder / name))


def is_source_folder(folder: Path) -> bool:
    """Tell whether a folder may hold source code: it is not hidden, and no environment."""
    hidden = folder.name.startswith(".")
    return not hidden and not _PASSING.search(f"{folder.name}/") and not is_environment(folder)


def is_environment(folder: Path) -> bool:
    """Tell whether a folder is a Python environment: its packages are pinned."""
    return (folder / "pyvenv.cfg").exists() or (folder / "conda-meta").exists()
