"""The project's code, taken from real repositories: what goes along, what stays, and what is said about it."""

import os
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from msgspec import structs

from envcap.errors import RefusedError, WrongUsageError
from envcap.model.layout import CHANGES_PATCH, CODE_ARCHIVE
from envcap.project.code import Captured, capture_code, changes_since, fingerprints
from envcap.store import Store

if TYPE_CHECKING:
    from tests.project.conftest import Project

CANARY = "c4n4ry"
KEY_FILES = [
    ".env",
    ".env.local",
    "deploy/.env",
    ".netrc",
    "_netrc",
    ".pypirc",
    ".npmrc",
    ".git-credentials",
    ".aws/credentials",
    ".ssh/config",
    ".kube/config",
    "id_rsa",
    "id_ed25519.bak",
    "kaggle.json",
    "service-account.json",
    "service_account_prod.json",
    "credentials.json",
    "secrets.toml",
    "secret.yaml",
    "server.pem",
    "deep/down/server.key",
    "KEYS.P12",
    "store.jks",
]


def archived(project: "Project", captured: Captured) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(project.store.require(captured.code.archive, CODE_ARCHIVE, what="The code")) as archive:
        return {member.name: member for member in archive}


def names(project: "Project", captured: Captured) -> list[str]:
    """Give the archived files as paths below the project."""
    members = archived(project, captured)
    return sorted(name.removeprefix("work/") for name, member in members.items() if not member.isdir())


def patch(project: "Project", captured: Captured) -> str:
    assert captured.code.patch is not None
    return project.store.require(captured.code.patch, CHANGES_PATCH, what="The patch").read_text(encoding="utf-8")


def subjects(captured: Captured) -> list[str]:
    return [gap.subject for gap in captured.gaps]


# What is taken along


def test_a_clean_repository(repository: "Project") -> None:
    captured = repository.capture()
    assert names(repository, captured) == ["evaluate.py", "package/model.py"]
    code = captured.code
    assert (code.files, code.branch, code.directory) == (2, "main", ".")
    assert code.commit == repository.git("rev-parse", "HEAD")
    assert (code.patch, code.untracked, code.repository) == (None, [], None)
    assert code.size == repository.store.path(code.archive, CODE_ARCHIVE).stat().st_size
    assert captured.gaps == []


@pytest.mark.parametrize(
    "path", ["pyproject.toml", "uv.toml", "Pipfile", "requirements-dev.txt", "notes.ipynb", "x.py"]
)
def test_a_file_that_holds_a_login_is_left_out_and_its_line_told(path: str, repository: "Project") -> None:
    repository.put(path, f"first\nhttps://user:{CANARY}@example.org/simple/\n")
    repository.commit()
    captured = repository.capture()
    assert names(repository, captured) == ["evaluate.py", "package/model.py"]
    (gap,) = captured.gaps
    assert (gap.subject, gap.reason) == (path, "line 2 holds an address with a password or token in it")
    assert [(one.why, one.paths) for one in captured.code.left_out] == [("secret", [path])]
    assert CANARY not in repr(captured)


def test_of_a_login_that_was_taken_out_the_patch_holds_nothing(repository: "Project") -> None:
    repository.put("settings.toml", f'url = "https://user:{CANARY}@example.org/simple/"\n')
    repository.put("deleted.toml", f'url = "https://user:{CANARY}@example.org/simple/"\n')
    repository.commit()
    repository.put("settings.toml", 'url = "https://example.org/simple/"\n')
    (repository.root / "deleted.toml").unlink()
    repository.put("evaluate.py", "print('two')\n")
    captured = repository.capture()
    assert "settings.toml" in names(repository, captured)
    assert subjects(captured) == ["deleted.toml", "settings.toml"]
    assert "print('two')" in patch(repository, captured)
    assert CANARY not in patch(repository, captured)


def test_a_login_in_what_the_command_runs_is_refused(repository: "Project") -> None:
    repository.put("evaluate.py", f"x = 'https://user:{CANARY}@example.org/'\n")
    declaration = structs.replace(repository.declaration, command=["python", "evaluate.py"])
    with pytest.raises(WrongUsageError, match=r"`evaluate.py` is what the command runs.*line 1") as raised:
        fingerprints(repository.root, declaration)
    assert CANARY not in str(raised.value)


