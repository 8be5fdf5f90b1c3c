"""Reading the declared evaluation from `pyproject.toml` or `envcap.toml`, and joining the command line to it."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from envcap.errors import WrongUsageError
from envcap.model.evaluation import Declaration, Kind, Tolerance
from envcap.model.struct import Table
from envcap.redact import holds_credentials, redact_text

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

STDOUT_JSON = "stdout-json"  # metrics are the last JSON object that the evaluation prints
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_EXAMPLE = """\
envcap freeze -- python evaluate.py
or in `pyproject.toml`:

    [tool.envcap.evaluation]
    command = ["python", "evaluate.py"]"""


class EvaluationTable(Table, frozen=True, kw_only=True):
    """The table `[tool.envcap.evaluation]` as a user writes it."""

    command: list[str] | None = None
    metrics: str | None = None
    artifacts: list[str] = []
    data: list[str] = []
    repeat: int | None = None
    timeout: str | int | float | None = None
    primary: str | None = None
    kind: Kind = "fixed"
    environment: list[str] = []


class ConfigurationTable(Table, frozen=True, kw_only=True):
    """The table `[tool.envcap]`; in `envcap.toml`, the whole file."""

    evaluation: EvaluationTable = EvaluationTable()
    tolerance: dict[str, Tolerance] = {}


class Override(Table, frozen=True, kw_only=True):
    """What the command line said about the evaluation; None and empty mean that it said nothing."""

    command: list[str] = []
    metrics: str | None = None
    artifacts: list[str] = []
    data: list[str] = []
    repeat: int | None = None
    timeout: str | None = None


def read_configuration(project: Path) -> ConfigurationTable:
    """Read the table from `envcap.toml` or else `pyproject.toml` in `project`; an empty one where neither has it.

    Raises WrongUsageError naming the file and the key.
    """
    own = project / "envcap.toml"
    if own.is_file():
        return _convert(_load(own), source=own.name, where="")
    shared = project / "pyproject.toml"
    if shared.is_file():
        tool = _load(shared).get("tool")
        table = tool.get("envcap", {}) if isinstance(tool, dict) else {}
        return _convert(table, source=shared.name, where="tool.envcap.")
    return ConfigurationTable()


def declare(configuration: ConfigurationTable, override: Override) -> Declaration:
    """Join configuration and command line (which wins) into one checked Declaration.

    Raises WrongUsageError when no command was declared or a value cannot be meant.
    """
    written = configuration.evaluation
    command = override.command or written.command or []
    if not command:
        raise WrongUsageError(
            "No evaluation is declared: there is nothing to run.",
            hint=f"Say what gives the number:\n{_EXAMPLE}",
        )
    timeout = override.timeout if override.timeout is not None else written.timeout
    declaration = Declaration(
        command=list(command),
        metrics=_first(override.metrics, written.metrics, "metrics.json"),
        artifacts=sorted({_plain_path(path) for path in override.artifacts or written.artifacts}),
        data=sorted(set(override.data or written.data)),
        repeat=_first(override.repeat, written.repeat, 3),
        timeout=parse_duration(timeout) if timeout is not None else 1800.0,
        primary=written.primary,
        kind=written.kind,
        environment=sorted(set(written.environment)),
        tolerance=configuration.tolerance,
    )
    check_declaration(declaration)
    _refuse_credentials(declaration.command)
    return declaration


def _refuse_credentials(command: Sequence[str]) -> None:
    """Raise WrongUsageError for a word with a login or token in it: left out of the lock, the command would not run."""
    for word in command:
        if holds_credentials(word):
            raise WrongUsageError(
                f"The command holds an address with credentials, or a token: `{redact_text(word)}`.",
                hint="The lock, the image and every report repeat the command. Let the program read it from an "
                "environment variable or from a file outside the project.",
            )


def parse_duration(text: str | float) -> float:
    """Give seconds for `90`, `90s`, `30m`, `2h` or `1d`. Raises WrongUsageError."""
    match = re.fullmatch(r"\s*([0-9]{1,15}(?:\.[0-9]+)?)\s*([smhd]?)\s*", str(text))
    if match is None or float(match[1]) <= 0:
        raise WrongUsageError(f"`{text}` is not a duration.", hint="Write for example `90s`, `30m` or `2h`.")
    return float(match[1]) * _UNITS[match[2]]


def parse_size(text: str) -> int:
    """Give bytes for `512M`, `8G` or a plain number, in powers of 1024. Raises WrongUsageError."""
    match = re.fullmatch(r"\s*([0-9]{1,15}(?:\.[0-9]+)?)\s*([KMGT]?)i?[Bb]?\s*", text)
    if match is None or float(match[1]) <= 0:
        raise WrongUsageError(f"`{text}` is not a size.", hint="Write for example `512M` or `8G`.")
    return int(float(match[1]) * 1024 ** " KMGT".index(match[2] or " "))


def _first(*values: Any) -> Any:
    return next(value for value in values if value is not None)


def _load(path: Path) -> dict[str, Any]:
    try:
        document: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        return document
    except (ValueError, RecursionError) as error:  # ValueError: not TOML, not UTF-8, or a number without end
        raise WrongUsageError(f"`{path.name}` is not valid TOML: {error}.") from error


def _convert(table: Any, *, source: str, where: str) -> ConfigurationTable:
    try:
        return msgspec.convert(table, ConfigurationTable)
    except msgspec.ValidationError as error:
        hint = ""
        if source == "envcap.toml" and "tool" in table:
            hint = "In `envcap.toml` the tables are `[evaluation]` and `[tolerance]`, without `tool.envcap`."
        whole = f"`{where.rstrip('.') or source}`"
        message = str(error).replace("`$.", f"`{where}").replace("`$`", whole)
        message = message if "`$" in str(error) else f"{message} - at {whole}"
        raise WrongUsageError(f"`{source}` cannot be used: {message}.", hint=hint) from error


def check_declaration(declaration: Declaration) -> None:
    """Raise WrongUsageError, naming it, for a value that cannot be meant; also asked of a lock that was received."""
    if not declaration.command or not declaration.command[0]:
        raise WrongUsageError("The command has no first word.")
    if any("\0" in word for word in declaration.command):
        raise WrongUsageError("The command holds a NUL character.")
    if declaration.repeat < 1:
        raise WrongUsageError(f"`repeat` is `{declaration.repeat}`; it must be at least 1.")
    if not 0 < declaration.timeout < float("inf"):
        raise WrongUsageError(f"`timeout` is `{declaration.timeout}`; it must be a finite time above 0.")
    outputs: Sequence[str] = declaration.artifacts
    if declaration.metrics != STDOUT_JSON:
        outputs = [declaration.metrics, *outputs]
    for path in outputs:
        pure = PurePosixPath(path)
        if pure.is_absolute() or ".." in pure.parts or not pure.parts or "\0" in path:
            raise WrongUsageError(
                f"The output `{path}` is not a path below the project.",
                hint="Outputs are given relative to the folder of the evaluation, for example `results/metrics.json`.",
            )
    for path in declaration.data:
        if not path or "\0" in path:
            raise WrongUsageError(f"`{path}` cannot name data.")
    for name, tolerance in declaration.tolerance.items():
        _check_tolerance(name, tolerance)


def _check_tolerance(name: str, tolerance: Tolerance) -> None:
    for key in ("absolute", "relative", "norm", "ulp", "length"):
        bound = getattr(tolerance, key)
        if bound is not None and not 0 <= bound < (1 << 63 if key == "ulp" else float("inf")):
            raise WrongUsageError(
                f"The tolerance of `{name}` has {key} `{bound}`; it must be a finite number, 0 or more."
            )
    for key in ("floor", "agreement"):
        share = getattr(tolerance, key)
        if share is not None and not 0 <= share <= 1:
            raise WrongUsageError(f"The tolerance of `{name}` has {key} `{share}`; it is a share, from 0 to 1.")
    for key in ("quantum", "samples"):
        step = getattr(tolerance, key)
        if step is not None and not 0 < step < float("inf"):
            raise WrongUsageError(f"The tolerance of `{name}` has {key} `{step}`; it must be finite and above 0.")
    bounds = (tolerance.absolute, tolerance.relative, tolerance.norm, tolerance.ulp)
    has_bound = any(bound is not None for bound in bounds)
    if tolerance.mode in {"stated", "equivalence"} and not has_bound:
        raise WrongUsageError(
            f"The tolerance of `{name}` has mode `{tolerance.mode}` and states no margin.",
            hint="Add `absolute` or `relative`: a margin that is chosen after the fact proves nothing.",
        )
    if (tolerance.mode == "floor") != (tolerance.floor is not None):
        raise WrongUsageError(
            f"The tolerance of `{name}` has one of mode `floor` and key `floor`; they go together.",
            hint='Write for example `{ mode = "floor", floor = 0.99 }`.',
        )


def _plain_path(path: str) -> str:
    """Give `results/a.csv` for `./results//a.csv`: what is found later is compared with it."""
    return PurePosixPath(path).as_posix() if path else path
