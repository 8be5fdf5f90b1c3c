"""What the lock says of a real repository: submodules, worktrees, shallow clones; notebooks, and what was left out."""

import json
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from envcap.errors import RefusedError
from envcap.model.layout import CODE_ARCHIVE
from envcap.model.lock import LeftOut, Notebook
from envcap.project.code import Captured, require_frozen_code
from envcap.store import Store

if TYPE_CHECKING:
    from tests.project.conftest import Project

CANARY = "c4n4ry"
LIBRARY_URL = f"https://user:{CANARY}@git.example.org/team/library.git"


def taken(project: "Project", captured: Captured) -> dict[str, str]:
    """Give the archived files, by their path below the project."""
    found = {}
    with tarfile.open(project.store.require(captured.code.archive, CODE_ARCHIVE, what="The code")) as archive:
        for member in archive:
            stream = archive.extractfile(member)
            if stream is not None:
                found[member.name.removeprefix("work/")] = stream.read().decode()
    return found


def on_disk(root: Path) -> dict[str, str]:
    """Give the files of a working tree."""
    files = [path for path in root.rglob("*") if path.is_file() and ".git" not in path.relative_to(root).parts]
    return {path.relative_to(root).as_posix(): path.read_text() for path in files}


@pytest.fixture
def nested(repository: "Project", tmp_path: Path) -> "Project":
    """Give a repository with a submodule that has a submodule, all of it committed."""
    inner, library = (type(repository)(tmp_path / name, repository.store) for name in ("inner", "library"))
    for one in (inner, library):
        one.root.mkdir()
        one.git("init", "--quiet")
        one.put(f"{one.root.name}.py", "VALUE = 1\n")
    inner.commit()
    library.git("submodule", "--quiet", "add", str(inner.root), "deep/inner")
    library.commit()
    repository.git("submodule", "--quiet", "add", str(library.root), "vendor/library")
    repository.git("submodule", "--quiet", "update", "--init", "--recursive")
    repository.commit()
    return repository


def within(project: "Project", path: str) -> "Project":
    return type(project)(project.root / path, project.store)


def test_submodules_are_named_with_their_commits(nested: "Project") -> None:
    library, inner = within(nested, "vendor/library"), within(nested, "vendor/library/deep/inner")
    library.git("remote", "set-url", "origin", LIBRARY_URL)
    clean = nested.capture()
    assert [one.path for one in clean.code.submodules] == ["vendor/library", "vendor/library/deep/inner"]
    assert [one.checked_out == one.recorded and not one.changed for one in clean.code.submodules] == [True, True]
    assert clean.code.submodules[0].repository == "https://git.example.org/team/library.git"
    assert clean.code.submodules[1].recorded == inner.git("rev-parse", "HEAD")
    assert CANARY.encode() not in nested.everything_kept() + repr(clean).encode()

    recorded = library.git("rev-parse", "HEAD")
    library.put("library.py", "VALUE = 2\n")
    moved = library.commit()
    inner.put("new.py", "NEW = 1\n")
    outer, deep = nested.capture().code.submodules
    assert (outer.recorded, outer.checked_out, outer.changed) == (recorded, moved, False)
    nested.git("add", "vendor/library")
    assert nested.capture().code.submodules[0].recorded == recorded
    assert (deep.checked_out == deep.recorded, deep.changed) == (True, True)


def test_a_submodule_that_was_not_fetched_is_named(nested: "Project") -> None:
    nested.git("config", "--file", ".gitmodules", "submodule.vendor/library.url", LIBRARY_URL)
    nested.git("submodule", "--quiet", "deinit", "--force", "vendor/library")
    (only,) = nested.capture().code.submodules
    assert (only.path, only.checked_out, only.changed) == ("vendor/library", None, False)
    assert only.repository == "https://git.example.org/team/library.git"