@pytest.mark.parametrize(
    ("remote", "recorded"),
    [
        (f"https://user:{CANARY}@git.example.org/team/repo.git", "https://git.example.org/team/repo.git"),
        (f"https://{CANARY}@git.example.org/team/repo.git", "https://git.example.org/team/repo.git"),
        ("git@git.example.org:team/repo.git", "git@git.example.org:team/repo.git"),
        ("http://[", "http://["),
    ],
)
def test_the_address_is_recorded_without_credentials(remote: str, recorded: str, repository: "Project") -> None:
    repository.git("remote", "add", "origin", remote)
    assert repository.capture().code.repository == recorded


def test_a_changed_file_is_taken_as_it_is_and_kept_as_a_patch(repository: "Project") -> None:
    repository.put("evaluate.py", "print('two')\n")
    captured = repository.capture()
    assert names(repository, captured) == ["evaluate.py", "package/model.py"]
    assert "-print('one')\n+print('two')\n" in patch(repository, captured)


def test_a_patch_can_be_applied(repository: "Project", tmp_path: Path) -> None:
    repository.put("evaluate.py", "print('two')\n")
    repository.put("binary.bin", bytes(range(256)))
    repository.git("add", "binary.bin")
    (repository.root / "package/model.py").unlink()
    captured = repository.capture()
    clone = tmp_path / "clone"
    repository.git("clone", "--quiet", str(repository.root), str(clone))
    file = repository.store.path(str(captured.code.patch), CHANGES_PATCH)
    subprocess.run(["git", "-C", clone, "apply", file], check=True)
    found = sorted(path.name for path in clone.rglob("*") if path.is_file() and ".git" not in path.parts)
    assert found == ["binary.bin", "evaluate.py"]
    assert (clone / "evaluate.py").read_text(encoding="utf-8") == "print('two')\n"


def test_staged_deleted_and_renamed_files(repository: "Project") -> None:
    repository.put("staged.py", "STAGED = 1\n")
    repository.git("add", "staged.py")
    repository.git("mv", "package/model.py", "package/renamed.py")
    (repository.root / "evaluate.py").unlink()
    captured = repository.capture()
    assert names(repository, captured) == ["package/renamed.py", "staged.py"]
    assert captured.code.untracked == []
    text = patch(repository, captured)
    for line in ("+STAGED = 1", "-print('one')", "package/renamed.py"):
        assert line in text


def test_untracked_files_are_taken_and_named_and_ignored_ones_are_not(repository: "Project") -> None:
    repository.put(".gitignore", "ignored/\n*.tmp\n")
    repository.put("new module.py")
    repository.put("ignored/file.py")
    repository.put("a.tmp")
    captured = repository.capture()
    assert names(repository, captured) == [".gitignore", "evaluate.py", "new module.py", "package/model.py"]
    assert captured.code.untracked == [".gitignore", "new module.py"]
    assert captured.code.patch is None


def test_an_environment_that_nobody_ignored_is_no_code(repository: "Project") -> None:
    """Its packages are pinned; taking its files along would copy gigabytes and change the archive at each import."""
    for path in ("env/pyvenv.cfg", "env/lib/x.py", "tools/conda/conda-meta/history", "tools/conda/y", "tools/mine.py"):
        repository.put(path)
    assert repository.capture().code.untracked == ["tools/mine.py"]


def test_what_tools_leave_behind_is_no_code(repository: "Project") -> None:
    for path in (
        "__pycache__/x.cpython-311.pyc",
        "package/__pycache__/y.pyc",
        "z.pyc",
        ".ipynb_checkpoints/a.ipynb",
        "node_modules/x/index.js",
        ".envcap/store/0/file",
        "pylock.toml",
        "pylock.envcap.toml",
        "sub/pylock.train.toml",
    ):
        repository.put(path)
    repository.commit()  # even where somebody has added them
    repository.put("pylock.envcap.toml", "another lock\n")
    captured = repository.capture()
    assert names(repository, captured) == ["evaluate.py", "package/model.py"]
    assert captured.code.patch is None
    assert captured.gaps == []


