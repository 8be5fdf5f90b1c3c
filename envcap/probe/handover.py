"""Takes the probe to an interpreter on this host and brings back Facts. What it sees is decided in `target/`."""

import functools
import importlib.util
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from envcap.errors import NotRunError, WrongUsageError
from envcap.model.facts import Distribution, Facts
from envcap.model.gap import Gap
from envcap.probe.target.frame import FORMAT, unframe
from envcap.probe.target.gpu_libraries import library_of
from envcap.process import capture
from envcap.redact import redact_text

_TARGET = Path(__file__).with_name("target")
_PACKAGE = "envcap_probe"
_PURPOSE = "Describing the environment"
_NAME_ANOTHER = "Name the Python of the environment with `--python PATH`."
_INSTALL_APART = (
    "To freeze it all the same, ask for it explicitly with `--python {python}`; or install envcap apart from it, "
    "for instance with `pipx install envcap` or `uv tool install envcap`."
)
_TOO_OLD = re.compile(rb"-----ENVCAP PYTHON TOO OLD ([0-9.]+)-----")


@functools.cache
def pack() -> bytes:
    """Give the probe as one script: run it with `python -B FILE`, hand its standard output to `decode`.

    The same bytes every time, in ASCII, with the NVML binding of envcap's own environment inside.
    """
    sources = {
        _PACKAGE if path.stem == "__init__" else f"{_PACKAGE}.{path.stem}": path.read_text(encoding="utf-8")
        for path in sorted(_TARGET.glob("*.py"))
    }
    entry = sources.pop(f"{_PACKAGE}.__main__")
    # A GPU that is met without the binding becomes a Gap, so its absence is not an error here.
    binding = importlib.util.find_spec("pynvml")
    if binding is not None and binding.origin is not None and Path(binding.origin).name == "pynvml.py":
        sources["pynvml"] = Path(binding.origin).read_text(encoding="utf-8")
    return entry.replace("SOURCES = {}", f"SOURCES = {sources!a}", 1).encode("ascii")


def probe_host(
    python: Path, *, env: Mapping[str, str] | None = None, cwd: Path | None = None, loaded: Sequence[str] = ()
) -> Facts:
    """Describe the environment of an interpreter on this host.

    `env` (by default this process's) and `cwd` are those of the programs that will be run with it: PYTHONPATH and the
    like are honoured. `loaded` are libraries of GPUs to look at beyond those that it finds. Raises NotRunError when
    `python` cannot be started, is too old or no Python, or crashes.
    """
    # A relative path is meant from here, not from `cwd`; a bare name is looked up on the PATH.
    program_path = python if len(python.parts) == 1 else python.absolute()
    with tempfile.TemporaryDirectory(prefix="envcap-probe-") as folder:
        program = Path(folder, "probe.py")
        program.write_bytes(pack())
        try:
            # -B because a description must not leave .pyc files behind.
            done = capture([program_path, "-B", program, *loaded], purpose=_PURPOSE, cwd=cwd, env=env, check=False)
        except NotRunError as error:
            raise NotRunError(error.message, hint=_NAME_ANOTHER) from error
    # An exit handler of the environment's may fail after the document is complete.
    if done.returncode == 0 or unframe(done.stdout) is not None:
        return decode(done.stdout, source=str(python))
    said = done.stderr.decode(errors="replace").strip().splitlines()[-8:]
    detail = "".join(f"\n  {redact_text(line)}" for line in said)
    raise NotRunError(f"{_PURPOSE} failed: `{python}` ended with code {done.returncode}.{detail}", hint=_NAME_ANOTHER)


def unlisted_libraries(facts: Facts, mapped: Iterable[str]) -> list[str]:
    """Give the libraries of GPUs that a run had loaded from where the probe does not look by itself, sorted."""
    listed = {copy.path for copy in facts.hardware.gpu_libraries}
    return sorted(path for path in set(mapped) - listed if library_of(path) is not None)


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
    document = unframe(output)
    if document is None:
        lines = redact_text(output.decode(errors="replace")).strip().splitlines()
        said = f"printed `{lines[0][:80]}` instead of facts" if lines else "printed nothing"
        raise NotRunError(f"{_PURPOSE} failed: `{source}` {said}; it does not seem to be a Python.", hint=_NAME_ANOTHER)
    try:
        facts = msgspec.json.decode(document, type=Facts)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotRunError(f"{_PURPOSE} failed: what `{source}` printed cannot be understood: {error}.") from error
    if facts.format != FORMAT:
        raise NotRunError(
            f"{_PURPOSE} failed: `{source}` printed format {facts.format}, and this envcap reads {FORMAT}."
        )
    return _without_broken_origins(facts)


def _without_broken_origins(facts: Facts) -> Facts:
    """Give the Facts with each origin that is no URL turned into a Gap, so that nobody behind here meets one.

    The probe itself does not judge it: that needs a library which is dear to import.
    """
    broken = [one for one in facts.distributions if one.direct_url is not None and not _is_url(one.direct_url.url)]
    if not broken:
        return facts
    kept = [msgspec.structs.replace(one, direct_url=None) if one in broken else one for one in facts.distributions]
    return msgspec.structs.replace(facts, distributions=kept, gaps=[*facts.gaps, *map(_broken_origin, broken)])


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return bool(parts.scheme) and (parts.port is None or parts.port >= 0)  # asking for a wrong port raises
    except ValueError:
        return False


def _broken_origin(distribution: Distribution) -> Gap:
    return Gap(
        where="packages",
        subject=distribution.name,
        reason="its direct_url.json names an address that is no URL",
        consequence="where it was installed from is unknown",
    )


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
