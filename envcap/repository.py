"""What git says of a folder: commit, branch, submodules, files that it holds or ignores, and changes."""

import os
from pathlib import Path

import msgspec

from envcap.errors import EnvcapError
from envcap.model.gap import Gap
from envcap.model.lock import Submodule
from envcap.model.struct import Data
from envcap.process import capture
from envcap.redact import redact_text, strip_credentials

_GITLINK = "160000"  # gitformat-index(5): the mode of a submodule's entry


class Repository(Data, frozen=True, kw_only=True):
    """What git says of the folder. `directory` is the folder below the repository's root."""

    address: str | None
    commit: str | None
    branch: str | None
    shallow: bool
    directory: str


def read_repository(project: Path, gaps: list[Gap]) -> Repository | None:
    """Give what git says of a folder, None where it is in no repository or git is not there, with the Gap for it."""
    try:
        done = capture(
            ["git", "-C", project, "rev-parse", "--show-prefix", "--is-shallow-repository"],
            purpose="Reading the repository",
            check=False,
        )
        said = done.stderr.decode(errors="replace").strip().splitlines()
    except EnvcapError as error:
        done, said = None, [str(error)]
    if done is None or done.returncode != 0:
        gaps.append(no_repository(redact_text(said[0]) if said else "git gave no answer"))
        return None
    commit = head_of(project)
    if commit is None:
        gaps.append(
            Gap(
                where="code",
                subject="commit",
                reason="the repository has no commit yet",
                consequence="the code is known only by the files taken along",
            )
        )
    prefix, _, shallow = done.stdout.decode(errors="replace").rstrip("\n").rpartition("\n")
    return Repository(
        address=_address(project),
        commit=commit,
        branch=_ask(project, "symbolic-ref", "--short", "--quiet", "HEAD"),
        shallow=shallow == "true",
        directory=prefix.rstrip("/") or ".",
    )


def head_of(project: Path) -> str | None:
    """Give the commit that is checked out, None where there is none. Nothing that the repository names is run."""
    return _ask(project, "rev-parse", "--verify", "--quiet", "HEAD")


def no_repository(reason: str) -> Gap:
    """Tell that no commit can be named."""
    return Gap(
        where="code",
        subject="repository",
        reason=reason,
        consequence="no commit is recorded; all plain files of the folder are taken along",
    )


def tracked_files(project: Path) -> list[str]:
    """Give what the index names below a folder, in submodules too; one that is not there is one entry."""
    return _list(project, "--cached", "--recurse-submodules")


def untracked_files(project: Path) -> list[str]:
    """Give the files that git neither holds nor ignores, in submodules too; a repository in there ends in `/`."""
    return _list_everywhere(project, "--others", "--exclude-standard")


def ignored_files(project: Path) -> list[str]:
    """Give what git ignores, in submodules too; a folder that is ignored as a whole is one entry that ends in `/`."""
    return _list_everywhere(project, "--others", "--ignored", "--exclude-standard", "--directory")


def read_submodules(project: Path) -> list[Submodule]:
    """Give the submodules below a folder with those within them, sorted by path."""
    found = []
    for path, staged in gitlinks(project):
        recorded = _ask(project, "rev-parse", "--verify", "--quiet", f"HEAD:./{path}") or staged
        folder = project / path
        if not _is_there(folder):
            declared = _declared_address(project, path)
            found.append(Submodule(path=path, repository=declared, recorded=recorded))
            continue
        one = Submodule(
            path=path,
            repository=_address(folder) or _declared_address(project, path),
            recorded=recorded,
            checked_out=head_of(folder),
            changed=_is_changed(folder),
        )
        inner = [msgspec.structs.replace(item, path=f"{path}/{item.path}") for item in read_submodules(folder)]
        found += [one, *inner]
    return sorted(found, key=lambda item: item.path)


def missing_submodules(project: Path) -> list[str]:
    """Give the paths of the submodules below a folder, and within those, that were not fetched."""
    missing = []
    for path, _ in gitlinks(project):
        if _is_there(project / path):
            missing += [f"{path}/{inner}" for inner in missing_submodules(project / path)]
        else:
            missing.append(path)
    return missing


def gitlinks(project: Path) -> list[tuple[str, str]]:
    """Give the path of each submodule below a folder, not of those within them, and the commit that the index names."""
    found = {}  # a merge under way has several entries of a path
    for entry in _list(project, "--stage"):
        facts, _, path = entry.partition("\t")
        mode, commit, _ = facts.split(" ")
        if mode == _GITLINK:
            found[path] = commit
    return list(found.items())


def read_diff(project: Path, *options: str, excluded: list[str]) -> bytes:
    """Give the difference to the last commit, whatever the user's own settings are; not that of submodules."""
    settled = [
        *["--no-color", "--no-ext-diff", "--no-textconv", "--no-renames", "--src-prefix=a/", "--dst-prefix=b/"],
        *["--ignore-submodules=all"],
    ]
    return capture(
        ["git", "diff", "--relative", *settled, *options, "HEAD", "--", ".", *excluded],
        cwd=project,
        purpose="Reading uncommitted changes",
    ).stdout


def _is_changed(submodule: Path) -> bool:
    """Tell whether a submodule holds uncommitted changes or new files, whatever the user's own settings are.

    What is within its own submodules is told of those.
    """
    settled = ["--porcelain", "--untracked-files=normal", "--ignore-submodules=all"]
    done = capture(["git", "-C", submodule, "status", *settled], purpose="Reading a submodule's changes")
    return bool(done.stdout)


def _is_there(submodule: Path) -> bool:
    """Tell whether a submodule was fetched: without a repository of its own, git would answer for the one around."""
    return os.path.lexists(submodule / ".git") and _ask(submodule, "rev-parse", "--git-dir") is not None


def _address(project: Path) -> str | None:
    """Give the address of `origin`, or of the first remote where none has that name, without credentials."""
    remotes = (_ask(project, "remote") or "").splitlines()
    if not remotes:
        return None
    address = _ask(project, "remote", "get-url", "origin" if "origin" in remotes else remotes[0])
    return strip_credentials(address) if address else None


def _declared_address(project: Path, path: str) -> str | None:
    """Give the address that `.gitmodules` has for a submodule; it may be relative to that of the repository."""
    top = _ask(project, "rev-parse", "--show-toplevel")
    if top is None:
        return None
    own = os.path.relpath((project / path).resolve(), top)
    listed = _ask(Path(top), "config", "--file", ".gitmodules", "--null", "--get-regexp", r"^submodule\..*\.path$")
    for entry in (listed or "").split("\0"):
        key, _, value = entry.partition("\n")
        if value == own:
            address = _ask(Path(top), "config", "--file", ".gitmodules", f"{key.removesuffix('.path')}.url")
            return strip_credentials(address) if address else None
    return None


def _list(project: Path, *options: str) -> list[str]:
    done = capture(["git", "-C", project, "ls-files", "-z", *options], purpose="Listing the project's files")
    return [os.fsdecode(name) for name in done.stdout.split(b"\0") if name]


def _list_everywhere(project: Path, *options: str) -> list[str]:
    """List in submodules too, which git does only for what it holds."""
    found = _list(project, *options)
    for path, _ in gitlinks(project):
        if _is_there(project / path):
            found += [f"{path}/{name}" for name in _list_everywhere(project / path, *options)]
    return found


def _ask(project: Path, *words: str) -> str | None:
    """Give what git answers, None where that is nothing or it fails."""
    done = capture(["git", "-C", project, *words], purpose="Reading the repository", check=False)
    return done.stdout.decode(errors="replace").strip() or None if done.returncode == 0 else None