def test_outputs_and_data_are_no_code(repository: "Project") -> None:
    for path in ("results/metrics.json", "results/predictions.csv", "data/a.csv", "data/deep/b.csv", "database.py"):
        repository.put(path, "1\n")
    repository.commit()
    for path in ("results/metrics.json", "data/a.csv"):
        repository.put(path, "2\n")
    repository.declaration = msgspec.structs.replace(
        repository.declaration,
        metrics="results/metrics.json",
        artifacts=["./results/predictions.csv"],
        data=["data/", str(repository.root / "package")],
    )
    captured = repository.capture()
    assert names(repository, captured) == ["database.py", "evaluate.py"]
    assert captured.code.patch is None
    assert captured.gaps == []


def test_a_large_untracked_file_is_a_gap(repository: "Project") -> None:
    for name in ("weights.bin", "tracked.bin"):
        with repository.put(name).open("wb") as file:
            file.truncate(21 << 20)
    repository.git("add", "tracked.bin")
    captured = repository.capture()
    assert names(repository, captured) == ["evaluate.py", "package/model.py", "tracked.bin"]
    assert subjects(captured) == ["weights.bin"]
    assert "declare it as data" in captured.gaps[0].consequence


def test_a_submodule_is_taken_along(repository: "Project", tmp_path: Path) -> None:
    library = tmp_path / "library"
    library.mkdir()
    repository.git("init", "--quiet", str(library))
    (library / "library.py").write_text("LIBRARY = 1\n", encoding="utf-8")
    subprocess.run(["git", "-C", library, "add", "."], check=True)
    subprocess.run(["git", "-C", library, "commit", "--quiet", "--message", "x"], check=True)
    repository.git("submodule", "--quiet", "add", str(library), "vendor/library")
    repository.commit()
    (repository.root / "vendor/library/library.py").write_text("LIBRARY = 2\n", encoding="utf-8")
    captured = repository.capture()
    assert "vendor/library/library.py" in names(repository, captured)
    member = archived(repository, captured)["work/vendor/library/library.py"]
    assert member.size == len("LIBRARY = 2\n")


def test_a_submodule_without_its_files_is_a_gap(repository: "Project", tmp_path: Path) -> None:
    library = tmp_path / "library"
    repository.git("init", "--quiet", str(library))
    (library / "library.py").write_text("LIBRARY = 1\n", encoding="utf-8")
    subprocess.run(["git", "-C", library, "add", "."], check=True)
    subprocess.run(["git", "-C", library, "commit", "--quiet", "--message", "x"], check=True)
    repository.git("submodule", "--quiet", "add", str(library), "vendor/library")
    repository.commit()
    repository.git("submodule", "--quiet", "deinit", "--force", "vendor/library")
    captured = repository.capture()
    assert [(gap.subject, gap.reason) for gap in captured.gaps] == [
        ("vendor/library", "the submodule is not initialised")
    ]


def test_a_folder_in_place_of_a_file_is_no_submodule(repository: "Project") -> None:
    (repository.root / "evaluate.py").unlink()
    repository.put("evaluate.py/inner.py")
    captured = repository.capture()
    assert names(repository, captured) == ["evaluate.py/inner.py", "package/model.py"]
    assert subjects(captured) == []


