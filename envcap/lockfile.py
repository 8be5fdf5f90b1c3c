"""The lock's file format: a PEP 751 pylock file whose `tool.envcap` tables hold what the standard has no word for.

The only file that knows the format. Reading is strict: an unknown key, a wrong type, a changed byte is refused.
"""

import hashlib
import re
import sys
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from envcap.atomic import write_bytes
from envcap.errors import RefusedError, StrictError, WrongUsageError
from envcap.model.evaluation import Declaration, Run
from envcap.model.facts import Hardware, Interpreter, System
from envcap.model.gap import Gap
from envcap.model.lock import Base, Code, DataInput, Lock, Package, Wheel
from envcap.model.struct import Table
from envcap.store import STORE_FOLDER

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FORMAT = 1  # raised when a reader of the old format could misread the new one
_LARGEST = 64 << 20  # bytes; a lock of a thousand packages is below one MiB
_BLANK = "0" * 64
_DIGEST_LINE = re.compile(rb'^lock-digest = "sha256:([0-9a-f]{64})"$', re.MULTILINE)
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_FREEZE_AGAIN = "Run `envcap freeze` again, or take the lock from its source again."


class _PackageTool(Table, frozen=True, kw_only=True):
    installer: str | None = None
    requested: bool = False
    origin: str = "index"


class _PackageTools(Table, frozen=True, kw_only=True):
    envcap: _PackageTool = _PackageTool()


class _WheelEntry(Table, frozen=True, kw_only=True):
    name: str
    hashes: dict[str, str]
    url: str | None = None
    path: str | None = None
    size: int | None = None


class _PackageEntry(Table, frozen=True, kw_only=True):
    name: str
    version: str
    wheels: list[_WheelEntry]
    index: str | None = None
    tool: _PackageTools = _PackageTools()


class _EvaluationEntry(Declaration, frozen=True, kw_only=True, rename="kebab"):
    runs: list[Run] = []


class _EnvcapEntry(Table, frozen=True, kw_only=True):
    format: int
    lock_digest: str
    name: str
    created_at: str
    python: Interpreter
    system: System
    hardware: Hardware
    base: Base
    code: Code
    evaluation: _EvaluationEntry
    data: list[DataInput] = []
    gaps: list[Gap] = []


class _Tools(Table, frozen=True, kw_only=True):
    envcap: _EnvcapEntry


class _File(Table, frozen=True, kw_only=True):
    lock_version: str
    created_by: str
    requires_python: str
    environments: list[str]
    packages: list[_PackageEntry]
    tool: _Tools


def lock_path(project: Path, name: str) -> Path:
    """Tell where the lock `name` of a project is: `pylock.NAME.toml` (PEP 751 allows no dot in NAME)."""
    if _NAME.fullmatch(name) is None:
        raise WrongUsageError(
            f"`{name}` cannot name a lock.",
            hint="Use letters, digits, `-` and `_`, for example `--name train`.",
        )
    return project / f"pylock.{name}.toml"


def dump(lock: Lock) -> bytes:
    """Give the file's bytes: stable order, and a digest over everything in it.

    Two locks differ only where their contents do; `created-at`, each run's `seconds` and `peak-memory`, and the
    `lock-digest` that covers them are the declared fields that change from one freeze to the next.
    """
    import tomli_w

    document = _to_document(lock, digest=f"sha256:{_BLANK}")
    _validate_pylock(document)
    blank = tomli_w.dumps(document, multiline_strings=False).encode()
    digest = hashlib.sha256(blank).hexdigest()
    return blank.replace(_BLANK.encode(), digest.encode(), 1)


def write(content: bytes, path: Path) -> str:
    """Write what `dump` gave, whole or not at all; give the sha256 of its bytes."""
    write_bytes(path, content)
    return hashlib.sha256(content).hexdigest()


