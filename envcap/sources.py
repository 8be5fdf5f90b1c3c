"""Which files of a folder are source code: what git tracks and what it would, or the folder's plain files.

Left out, each for a stated reason: what the caller names, envcap's own files, key files, very large files.
"""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from envcap.model.gap import Gap
from envcap.model.struct import Data
from envcap.pointers import LARGEST_POINTER, pointer_of
from envcap.process import capture
from envcap.redact import redact_text, strip_credentials

LARGEST_UNTRACKED = 20 << 20  # bytes: larger ones are data, and should be declared as such
_OWN = re.compile(r"(^|/)(\.envcap(/|$)|pylock(\.[^./]+)?\.toml$|[^/]+\.capsule$)")
_PASSING = re.compile(r"(^|/)(__pycache__|\.ipynb_checkpoints|node_modules|\.git)(/|$)|\.pyc$")
# Files whose purpose is to hold a secret. Their text never enters a store or an image.
_KEYS = re.compile(
    r"(?i)(^|/)(\.env(\..+)?|\.netrc|_netrc|\.pypirc|\.npmrc|\.git-credentials|\.aws/.*|\.ssh/.*|\.kube/.*"
    r"|id_(rsa|dsa|ecdsa|ed25519)[^/]*|kaggle\.json|(service[-_]?account|credentials?|secrets?)[^/]*\.(json|ya?ml|toml|ini|txt)"
    r"|[^/]+\.(pem|key|p12|pfx|keystore|jks|kdbx))$"
)


class Repository(Data, frozen=True, kw_only=True):
    """What git says of the folder. `directory` is the folder below the repository's root."""

    address: str | None
    commit: str | None
    branch: str | None
    directory: str


class SourceFiles(Data, frozen=True, kw_only=True):
    """Source code as relative paths, sorted; `untracked` is the part that git does not hold."""

    paths: list[str]
    untracked: list[str]
    repository: Repository | None
    patch: bytes  # uncommitted changes to the tracked ones among `paths`, as `git diff --binary` writes them
    gaps: list[Gap]


def list_files(project: Path, *, left_out: Sequence[str] = ()) -> SourceFiles:
    """Find the files of a folder that are source code; `left_out` are paths below it that are none.

    Raises NotRunError when git itself fails midway.
    """
    gaps: list[Gap] = []
    repository = _read_repository(project, gaps)
    tracked: set[str] = set()
    others: set[str] = set()
    if repository is not None:
        tracked = set(_git_list(project, "--cached", "--recurse-submodules"))
        others = set(_git_list(project, "--others", "--exclude-standard"))
        if not tracked and not others:
            repository = None
            gaps.append(_no_repository("the repository around the folder ignores it"))
    if repository is None:
        others = set(_walk(project))
    left_out = [*left_out, *_environments(others)]
    paths: list[str] = []
    for path in sorted(tracked | others):
        if _is_below(path, left_out) or _OWN.search(path) or _PASSING.search(path):
            continue
        if not os.path.lexists(project / path):
            continue  # deleted in the working tree: the patch says so
        gap = _reason_to_leave(project, path, is_tracked=path in tracked)
        if gap is not None:
            gaps.append(gap)
        elif (project / path).is_file() or (project / path).is_symlink():
            paths.append(path)
            gaps += _pointer_gaps(project, path)
        elif path in tracked and _is_submodule(project, path):
            gaps.append(_missing_submodule(path))
    untracked = [] if repository is None else [path for path in paths if path in others]
    patch = b""
    if repository is not None and repository.commit is not None:
        patch = _read_patch(project, paths=set(paths), left_out=left_out)
    return SourceFiles(paths=paths, untracked=untracked, repository=repository, patch=patch, gaps=gaps)


def _reason_to_leave(project: Path, path: str, *, is_tracked: bool) -> Gap | None:
    full = project / path
    if _KEYS.search(path):
        return Gap(
            where="code",
            subject=path,
            reason="files of this name hold secrets and are never taken along",
            consequence="the evaluation will not find it in the image",
        )
    if path.endswith("/"):
        return Gap(
            where="code",
            subject=path,
            reason="it is a repository of its own, which the one around it does not hold",
            consequence="the evaluation will not find it in the image; make it a submodule, or install it as a package",
        )
    if leads_out(project, path):
        return Gap(
            where="code",
            subject=path,
            reason="the link leads out of the project",
            consequence="the evaluation will not find it in the image; declare its target as data",
        )
    if not full.is_symlink() and not is_tracked and full.is_file() and full.stat().st_size > LARGEST_UNTRACKED:
        return Gap(
            where="code",
            subject=path,
            reason=f"git does not track it and it is large ({full.stat().st_size:,} bytes)",
            consequence="it is not in the image; if the evaluation reads it, declare it as data",
        )
    return None


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
        yield Gap(
            where="code",
            subject=path,
            reason=f"it is a pointer of {keeper} whose content was not fetched",
            consequence="the evaluation will find the pointer in the image, not the content",
        )