def test_a_pointer_whose_content_was_not_fetched_is_a_gap(repository: "Project") -> None:
    repository.put("weights.pt", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n")
    repository.commit()
    captured = repository.capture()
    assert "weights.pt" in names(repository, captured)
    assert [(gap.subject, gap.reason) for gap in captured.gaps] == [
        ("weights.pt", "it is a pointer of Git LFS whose content was not fetched")
    ]


def test_a_repository_within_that_is_no_submodule_is_a_gap(repository: "Project") -> None:
    repository.put("clone/library.py")
    repository.git("init", "--quiet", "clone")
    captured = repository.capture()
    assert names(repository, captured) == ["evaluate.py", "package/model.py"]
    assert subjects(captured) == ["clone/"]
    assert "submodule" in captured.gaps[0].consequence


def test_a_repository_without_a_commit(project: "Project") -> None:
    project.git("init", "--quiet")
    project.put("evaluate.py")
    captured = project.capture()
    assert names(project, captured) == ["evaluate.py"]
    assert (captured.code.commit, captured.code.patch, captured.code.untracked) == (None, None, ["evaluate.py"])
    assert captured.gaps[0].reason == "the repository has no commit yet"


def test_a_folder_that_is_no_repository(project: "Project") -> None:
    project.put("evaluate.py")
    project.put("package/model.py")
    project.put(".hidden/file")
    project.put(".env", CANARY)
    project.put("venv/pyvenv.cfg")
    project.put("venv/lib/module.py")
    project.put("conda/conda-meta/history")
    project.put("__pycache__/x.pyc")
    (project.root / "link").symlink_to("package")
    captured = project.capture()
    assert names(project, captured) == ["evaluate.py", "link", "package/model.py"]
    assert (captured.code.commit, captured.code.repository, captured.code.untracked) == (None, None, [])
    assert subjects(captured) == ["repository", ".env"]
    assert "not a git repository" in captured.gaps[0].reason


def test_a_project_folder_within_a_repository(repository: "Project") -> None:
    repository.put("training/evaluate.py", "print('nested')\n")
    commit = repository.commit()
    repository.put("training/new.py")
    repository.put("training/evaluate.py", "print('changed')\n")
    repository.put("evaluate.py", "print('elsewhere')\n")
    nested = type(repository)(repository.root / "training", repository.store)
    captured = nested.capture()
    assert names(nested, captured) == ["evaluate.py", "new.py"]
    assert (captured.code.directory, captured.code.commit) == ("training", commit)
    assert "print('changed')" in patch(nested, captured)
    assert "elsewhere" not in patch(nested, captured)


def test_a_project_that_the_repository_around_it_ignores(repository: "Project") -> None:
    repository.put(".gitignore", "*\n")
    repository.put("scratch/evaluate.py")
    nested = type(repository)(repository.root / "scratch", repository.store)
    captured = nested.capture()
    assert names(nested, captured) == ["evaluate.py"]
    assert captured.code.commit is None
    assert subjects(captured) == ["repository"]
    assert "ignores it" in captured.gaps[0].reason


def test_a_detached_head_has_no_branch(repository: "Project") -> None:
    repository.git("checkout", "--quiet", "--detach")
    assert repository.capture().code.branch is None


# Names and kinds of files


def test_odd_names_are_taken_as_they_are(repository: "Project") -> None:
    odd = ["é😀.py", "two\nlines.py", "-dash.py", " space ", 'quo"te.py', "back\\slash.py", "*", ":(glob)x", "tab\t.py"]
    for name in odd:
        repository.put(name)
    captured = repository.capture()
    assert set(odd) <= set(names(repository, captured))
    repository.commit()
    for name in odd:
        repository.put(name, "changed\n")
    assert set(odd) <= set(names(repository, repository.capture()))


def test_a_name_that_is_no_unicode_is_taken_too(repository: "Project") -> None:
    (Path(os.fsdecode(os.fsencode(repository.root) + b"/caf\xe9.py"))).write_text("x\n", encoding="utf-8")
    captured = repository.capture()
    assert os.fsdecode(b"caf\xe9.py") in names(repository, captured)
    assert changes_since(repository.root, captured.code, repository.store) == []


def test_links_inside_are_kept(repository: "Project") -> None:
    for name, target in {
        "inside": "package/model.py",
        "package/up": "../evaluate.py",
        "folder": "package",
        "dangling": "nowhere",
        "absolute": str(repository.root / "evaluate.py"),
        ".env": "../secrets",
    }.items():
        (repository.root / name).symlink_to(target)
    captured = repository.capture()
    links = {name: item.linkname for name, item in archived(repository, captured).items() if item.issym()}
    assert links == {
        "work/inside": "package/model.py",
        "work/package/up": "../evaluate.py",
        "work/folder": "package",
        "work/dangling": "nowhere",
        "work/absolute": "evaluate.py",
    }
    assert subjects(captured) == [".env"]
    assert changes_since(repository.root, captured.code, repository.store) == []


@pytest.mark.parametrize("target", ["../../outside", "/etc/hostname", "../package/../../outside", "../..", "/"])
def test_a_link_that_leads_out_is_refused_unless_it_is_data(target: str, repository: "Project", tmp_path: Path) -> None:
    (tmp_path / "outside").write_text(CANARY, encoding="utf-8")
    (repository.root / "package" / "link").symlink_to(target)
    with pytest.raises(WrongUsageError, match="`package/link` is a link that leads out") as refused:
        repository.capture()
    assert "--data package/link" in refused.value.hint
    repository.declaration = msgspec.structs.replace(repository.declaration, data=["package/link"])
    assert "package/link" not in names(repository, repository.capture())
    assert CANARY.encode() not in repository.everything_kept()


@pytest.mark.parametrize(
    "name",
    [".env", ".env.local", ".netrc", ".pypirc", "id_rsa", "keys/id_ed25519", "server.pem", "tls.key", ".aws/config"],
)
def test_a_key_is_named_and_never_taken_along(name: str, repository: "Project") -> None:
    """Committed or not, as a file or in what has changed since."""
    repository.put(name, "first\n")
    repository.commit()
    repository.put(name, CANARY)
    captured = repository.capture()
    assert subjects(captured) == [name]
    assert name not in names(repository, captured)
    assert CANARY.encode() not in repository.everything_kept()


def test_modes_are_plain_and_folders_are_named(repository: "Project") -> None:
    repository.put("run.sh").chmod(0o700)
    repository.put("read.txt").chmod(0o400)
    members = archived(repository, repository.capture())
    assert {name: oct(member.mode) for name, member in members.items()} == {
        "work": "0o755",
        "work/package": "0o755",
        "work/evaluate.py": "0o644",
        "work/package/model.py": "0o644",
        "work/run.sh": "0o755",
        "work/read.txt": "0o644",
    }
    assert {(member.uid, member.gid, member.mtime, member.uname) for member in members.values()} == {
        (65532, 65532, 315532800, "")
    }


# Secrets


@pytest.mark.parametrize("is_tracked", [True, False], ids=["tracked", "untracked"])
def test_key_files_are_never_taken(is_tracked: bool, repository: "Project") -> None:  # noqa: FBT001
    for path in KEY_FILES:
        repository.put(path, f"{CANARY} before\n")
    if is_tracked:
        repository.commit()
        for path in KEY_FILES:
            repository.put(path, f"{CANARY} after\n")
    repository.put("evaluate.py", "print('two')\n")
    captured = repository.capture()
    assert names(repository, captured) == ["evaluate.py", "package/model.py"]
    assert sorted(subjects(captured)) == sorted(KEY_FILES)
    assert CANARY.encode() not in repository.everything_kept()
    assert "print('two')" in patch(repository, captured)


@pytest.mark.parametrize("how", ["deleted", "staged", "renamed"])
def test_a_key_file_that_is_gone_is_not_in_the_patch(how: str, repository: "Project") -> None:
    repository.put(".env", f"{CANARY}\n")
    repository.commit()
    if how == "renamed":
        repository.git("mv", ".env", ".env.old")
    elif how == "staged":
        repository.git("rm", "--quiet", ".env")
    else:
        (repository.root / ".env").unlink()
    repository.put("evaluate.py", "print('two')\n")
    captured = repository.capture()
    assert "print('two')" in patch(repository, captured)
    assert CANARY.encode() not in repository.everything_kept()


def test_ordinary_files_are_no_key_files(repository: "Project") -> None:
    ordinary = ["environment.py", "secrets.py", "keys.py", "tokenizer.json", "author.txt", "monkey.json", "envs/.keep"]
    for path in ordinary:
        repository.put(path)
    captured = repository.capture()
    assert set(ordinary) <= set(names(repository, captured))
    assert captured.gaps == []


def test_no_password_of_a_remote_is_kept(repository: "Project") -> None:
    repository.git("remote", "add", "origin", f"https://user:{CANARY}@git.example.org/r.git")
    captured = repository.capture()
    assert CANARY not in repr(captured)
    assert CANARY.encode() not in repository.everything_kept()


# What the run wrote


def test_what_the_run_wrote_is_no_code(repository: "Project") -> None:
    repository.put("cache.txt", "before\n")
    before = fingerprints(repository.root, repository.declaration)
    repository.put("cache.txt", "after\n")
    repository.put("log.txt")
    repository.put("package/model.py", "VALUE = 2\n")
    repository.put("metrics.json", "{}\n")
    captured = capture_code(repository.root, repository.declaration, repository.store, before=before)
    assert names(repository, captured) == ["evaluate.py"]
    assert {gap.subject: gap.reason for gap in captured.gaps} == {
        "cache.txt": "the evaluation changed it",
        "log.txt": "the evaluation wrote it",
        "package/model.py": "the evaluation changed it",
    }
    assert captured.code.untracked == []


# The same tree gives the same bytes


def test_the_archive_depends_on_nothing_but_the_files(repository: "Project", tmp_path: Path) -> None:
    repository.put("run.sh").chmod(0o755)
    (repository.root / "link").symlink_to("run.sh")
    first = repository.capture().code.archive
    assert repository.capture().code.archive == first

    elsewhere = type(repository)(tmp_path / "another" / "place", Store(tmp_path / "another-store"))
    elsewhere.root.mkdir(parents=True)
    before = os.umask(0o077)
    try:
        for path in sorted(repository.root.rglob("*"), reverse=True):
            copy = elsewhere.root / path.relative_to(repository.root)
            if ".git" in copy.parts or path.is_dir():
                continue
            copy.parent.mkdir(parents=True, exist_ok=True)
            if path.is_symlink():
                copy.symlink_to(path.readlink())
                continue
            copy.write_bytes(path.read_bytes())
            copy.chmod(0o700 if path.stat().st_mode & 0o100 else 0o600)
            os.utime(copy, (1, 1))
        assert elsewhere.capture().code.archive == first
    finally:
        os.umask(before)


def test_a_users_own_settings_of_git_change_no_patch(repository: "Project") -> None:
    repository.put("evaluate.py", "print('two')\n")
    repository.git("mv", "package/model.py", "package/renamed.py")
    first = repository.capture().code.patch
    for name, value in {
        "color.ui": "always",
        "diff.noprefix": "true",
        "diff.mnemonicPrefix": "true",
        "diff.renames": "copies",
        "diff.external": "false",
    }.items():
        repository.git("config", name, value)
    assert repository.capture().code.patch == first


@pytest.mark.parametrize("change", ["content", "mode", "name", "link"])
def test_every_change_changes_the_archive(change: str, repository: "Project") -> None:
    (repository.root / "link").symlink_to("evaluate.py")
    first = repository.capture().code.archive
    if change == "content":
        repository.put("evaluate.py", "print('two')\n")
    elif change == "mode":
        (repository.root / "evaluate.py").chmod(0o755)
    elif change == "name":
        (repository.root / "evaluate.py").rename(repository.root / "evaluated.py")
    else:
        (repository.root / "link").unlink()
        (repository.root / "link").symlink_to("package/model.py")
    assert repository.capture().code.archive != first


# What has changed since


def test_an_unchanged_tree_has_no_changes(repository: "Project") -> None:
    (repository.root / "link").symlink_to("evaluate.py")
    repository.put("run.sh").chmod(0o755)
    code = repository.capture().code
    repository.put("new file is no change.py")
    assert changes_since(repository.root, code, repository.store) == []


def test_every_changed_file_is_named(repository: "Project") -> None:
    for name in ("a.py", "b.py", "c.py", "d.py", "e.py"):
        repository.put(name)
    (repository.root / "link").symlink_to("a.py")
    code = repository.capture().code
    repository.put("a.py", "changed\n")
    (repository.root / "b.py").unlink()
    (repository.root / "c.py").chmod(0o755)
    (repository.root / "d.py").unlink()
    (repository.root / "d.py").mkdir()
    (repository.root / "e.py").unlink()
    (repository.root / "e.py").symlink_to("a.py")
    (repository.root / "link").unlink()
    (repository.root / "link").symlink_to("b.py")
    assert sorted(changes_since(repository.root, code, repository.store)) == [
        "`a.py` was changed",
        "`b.py` is gone",
        "`c.py` was changed",
        "`d.py` is gone",
        "`e.py` was changed",
        "`link` was changed",
    ]


def test_a_folder_without_any_of_the_files_is_no_working_tree(repository: "Project", tmp_path: Path) -> None:
    code = repository.capture().code
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "pylock.envcap.toml").write_text("", encoding="utf-8")
    assert changes_since(elsewhere, code, repository.store) == []


def test_without_the_archive_nothing_can_be_said(repository: "Project") -> None:
    code = repository.capture().code
    repository.store.path(code.archive, CODE_ARCHIVE).write_bytes(b"damaged")
    with pytest.raises(RefusedError, match=r"The code `code\.tar`"):
        changes_since(repository.root, code, repository.store)