@pytest.mark.parametrize("how", ["gone", "broken"])
@pytest.mark.parametrize("path", ["vendor/library", "vendor/library/deep/inner"])
def test_a_submodule_without_its_repository_is_a_gap(path: str, how: str, nested: "Project") -> None:
    """As in a copy that left `.git` behind: git lists neither the folder nor what is in it."""
    (nested.root / path / ".git").unlink()
    if how == "broken":
        nested.put(f"{path}/.git", "gitdir: nowhere\n")
    captured = nested.capture()
    assert [(gap.subject, gap.reason) for gap in captured.gaps] == [(path, "the submodule is not initialised")]
    assert [one.path for one in captured.code.submodules if one.checked_out is None] == [path]


def test_the_tree_of_submodules_is_taken_as_it_is_on_disk(nested: "Project") -> None:
    """Changed, staged, new, deleted, at every depth: the image gets what the evaluation read."""
    for path in ("vendor/library", "vendor/library/deep/inner"):
        one = within(nested, path)
        one.put(f"{one.root.name}.py", "VALUE = 2\n")
        one.put("staged.py", "STAGED = 1\n")
        one.git("add", "staged.py")
        one.put("staged.py", "STAGED = 2\n")
        one.put("data/new.txt", "new\n")
    within(nested, "vendor/library").put("gone.py")
    within(nested, "vendor/library").commit()
    (nested.root / "vendor/library/gone.py").unlink()
    captured = nested.capture()
    assert taken(nested, captured) == on_disk(nested.root)
    assert "vendor/library/deep/inner/data/new.txt" in captured.code.untracked
    assert captured.gaps == []


@pytest.mark.parametrize("setting", ["diff.submodule=log", "diff.ignoreSubmodules=all", "status.showUntrackedFiles=no"])
def test_a_users_settings_hide_no_change_of_a_submodule(setting: str, nested: "Project") -> None:
    within(nested, "vendor/library").put("new.py")
    nested.git("config", "--file", ".gitmodules", "submodule.vendor/library.ignore", "all")
    first = nested.capture().code
    assert [one.changed for one in first.submodules] == [True, False]
    name, _, value = setting.partition("=")
    nested.git("config", "--global", name, value)
    assert nested.capture().code == first


def test_a_submodule_in_a_folder_of_the_repository(nested: "Project") -> None:
    nested.put("training/evaluate.py")
    nested.git("mv", "vendor", "training/vendor")
    nested.commit()
    folder = within(nested, "training")
    captured = folder.capture()
    assert captured.code.directory == "training"
    assert [one.path for one in captured.code.submodules] == ["vendor/library", "vendor/library/deep/inner"]
    assert "vendor/library/deep/inner/inner.py" in taken(folder, captured)


def test_a_worktree_is_a_repository(repository: "Project", tmp_path: Path) -> None:
    """Its `.git` is a file that leads to the repository."""
    repository.git("worktree", "add", "--quiet", "-b", "other", str(tmp_path / "worktree"))
    worktree = type(repository)(tmp_path / "worktree", repository.store)
    worktree.put("evaluate.py", "print('two')\n")
    code = worktree.capture().code
    assert (code.branch, code.commit, code.directory) == ("other", repository.git("rev-parse", "HEAD"), ".")
    assert code.patch is not None
    assert taken(worktree, worktree.capture()) == on_disk(worktree.root) | {"evaluate.py": "print('two')\n"}


def test_a_worktree_whose_repository_is_gone_is_a_plain_folder(project: "Project") -> None:
    project.put("evaluate.py")
    project.put(".git", "gitdir: nowhere\n")
    captured = project.capture()
    assert list(taken(project, captured)) == ["evaluate.py"]
    assert [gap.subject for gap in captured.gaps] == ["repository"]


def test_a_shallow_clone_says_so(repository: "Project", tmp_path: Path) -> None:
    repository.put("evaluate.py", "print('two')\n")
    commit = repository.commit()
    assert not repository.capture().code.shallow
    repository.git("clone", "--quiet", "--depth", "1", f"file://{repository.root}", str(tmp_path / "clone"))
    clone = type(repository)(tmp_path / "clone", Store(tmp_path / "clone-store"))
    code = clone.capture().code
    assert (code.shallow, code.commit) == (True, commit)


