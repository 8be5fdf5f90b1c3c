"""The wheel, built and installed for real: what is in it, and that it finds its templates."""

import email.parser
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from envcap import __version__
from envcap.resources import template_folder

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel once."""
    folder = tmp_path_factory.mktemp("dist")
    uv = Path(sys.executable).with_name("uv")
    done = subprocess.run(
        [uv, "build", "--wheel", "--quiet", "--out-dir", folder, ROOT], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


def test_templates_are_found_in_the_checkout() -> None:
    assert template_folder() == ROOT / "templates"
    assert (template_folder() / "bases.toml").is_file()


@pytest.mark.network
def test_the_wheel_holds_all_that_is_needed_and_no_more(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        info = f"envcap-{__version__}.dist-info"
        metadata = email.parser.Parser().parsestr(archive.read(f"{info}/METADATA").decode())
        entry_points = archive.read(f"{info}/entry_points.txt").decode()
    sources = {path.relative_to(ROOT).as_posix() for path in (ROOT / "envcap").rglob("*.py")}
    templates = {
        f"envcap/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "templates").rglob("*") if path.is_file()
    }
    schemas = {f"envcap/schemas/{path.name}" for path in (ROOT / "docs" / "schemas").glob("*.json")}
    needed = sources | templates | schemas | {"envcap/py.typed", "envcap/help.txt"}
    assert needed <= names
    assert {name.split("/")[0] for name in names} == {"envcap", info}
    assert {name for name in names if name.startswith("envcap/")} == needed
    assert re.search(r"(?m)^envcap\s*=\s*envcap\.start:main$", entry_points)
    assert metadata["Version"] == __version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.10"


@pytest.mark.network
def test_the_installed_wheel_works_away_from_the_checkout(wheel: Path, tmp_path: Path) -> None:
    uv = Path(sys.executable).with_name("uv")
    environment = tmp_path / "env"
    clean = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, environment], check=True, env=clean)
    python = environment / "bin" / "python"
    subprocess.run([uv, "pip", "install", "--quiet", "--python", python, wheel], check=True, env=clean)

    def run(*words: str) -> str:
        done = subprocess.run(
            [environment / "bin" / words[0], *words[1:]],
            cwd=tmp_path,
            env=clean,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert run("envcap", "--version") == f"envcap {__version__}\n"
    assert "freeze" in run("python", "-m", "envcap", "--help")
    program = (
        "from envcap.resources import template_folder; from envcap.render.templates import fill\n"
        "print(template_folder()); print(fill('parts/labels.j2', {'labels': [('a', '\"b\"')]}))"
    )
    found, *text = run("python", "-c", program).splitlines()
    assert Path(found).is_relative_to(environment)
    assert 'a="b"' in "\n".join(text)
