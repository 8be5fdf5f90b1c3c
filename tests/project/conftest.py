"""A real git that knows nothing of whoever runs the tests, and a project to try it on."""

import subprocess
from pathlib import Path

import pytest

from envcap.model.evaluation import Declaration
from envcap.project.code import Captured, capture_code, fingerprints
from envcap.store import Store


class Project:
    """A folder with files, perhaps a repository, and a store beside it."""

    def __init__(self, root: Path, store: Store) -> None:
        self.root = root
        self.store = store
        self.declaration = Declaration(command=["true"], metrics="metrics.json")

    def git(self, *words: str) -> str:
        done = subprocess.run(["git", "-C", self.root, *words], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def write(self, **files: str) -> None:
        """Write files whose names are plain words; the text ends with a line end."""
        for name, text in files.items():
            self.put(f"{name}.py", f"{text}\n")

    def put(self, path: str, content: str | bytes = "text\n") -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    def commit(self) -> str:
        """Commit everything; give the commit."""
        self.git("add", "--all", "--force")
        self.git("commit", "--quiet", "--message", "a reason")
        return self.git("rev-parse", "HEAD")

    def capture(self) -> Captured:
        before = fingerprints(self.root, self.declaration)
        return capture_code(self.root, self.declaration, self.store, before=before)

    def everything_kept(self) -> bytes:
        """Give all bytes of the store: what is not in there did not get away."""
        return b"".join(path.read_bytes() for path in sorted(self.store.root.rglob("*")) if path.is_file())


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Give an empty project that is no repository."""
    settings = tmp_path / "gitconfig"
    settings.write_text(
        "[user]\nname = Example Author\nemail = author@example.org\n[init]\ndefaultBranch = main\n"
        '[protocol "file"]\nallow = always\n[commit]\ngpgSign = false\n',
        encoding="utf-8",
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    root = tmp_path / "project"
    root.mkdir()
    return Project(root, Store(tmp_path / "store"))


@pytest.fixture
def repository(project: Project) -> Project:
    """Give a repository with two committed files."""
    project.git("init", "--quiet")
    project.put("evaluate.py", "print('one')\n")
    project.put("package/model.py", "VALUE = 1\n")
    project.commit()
    return project
