"""Real interpreters, real environments and hand-made distributions for the probe's tests."""

import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from uv import find_uv_bin


def _interpreters(major: int) -> list[Path]:
    """Every CPython of one major version on this machine, of those for which the probe is meant or whose refusal is."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = list(pyenv.glob(f"versions/{major}.*/bin/python"))
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        if Path(folder).name != "shims":  # a shim runs whatever pyenv's settings say
            found += Path(folder).glob(f"python{major}.*")
    unique = {}
    for path in reversed(found):
        binary = path.resolve()
        version = re.fullmatch(r"python(\d+)\.(\d+)", binary.name)
        if version and os.access(path, os.X_OK) and not (3, 0) <= tuple(map(int, version.groups())) < (3, 6):
            unique[binary] = path
    return sorted(unique.values())


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "interpreter" in metafunc.fixturenames:
        paths = [*_interpreters(3), Path(sys.executable)]
        names = [f"{path.resolve().name}-{number}" for number, path in enumerate(paths)]
        metafunc.parametrize("interpreter", paths, ids=names)


@pytest.fixture
def old_pythons() -> list[Path]:
    """Give the Pythons 2 of this machine, often none."""
    return _interpreters(2)


@pytest.fixture
def add_dist_info() -> Callable[..., Path]:
    """Give a function that writes a .dist-info by hand; `files` are added to its METADATA, or replace it."""

    def add(site: Path, name: str, version: str, files: dict[str, str] | None = None) -> Path:
        folder = site / f"{name}-{version}.dist-info"
        folder.mkdir(parents=True)
        content = {"METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nText.\n"}
        for file, text in {**content, **(files or {})}.items():
            (folder / file).write_text(text)
        return folder

    return add


@pytest.fixture
def make_wheel(tmp_path: Path) -> Callable[..., Path]:
    """Give a function that writes a tiny wheel (PEP 427) with one module."""

    def make(name: str, version: str, *, tag: str = "py3-none-any", build: str = "") -> Path:
        info = f"{name}-{version}.dist-info"
        wheel = f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n"
        files = {
            f"{name}.py": f"VERSION = {version!r}\n",
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            f"{info}/WHEEL": wheel + (f"Build: {build}\n" if build else ""),
        }
        rows = [f"{file},," for file in [*files, f"{info}/RECORD"]]
        files[f"{info}/RECORD"] = "\n".join(rows) + "\n"
        parts = [part for part in (name, version, build, tag) if part]
        path = tmp_path / ("-".join(parts) + ".whl")
        with zipfile.ZipFile(path, "w") as archive:
            for file, text in files.items():
                archive.writestr(file, text)
        return path

    return make


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """Give the prefix of a real virtual environment without pip."""
    prefix = tmp_path / "environment"
    options = ["--quiet", "--no-project", "--no-config", "--offline", "--python", sys.executable]
    subprocess.run([find_uv_bin(), "venv", *options, str(prefix)], check=True)
    return prefix


@pytest.fixture
def site(environment: Path) -> Path:
    """Give the site-packages of `environment`."""
    return next(environment.glob("lib/python3*/site-packages"))


@pytest.fixture
def install(environment: Path) -> Callable[..., None]:
    """Give a function that installs into `environment` with uv, without any network."""
    options = ["--quiet", "--no-index", "--offline", "--no-config", "--no-cache", "--no-deps"]

    def run(*arguments: str | Path) -> None:
        command = [find_uv_bin(), "pip", "install", *options, "--python", str(environment / "bin" / "python")]
        subprocess.run([*command, *map(str, arguments)], check=True)

    return run