def _is_submodule(project: Path, path: str) -> bool:
    entry = _ask_git(project, "ls-files", "--stage", "--", f":(literal){path}")
    return entry is not None and entry.startswith("160000 ")  # gitformat-index(5): the mode of a gitlink


def _missing_submodule(path: str) -> Gap:
    """Tell of a folder that git lists as one entry: a submodule whose files are not there."""
    return Gap(
        where="code",
        subject=path,
        reason="the submodule is not initialised",
        consequence="its folder is not in the image; `git submodule update --init` fetches it",
    )


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


def is_passing(path: str) -> bool:
    """Tell whether a file is made anew whenever it is missing, such as byte code."""
    return _PASSING.search(path) is not None


def _git_list(project: Path, *options: str) -> list[str]:
    done = capture(["git", "-C", project, "ls-files", "-z", *options], purpose="Listing the project's files")
    return [os.fsdecode(name) for name in done.stdout.split(b"\0") if name]


def _ask_git(project: Path, *words: str) -> str | None:
    done = capture(["git", "-C", project, *words], purpose="Reading the repository", check=False)
    return done.stdout.decode(errors="replace").strip() or None if done.returncode == 0 else None


def _read_repository(project: Path, gaps: list[Gap]) -> Repository | None:
    try:
        done = capture(
            ["git", "-C", project, "rev-parse", "--show-prefix"],
            purpose="Reading the repository",
            check=False,
        )
        reason = done.stderr.decode(errors="replace").strip().splitlines()
    except Exception as error:  # noqa: BLE001  (no git on this machine is a Gap, whatever form it takes)
        done, reason = None, [str(error)]
    if done is None or done.returncode != 0:
        gaps.append(_no_repository(redact_text(reason[0]) if reason else "git gave no answer"))
        return None
    remote = _ask_git(project, "remote", "get-url", "origin")
    commit = _ask_git(project, "rev-parse", "--verify", "--quiet", "HEAD")
    if commit is None:
        gaps.append(
            Gap(
                where="code",
                subject="commit",
                reason="the repository has no commit yet",
                consequence="the code is known only by the files taken along",
            )
        )
    return Repository(
        address=strip_credentials(remote) if remote else None,
        commit=commit,
        branch=_ask_git(project, "symbolic-ref", "--short", "--quiet", "HEAD"),
        directory=done.stdout.decode(errors="replace").strip().rstrip("/") or ".",
    )


def _no_repository(reason: str) -> Gap:
    return Gap(
        where="code",
        subject="repository",
        reason=reason,
        consequence="no commit is recorded; all plain files of the folder are taken along",
    )


def _read_patch(project: Path, *, paths: set[str], left_out: list[str]) -> bytes:
    """Give the uncommitted changes, but not those to files that are left out: a patch can carry a secret too.

    Not even where such a file was deleted: its lines would be in the patch.
    """
    excluded = [f":(exclude,literal){path}" for path in left_out]
    changed = [
        os.fsdecode(name) for name in _diff(project, "--name-only", "-z", excluded=excluded).split(b"\0") if name
    ]
    excluded += [
        f":(exclude,literal){path}" for path in changed if path not in paths and not _is_plain_deletion(project, path)
    ]
    return _diff(project, "--binary", excluded=excluded)


def _is_plain_deletion(project: Path, path: str) -> bool:
    has_purpose = _KEYS.search(path) or _OWN.search(path) or _PASSING.search(path)
    return not has_purpose and not os.path.lexists(project / path)


def _diff(project: Path, *options: str, excluded: list[str]) -> bytes:
    """Give the difference to the last commit, whatever the user's own settings are."""
    settled = ["--no-color", "--no-ext-diff", "--no-textconv", "--no-renames", "--src-prefix=a/", "--dst-prefix=b/"]
    return capture(
        ["git", "diff", "--relative", *settled, *options, "HEAD", "--", ".", *excluded],
        cwd=project,
        purpose="Reading uncommitted changes",
    ).stdout


def _walk(project: Path) -> Iterator[str]:
    """Give the plain files below a folder that is no repository; not hidden ones, not whole environments."""
    for folder_name, folders, files in os.walk(project):
        folder = Path(folder_name)
        links = [name for name in folders if (folder / name).is_symlink()]
        folders[:] = sorted(name for name in folders if name not in links and is_source_folder(folder / name))
        for name in [*files, *links]:
            if not name.startswith(".") or _KEYS.search(name):
                yield (folder / name).relative_to(project).as_posix()


def is_source_folder(folder: Path) -> bool:
    """Tell whether a folder may hold source code: it is not hidden, and no environment."""
    is_environment = (folder / "pyvenv.cfg").exists() or (folder / "conda-meta").exists()
    return not folder.name.startswith(".") and not _PASSING.search(f"{folder.name}/") and not is_environment