def test_a_remote_of_another_name_is_taken_where_there_is_no_origin(repository: "Project") -> None:
    repository.git("remote", "add", "upstream", LIBRARY_URL)
    assert repository.capture().code.repository == "https://git.example.org/team/library.git"


def test_notebooks_are_named(repository: "Project") -> None:
    cell = {"cell_type": "code", "source": "1", "outputs": []}
    shown = {**cell, "outputs": [{"output_type": "stream", "text": "1"}]}
    documents = {
        "empty.ipynb": {"nbformat": 4, "cells": [cell]},
        "full.ipynb": {"nbformat": 4, "cells": [{"cell_type": "markdown"}, cell, shown]},
        "old.ipynb": {"nbformat": 3, "worksheets": [{"cells": [shown]}]},
        "odd.ipynb": ["no notebook"],
    }
    for name, document in documents.items():
        repository.put(name, json.dumps(document))
    repository.put("sub/broken.ipynb", "{")
    assert repository.capture().code.notebooks == [
        Notebook(path="empty.ipynb", outputs=False),
        Notebook(path="full.ipynb", outputs=True),
        Notebook(path="odd.ipynb"),
        Notebook(path="old.ipynb", outputs=True),
        Notebook(path="sub/broken.ipynb"),
    ]


def test_what_is_left_out_is_told_by_its_reason(nested: "Project") -> None:
    nested.put(".gitignore", "build/\n*.log\nvenv/\n")
    for path in ("build/a.o", "run.log", "metrics.log", "venv/pyvenv.cfg", "__pycache__/x.pyc", "clone/x.py", ".env"):
        nested.put(path)
    within(nested, "vendor/library").put(".gitignore", "*.tmp\n")
    within(nested, "vendor/library").put("x.tmp")
    nested.git("init", "--quiet", "clone")
    with nested.put("weights.bin").open("wb") as file:
        file.truncate(21 << 20)
    nested.declaration = type(nested.declaration)(command=["true"], metrics="metrics.log")
    assert nested.capture().code.left_out == [
        LeftOut(why="ignored", count=3, paths=["build/", "run.log", "vendor/library/x.tmp"]),
        LeftOut(why="large", count=1, paths=["weights.bin"]),
        LeftOut(why="secret", count=1, paths=[".env"]),
        LeftOut(why="repository", count=1, paths=["clone/"]),
    ]


def test_of_many_that_are_left_out_the_first_are_named(repository: "Project") -> None:
    repository.put(".gitignore", "*.log\n")
    for number in range(30):
        repository.put(f"{number:02}.log")
    (left,) = repository.capture().code.left_out
    assert (left.count, left.paths) == (30, [f"{number:02}.log" for number in range(20)])


def test_without_git_hidden_files_are_left_out(project: "Project") -> None:
    for path in ("evaluate.py", ".hidden/file", "package/.settings", ".env", "venv/pyvenv.cfg", "venv/.x"):
        project.put(path)
    captured = project.capture()
    assert captured.code.left_out == [
        LeftOut(why="hidden", count=2, paths=[".hidden/", "package/.settings"]),
        LeftOut(why="secret", count=1, paths=[".env"]),
    ]
    assert taken(project, captured) == {"evaluate.py": "text\n"}


def test_a_refusal_names_files_and_commits(repository: "Project") -> None:
    code = repository.capture().code
    repository.put("evaluate.py", "print('two')\n")
    with pytest.raises(RefusedError) as refused:
        require_frozen_code(repository.root, code, repository.store)
    assert refused.value.message == "The code is not what was frozen: `evaluate.py` was changed."
    commit = repository.commit()
    with pytest.raises(RefusedError) as refused:
        require_frozen_code(repository.root, code, repository.store)
    was, now = (code.commit or "")[:12], commit[:12]
    assert refused.value.message.endswith(f" It was frozen at commit {was}, and {now} is checked out.")
