"""Find a Python of an exact version on this machine."""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from envcap.errors import NotRunError
from envcap.process import capture

# The version as the probe writes it: `3.11.7`, `3.14.0rc1`.
_ASK = (
    "import sys; v = sys.version_info; "
    "s = {'alpha': 'a', 'beta': 'b', 'candidate': 'rc', 'final': ''}[v[3]]; "
    "print('%d.%d.%d%s' % (v[0], v[1], v[2], s + str(v[4]) if s else ''))"
)


def find_interpreter(version: str, environ: Mapping[str, str]) -> Path:
    """Give a Python of exactly that version. Raises NotRunError naming those that were found instead."""
    found: set[str] = set()
    for candidate in _candidates(version, environ):
        here = _version_of(candidate)
        if here == version:
            return candidate
        if here:
            found.add(here)
    seen = f" Found: {', '.join(sorted(found))}." if found else ""
    raise NotRunError(
        f"The lock needs Python `{version}`, which is not on this machine.{seen}",
        hint=f"Install it, for example `uv python install {version}` or `pyenv install {version}`, "
        "or use `--engine docker`, whose base image brings it.",
    )


def _version_of(candidate: Path) -> str:
    try:
        done = capture([candidate, "-I", "-S", "-c", _ASK], purpose="Asking a Python for its version", check=False)
    except NotRunError:
        return ""
    return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else ""


def _candidates(version: str, environ: Mapping[str, str]) -> Iterator[Path]:
    """List the usual places: the active environment, PATH, and where version managers keep theirs."""
    for variable in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        if environ.get(variable):
            yield Path(environ[variable], "bin", "python")
    for name in ("python" + ".".join(version.split(".")[:2]), "python3", "python"):
        on_path = shutil.which(name, path=environ.get("PATH"))
        if on_path:
            yield Path(on_path)
    home = Path(environ.get("HOME", "/"))
    yield Path(environ.get("PYENV_ROOT", home / ".pyenv")) / "versions" / version / "bin" / "python"
    managed = Path(environ.get("UV_PYTHON_INSTALL_DIR", home / ".local" / "share" / "uv" / "python"))
    for folder in sorted(managed.glob(f"cpython-{version}-*")) if managed.is_dir() else []:
        yield folder / "bin" / "python3"
    yield from (Path(folder, "python3") for folder in ("/usr/bin", "/usr/local/bin") if Path(folder).is_dir())
