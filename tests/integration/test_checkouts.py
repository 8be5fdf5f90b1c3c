"""Editable and VCS installs as the build back ends make them: frozen, rebuilt, imported with the same result."""

import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from envcap.lockfile import read

# One worker makes the environment for all: that takes longer than any test.
pytestmark = [pytest.mark.network, pytest.mark.xdist_group("checkouts")]

BACKENDS = ["setuptools", "hatchling", "flit-core", "poetry-core", "pdm-backend"]
_SYSTEM = {
    "setuptools": 'requires = ["setuptools>=68"]\nbuild-backend = "setuptools.build_meta"',
    "hatchling": 'requires = ["hatchling"]\nbuild-backend = "hatchling.build"',
    "flit-core": 'requires = ["flit-core"]\nbuild-backend = "flit_core.buildapi"',
    "poetry-core": 'requires = ["poetry-core"]\nbuild-backend = "poetry.core.masonry.api"',
    "pdm-backend": 'requires = ["pdm-backend"]\nbuild-backend = "pdm.backend"',
}
_POETRY = '[tool.poetry]\npackages=[{include="inpoetry", from="src"}]'
_EXTENSION = """#include <Python.h>
static PyObject *answer(PyObject *self, PyObject *unused) { return PyLong_FromLong(42); }
static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, ""}, {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "inplace._fast", "", -1, methods};
PyMODINIT_FUNC PyInit__fast(void) { return PyModule_Create(&module); }
"""
# Imports each module and says what it says of itself; `settings.txt` lies beside the code, above the package.
_EVALUATE = """import importlib, json, sys
found = {}
for name in sys.argv[1:]:
    module = importlib.import_module(name)
    found[name] = module.tell()
json.dump({name: len(text) for name, text in found.items()}, open("metrics.json", "w"))
json.dump(found, open("told.json", "w"))
"""
_MODULE = """from pathlib import Path
def tell():
    here = Path(__file__)
    beside = [folder / "settings.txt" for folder in here.parents if (folder / "settings.txt").exists()]
    return "{name} " + (beside[0].read_text() if beside else "alone")
"""


def put(folder: Path, **files: str) -> None:
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)


