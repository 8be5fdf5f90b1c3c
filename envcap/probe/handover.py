"""Takes the probe to an interpreter on this host and brings back Facts. What it sees is decided in `target/`."""

import functools
import importlib.util
import io
import os
import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import msgspec

from envcap.errors import NotRunError, WrongUsageError
from envcap.model.facts import Facts
from envcap.probe.target.program import BEGIN, END
from envcap.process import capture
from envcap.redact import redact_text

_TARGET = Path(__file__).with_name("target")
_PACKAGE = "envcap_probe"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can hold
_PURPOSE = "Describing the environment"
_NAME_ANOTHER = "Name the Python of the environment with `--python PATH`."
_INSTALL_APART = (
    "To freeze it all the same, ask for it explicitly with `--python {python}`; or install envcap apart from it, "
    "for instance with `pipx install envcap` or `uv tool install envcap`."
)
_TOO_OLD = re.compile(rb"-----ENVCAP PYTHON TOO OLD ([0-9.]+)-----")


@functools.cache
def pack() -> bytes:
    """Give the probe as a zipapp: run it with `python -B FILE`, hand its standard output to `decode`.

    The same bytes every time: fixed times and modes, sorted names, nothing compressed (an interpreter may lack zlib).
    """
    files = {"__main__.py": (_TARGET / "__main__.py").read_bytes()}
    for source in _TARGET.glob("*.py"):
        if source.name != "__main__.py":
            files[f"{_PACKAGE}/{source.name}"] = source.read_bytes()
    # A GPU that is met without the binding becomes a Gap, so its absence is not an error here.
    binding = importlib.util.find_spec("pynvml")
    if binding is not None and binding.origin is not None and Path(binding.origin).name == "pynvml.py":
        files["pynvml.py"] = Path(binding.origin).read_bytes()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system = 3  # Unix, wherever envcap runs
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, files[name])
    return buffer.getvalue()


def probe_host(python: Path, *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Facts:
    """Describe the environment of an interpreter on this host.

    `env` (by default this process's) and `cwd` are those of the programs that will be run with it: PYTHONPATH and the
    like are honoured. Raises NotRunError when `python` cannot be started, is too old or no Python, or crashes.
    """
    with tempfile.TemporaryDirectory(prefix="envcap-probe-") as folder:
        program = Path(folder, "probe.pyz")
        program.write_bytes(pack())
        try:
            # -B because a description must not leave .pyc files behind.
            done = capture([python, "-B", program], purpose=_PURPOSE, cwd=cwd, env=env, check=False)
        except NotRunError as error:
            raise NotRunError(error.message, hint=_NAME_ANOTHER) from error
    if done.returncode == 0 or END.encode() in done.stdout or _TOO_OLD.search(done.stdout):
        return decode(done.stdout, source=str(python))
    said = done.stderr.decode(errors="replace").strip().splitlines()[-8:]
    detail = "".join(f"\n  {redact_text(line)}" for line in said)
    raise NotRunError(f"{_PURPOSE} failed: `{python}` ended with code {done.returncode}.{detail}", hint=_NAME_ANOTHER)


def decode(output: bytes, *, source: str = "python") -> Facts:
    """Give the Facts in what the probe printed, whatever else was printed around them.

    `source` names the interpreter in messages. Raises NotRunError when there are none, or not such as this envcap's
    probe prints.
    """
    old = _TOO_OLD.search(output)
    if old is not None:
        raise NotRunError(
            f"{_PURPOSE} failed: `{source}` is Python {old.group(1).decode()}, and envcap needs 3.6 or newer.",
            hint=_NAME_ANOTHER,
        )
    # The last frame: text before it comes from .pth files, text after it from exit handlers.
    _, begin, rest = output.rpartition(BEGIN.encode())
    document, end, _ = rest.partition(END.encode())
    if not (begin and end):
        shown = redact_text(output[:200].decode(errors="replace").strip())
        said = f"printed `{shown}` instead of facts" if shown else "printed nothing"
        raise NotRunError(f"{_PURPOSE} failed: `{source}` {said}; it does not seem to be a Python.", hint=_NAME_ANOTHER)
    try:
        return msgspec.json.decode(document.strip(), type=Facts)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotRunError(f"{_PURPOSE} failed: what `{source}` printed cannot be understood: {error}.") from error


def find_python(explicit: Path | None, environ: Mapping[str, str]) -> Path:
    """Give the interpreter to describe: the one asked for, else the active environment's, else the first on PATH.

    Links are not followed, because the link is what makes a virtual environment. Raises WrongUsageError when there is
    none, or when the one found without being asked for is the environment that envcap itself runs in.
    """
    if explicit is not None:
        return _explicit(explicit, environ)
    for variable in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        prefix = environ.get(variable)
        if prefix:
            python = _in_prefix(Path(prefix))
            if python is None:
                raise WrongUsageError(
                    f"`{variable}` names `{prefix}`, which has no `bin/python`.",
                    hint=f"Activate the environment again, or unset `{variable}`. {_NAME_ANOTHER}",
                )
            return _refuse_own(python, Path(prefix))
    for name in ("python3", "python"):
        found = shutil.which(name, path=environ.get("PATH", os.defpath))
        if found is not None:
            python = Path(found).absolute()
            return _refuse_own(python, _ask_prefix(python, environ))
    raise WrongUsageError(
        "No Python environment is active, and there is no `python3` on the PATH.",
        hint=f"Activate the environment. {_NAME_ANOTHER}",
    )


def _explicit(asked: Path, environ: Mapping[str, str]) -> Path:
    path = asked.expanduser().absolute()
    if path.is_dir():
        python = _in_prefix(path)
        if python is None:
            raise WrongUsageError(
                f"`{asked}` is a folder without `bin/python`.",
                hint="Give the folder of an environment or its Python.",
            )
        return python
    if path.exists():
        return path
    # `--python python3.9`, as a shell would find it.
    found = shutil.which(str(asked), path=environ.get("PATH", os.defpath)) if len(asked.parts) == 1 else None
    if found is None:
        raise WrongUsageError(f"There is no `{asked}`.", hint="Give the folder of an environment or its Python.")
    return Path(found).absolute()


def _in_prefix(prefix: Path) -> Path | None:
    for name in ("python", "python3"):
        python = prefix.absolute() / "bin" / name
        if python.exists():
            return python
    return None


def _ask_prefix(python: Path, environ: Mapping[str, str]) -> Path | None:
    """Give the interpreter's prefix by asking it, since a pyenv shim's place tells nothing; None when it is mute."""
    command: list[str | Path] = [python, "-B", "-c", "import sys; sys.stdout.write('\\n' + sys.prefix)"]
    try:
        done = capture(command, purpose=_PURPOSE, env=environ, check=False, timeout=30.0)
    except NotRunError:
        return None  # `probe_host` will tell why
    lines = os.fsdecode(done.stdout).splitlines()
    return Path(lines[-1]) if done.returncode == 0 and lines else None


def _refuse_own(python: Path, prefix: Path | None) -> Path:
    # Folders are compared, not interpreters: virtual environments share one behind their links.
    if prefix is None or not prefix.is_dir() or not prefix.samefile(sys.prefix):
        return python
    raise WrongUsageError(
        f"The environment found, `{prefix}`, is the one that envcap itself is installed in.",
        hint=_INSTALL_APART.format(python=python),
    )