def read(path: Path) -> tuple[Lock, str]:
    """Read and check a lock; give it with the sha256 of its bytes.

    Raises WrongUsageError when there is no such file and RefusedError when it cannot be believed.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise RefusedError(f"`{path.name}` is larger than any lock ({path.stat().st_size:,} bytes).")
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise WrongUsageError(
            f"There is no lock `{path.name}` in `{path.parent}`.",
            hint="Make one with `envcap freeze -- COMMAND`, or name another with `--name` or `--project`.",
        ) from error
    except IsADirectoryError as error:
        raise WrongUsageError(f"`{path}` is a folder, not a lock.") from error
    return parse(content, source=path.name), hashlib.sha256(content).hexdigest()


def parse(content: bytes, *, source: str) -> Lock:
    """Give the lock that these bytes hold. Raises RefusedError naming the key, the value or the broken digest."""
    document = _load(content, source=source)
    _check_versions(document, source=source)
    try:
        file = msgspec.convert(document, _File)
    except msgspec.ValidationError as error:
        detail = re.sub(r"`\$\.?", "`", str(error))
        raise RefusedError(f"`{source}` is not a valid lock: {detail}.", hint=_FREEZE_AGAIN) from error
    _validate_pylock(document, source=source)
    _check_digest(content, source=source)
    lock = _from_file(file)
    _check_references(lock, source=source)
    return lock


def require_no_gaps(lock: Lock, *, strict: bool) -> None:
    """Raise StrictError, listing them, when `strict` is asked for and the lock has gaps."""
    if strict and lock.gaps:
        raise StrictError(
            f"{len(lock.gaps)} things could not be learned or pinned, and `--strict` forbids that:\n"
            + "\n".join(f"  {gap.where} `{gap.subject}`: {gap.reason}" for gap in lock.gaps),
            hint="Mend them and freeze again, or go on without `--strict`.",
        )


def _load(content: bytes, *, source: str) -> dict[str, Any]:
    try:
        document: dict[str, Any] = tomllib.loads(content.decode("utf-8"))
        return document
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RefusedError(f"`{source}` is not valid TOML: {error}.", hint=_FREEZE_AGAIN) from error


def _check_versions(document: dict[str, Any], *, source: str) -> None:
    tool = document.get("tool")
    own = tool.get("envcap") if isinstance(tool, dict) else None
    if not isinstance(own, dict):
        raise RefusedError(
            f"`{source}` is a pylock file that envcap did not write: it has no `tool.envcap`.",
            hint="envcap needs the whole lock. Make one with `envcap freeze -- COMMAND`.",
        )
    written = own.get("format")
    if isinstance(written, int) and written > FORMAT:
        raise RefusedError(
            f"`{source}` has format `{written}`; this envcap reads formats up to `{FORMAT}`.",
            hint="It comes from a newer envcap: `pip install --upgrade envcap`.",
        )
    if document.get("lock-version") != "1.0":
        raise RefusedError(f"`{source}` has lock-version `{document.get('lock-version')}`; envcap reads `1.0`.")


def _validate_pylock(document: dict[str, Any], *, source: str = "the new lock") -> None:
    """Let `packaging` judge whether this is a valid PEP 751 file: names, versions, hashes, file names."""
    from packaging.pylock import Pylock, PylockValidationError

    try:
        Pylock.from_dict(document)
    except PylockValidationError as error:
        raise RefusedError(f"`{source}` is not a valid pylock file (PEP 751): {error}.", hint=_FREEZE_AGAIN) from error


def _check_digest(content: bytes, *, source: str) -> None:
    match = _DIGEST_LINE.search(content)
    blank = content[: match.start(1)] + _BLANK.encode() + content[match.end(1) :] if match else content
    if match is None or hashlib.sha256(blank).hexdigest() != match[1].decode():
        raise RefusedError(
            f"`{source}` was changed after envcap wrote it: its contents do not match its digest.",
            hint=f"A lock is not edited by hand. {_FREEZE_AGAIN}",
        )


def _check_references(lock: Lock, *, source: str) -> None:
    """Refuse what a well-formed lock could still smuggle in: other schemes, paths that leave the store."""
    for package in lock.packages:
        wheel = package.wheel
        if wheel.url is not None and not wheel.url.startswith(("https://", "http://")):
            raise RefusedError(f"`{source}`: `{package.name}` is to come from `{wheel.url}`, which is no web address.")
        if wheel.path is not None:
            _check_below(wheel.path, STORE_FOLDER, f"`{source}`: the file of `{package.name}`")
    for item in [*lock.declaration.artifacts, lock.declaration.metrics]:
        _check_below(item, "", f"`{source}`: the output")


def _check_below(path: str, folder: str, what: str) -> None:
    pure = PurePosixPath(path)
    below = not folder or path.startswith(f"{folder}/")
    if pure.is_absolute() or ".." in pure.parts or not below or "\0" in path:
        raise RefusedError(f"{what} is `{path}`, which leaves the folder of the lock.")


def _to_document(lock: Lock, *, digest: str) -> dict[str, Any]:
    series = ".".join(lock.python.version.split(".")[:2])
    file = _File(
        lock_version="1.0",
        created_by=lock.created_by,
        requires_python=f"=={series}.*",
        environments=[_environment_marker(lock)],
        packages=[_package_entry(package) for package in lock.packages],
        tool=_Tools(
            envcap=_EnvcapEntry(
                format=FORMAT,
                lock_digest=digest,
                name=lock.name,
                created_at=lock.created_at,
                python=lock.python,
                system=lock.system,
                hardware=lock.hardware,
                base=lock.base,
                code=lock.code,
                evaluation=_EvaluationEntry(**msgspec.structs.asdict(lock.declaration), runs=lock.runs),
                data=lock.data,
                gaps=lock.gaps,
            )
        ),
    )
    document: dict[str, Any] = _without_none(msgspec.to_builtins(file))
    return document


def _environment_marker(lock: Lock) -> str:
    return (
        f"sys_platform == 'linux' and platform_machine == '{lock.system.architecture}' "
        f"and implementation_name == '{lock.python.implementation}'"
    )


def _package_entry(package: Package) -> _PackageEntry:
    wheel = package.wheel
    return _PackageEntry(
        name=package.name,
        version=package.version,
        index=package.index,
        wheels=[
            _WheelEntry(
                name=wheel.name,
                url=wheel.url,
                path=wheel.path,
                size=wheel.size,
                hashes={"sha256": wheel.sha256},
            )
        ],
        tool=_PackageTools(
            envcap=_PackageTool(installer=package.installer, requested=package.requested, origin=package.origin)
        ),
    )


def _from_file(file: _File) -> Lock:
    own = file.tool.envcap
    declared = {name: getattr(own.evaluation, name) for name in Declaration.__struct_fields__}
    return Lock(
        name=own.name,
        created_at=own.created_at,
        created_by=file.created_by,
        python=own.python,
        system=own.system,
        hardware=own.hardware,
        base=own.base,
        code=own.code,
        declaration=Declaration(**declared),
        runs=own.evaluation.runs,
        packages=[_from_package(entry) for entry in file.packages],
        data=own.data,
        gaps=own.gaps,
    )


def _from_package(entry: _PackageEntry) -> Package:
    if len(entry.wheels) != 1 or "sha256" not in entry.wheels[0].hashes:
        raise RefusedError(f"`{entry.name}` must have exactly one wheel with a sha256.", hint=_FREEZE_AGAIN)
    wheel = entry.wheels[0]
    return Package(
        name=entry.name,
        version=entry.version,
        index=entry.index,
        wheel=Wheel(name=wheel.name, url=wheel.url, path=wheel.path, size=wheel.size, sha256=wheel.hashes["sha256"]),
        installer=entry.tool.envcap.installer,
        requested=entry.tool.envcap.requested,
        origin=entry.tool.envcap.origin,
    )


def _without_none(value: Any) -> Any:
    """Drop keys whose value is None: TOML has no null."""
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_none(item) for item in value]
    return value