def make_project(folder: Path, name: str, backend: str, *, package: str, more: str = "") -> Path:
    project = folder / name
    table = f'[build-system]\n{_SYSTEM[backend]}\n[project]\nname = "{name}"\nversion = "1.0"\ndescription = "x"\n'
    put(
        project,
        **{
            "pyproject.toml": table + more,
            f"{package}/__init__.py": _MODULE.format(name=name),
            "settings.txt": f"settings of {name}",
        },
    )
    return project


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    done = subprocess.run(["git", "-C", folder, *identity, *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def new_environment(folder: Path, *requirements: str) -> Path:
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # One set of back ends for all, beside the environment: isolated builds would fetch them for each project.
    backends = folder.with_name("backends")
    if not backends.exists():
        subprocess.run([*pip, "--target", str(backends), "wheel", "editables", *BACKENDS], check=True)
    env = {**os.environ, "PYTHONPATH": str(backends)}
    subprocess.run([*pip, "--no-build-isolation", "--no-deps", *requirements], check=True, env=env)
    return folder


def install_strictly(environment: Path, project: Path) -> None:
    """Let setuptools make a tree of links to the single files ("Development Mode": strict)."""
    pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    options = ["--no-build-isolation", "--no-deps", "--config-settings", "editable_mode=strict"]
    env = {**os.environ, "PYTHONPATH": str(environment.with_name("backends"))}
    subprocess.run([*pip, *options, "--editable", str(project)], check=True, env=env)


def develop(environment: Path, project: Path) -> None:
    """Install it the oldest way, with the setuptools of the environment."""
    python = environment / "bin" / "python"
    subprocess.run([python, "setup.py", "--quiet", "develop", "--no-deps"], cwd=project, check=True)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Make one environment that uses a package of every kind from its tree; give it with the trees' folder."""
    trees = tmp_path_factory.mktemp("trees")
    projects = [
        make_project(trees, "inflit", "flit-core", package="src/inflit"),
        make_project(trees, "inhatch", "hatchling", package="src/inhatch"),
        make_project(
            trees,
            "inpoetry",
            "poetry-core",
            package="src/inpoetry",
            more='[tool.poetry]\npackages=[{include="inpoetry", from="src"}]',
        ),
        make_project(trees, "inpdm", "pdm-backend", package="src/inpdm"),
        make_project(trees, "insrc", "setuptools", package="src/insrc"),
        make_project(trees, "inflat", "setuptools", package="inflat", more='[tool.setuptools]\npackages=["inflat"]'),
        make_project(
            trees,
            "renamed",
            "setuptools",
            package="code",
            more='[tool.setuptools]\npackages=["renamed"]\npackage-dir={renamed="code"}',
        ),
    ]
    inplace = make_project(trees, "inplace", "setuptools", package="src/inplace")
    put(inplace, **{"src/inplace/_fast.c": _EXTENSION, ".gitignore": "*.so\nbuild\n"})
    put(
        inplace,
        **{
            "setup.py": "from setuptools import Extension, setup\n"
            "setup(ext_modules=[Extension('inplace._fast', ['src/inplace/_fast.c'])])\n",
            "src/inplace/__init__.py": "from inplace._fast import answer\ndef tell(): return f'inplace {answer()}'\n",
        },
    )
    changed = make_project(trees, "changed", "setuptools", package="src/changed")
    git(changed, "init", "--quiet", "--initial-branch", "main")
    git(changed, "remote", "add", "origin", "https://someone:canary@git.example.org/changed.git")
    git(changed, "add", "--all")
    git(changed, "commit", "--quiet", "--message", "first")
    put(changed, **{"settings.txt": "settings changed since", "src/changed/new.py": "x = 1\n", ".env": "canary"})
    installed = make_project(trees, "fromgit", "setuptools", package="src/fromgit")
    git(installed, "init", "--quiet")
    git(installed, "add", "--all")
    git(installed, "commit", "--quiet", "--message", "first")

    strict = make_project(trees, "instrict", "setuptools", package="src/instrict")
    developed = make_project(trees, "developed", "setuptools", package="src/developed")
    put(
        developed,
        **{"setup.py": "import setuptools\nsetuptools.setup(packages=['developed'], package_dir={'': 'src'})\n"},
    )

    editables = [word for project in [*projects, inplace, changed] for word in ("--editable", str(project))]
    made = new_environment(trees / "environment", *editables, f"git+file://{installed}")
    install_strictly(made, strict)
    develop(made, developed)
    return made, trees


MODULES = ["inflit", "inhatch", "inpoetry", "inpdm", "insrc", "inflat", "renamed", "inplace", "changed", "fromgit"]
MODULES += ["instrict", "developed"]


@pytest.fixture
def project(tmp_path: Path, environment: Any, small: Any) -> Any:
    folder, _ = environment
    (small.project / "evaluate.py").write_text(_EVALUATE)
    (small.project / "envcap.toml").write_text(
        f"[evaluation]\ncommand = {json.dumps(['python', 'evaluate.py', *MODULES])}\n"
        'artifacts = ["told.json"]\nrepeat = 1\n'
    )
    small.environ["VIRTUAL_ENV"] = str(folder)
    return small


def test_every_kind_comes_back_from_its_tree(project: Any, environment: Any) -> None:
    _, trees = environment
    project.ok("freeze")
    lock, _ = read(project.project / "pylock.envcap.toml")
    checkouts: dict[str, Any] = {package.name: package.checkout for package in lock.packages}
    kinds = {name: checkouts[name].kind for name in MODULES}
    assert kinds == {**dict.fromkeys(MODULES, "editable"), "fromgit": "vcs"}
    assert checkouts["fromgit"].commit == git(trees / "fromgit", "rev-parse", "HEAD")
    changed = checkouts["changed"]
    assert (changed.repository, changed.branch) == ("https://git.example.org/changed.git", "main")
    assert changed.commit == git(trees / "changed", "rev-parse", "HEAD")
    assert changed.untracked == ("src/changed/new.py",)
    patch = next((project.project / ".envcap" / "store" / changed.patch).iterdir())
    assert "+settings changed since" in patch.read_text()
    assert [gap.subject for gap in lock.gaps if "no package installed" in gap.reason] == []
    shown = project.ok("show").out
    # Where the table is narrow, the cell goes on in the next line.
    assert re.search(rf"editable at commit {changed.commit[:12]}( with)?\s.*\bchanges\b", shown, re.DOTALL)

    project.ok("build", "--engine", "venv")
    verdict = project.ok("verify", "--engine", "venv", "--json").document
    assert verdict["verdict"] == "IDENTICAL", verdict
    assert [item for item in verdict["findings"] if item["where"] == "packages"] == []


def test_nothing_secret_and_no_path_of_this_machine_is_carried(project: Any, environment: Any) -> None:
    _, trees = environment
    project.ok("freeze")
    for path in project.project.rglob("*"):
        if path.is_file() and path.name != "evaluate.py":
            texts = [path.read_bytes()]
            if path.suffix == ".whl":
                with zipfile.ZipFile(path) as wheel:
                    texts += [wheel.read(name) for name in wheel.namelist()]
            elif path.suffix == ".tar":
                with tarfile.open(path) as archive:
                    texts += [archive.extractfile(member).read() for member in archive if member.isfile()]  # type: ignore[union-attr]
            assert not any(b"canary" in text for text in texts), path
            if path.suffix == ".whl":
                assert not any(os.fsencode(trees) in text for text in texts if not text.startswith(b"\x7fELF")), path


def test_freezing_twice_carries_the_same_bytes(project: Any) -> None:
    project.ok("freeze")
    first = {package.name: package.wheel.sha256 for package in read(project.project / "pylock.envcap.toml")[0].packages}
    project.ok("freeze")
    again = {package.name: package.wheel.sha256 for package in read(project.project / "pylock.envcap.toml")[0].packages}
    assert again == first


def test_a_project_that_is_installed_itself(small: Any, tmp_path: Path) -> None:
    put(
        small.project,
        **{
            "pyproject.toml": '[build-system]\nrequires = ["setuptools>=68"]\nbuild-backend = "setuptools.build_meta"\n'
            '[project]\nname = "own"\nversion = "1.0"\n[tool.envcap.evaluation]\n'
            'command = ["python", "scripts/evaluate.py"]\nrepeat = 1\ndata = ["inputs"]\n',
            "src/own/__init__.py": "VALUE = 5\n",
            "scripts/evaluate.py": "import json, own\njson.dump({'value': own.VALUE}, open('metrics.json', 'w'))\n",
            "inputs/large.csv": "1,2\n",
        },
    )
    (small.project / "envcap.toml").unlink(missing_ok=True)
    folder = new_environment(tmp_path / "environment", "--editable", str(small.project))
    small.environ["VIRTUAL_ENV"] = str(folder)
    small.ok("freeze")
    lock, _ = read(small.project / "pylock.envcap.toml")
    own = next(package for package in lock.packages if package.name == "own")
    with zipfile.ZipFile(small.project / own.wheel.path) as wheel:
        names = wheel.namelist()
    assert any(name.endswith("checkouts/own/src/own/__init__.py") for name in names)
    assert not any("inputs" in name or ".envcap" in name or "metrics.json" in name for name in names)
    small.ok("build", "--engine", "venv")
    assert small.ok("verify", "--engine", "venv", "--json").document["verdict"] == "IDENTICAL"


@pytest.mark.engine
def test_every_kind_in_a_container(project: Any) -> None:
    project.ok("freeze")
    project.ok("build")
    verdict = project.ok("verify", "--json").document
    assert verdict["verdict"] == "IDENTICAL", verdict
    assert [item for item in verdict["findings"] if item["where"] == "packages"] == []
