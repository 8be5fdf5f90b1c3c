"""The tables of a lock file, PEP 751's and ours, and a Lock as these tables. Pure; `lockfile.py` reads and writes them.

These two are the only files that know the format.
"""

from typing import Any

import msgspec

from envcap.model.evaluation import Declaration, Run, Seed
from envcap.model.facts import Hardware, Interpreter, System
from envcap.model.gap import Gap
from envcap.model.lock import (
    Base,
    Checkout,
    Code,
    CondaPackage,
    CondaPrefix,
    Confidence,
    Conflict,
    DataInput,
    Derivation,
    Edits,
    Executable,
    Floor,
    Library,
    Lock,
    OsPackages,
    Package,
    Toolkit,
    WatchedFiles,
    Wheel,
)
from envcap.model.numerics import Numerics
from envcap.model.struct import Table

FORMAT = 1  # raised when a reader of the old format could misread the new one


class _PackageTool(Table, frozen=True, kw_only=True):
    installer: str | None = None
    requested: bool = False
    origin: str = "index"
    checkout: Checkout | None = None
    edits: Edits | None = None
    confidence: Confidence = "tags"


class _PackageTools(Table, frozen=True, kw_only=True):
    envcap: _PackageTool = _PackageTool()


class _WheelEntry(Table, frozen=True, kw_only=True):
    name: str
    hashes: dict[str, str]
    url: str | None = None
    path: str | None = None
    size: int | None = None


class _DependencyEntry(Table, frozen=True, kw_only=True):
    name: str


class _PackageEntry(Table, frozen=True, kw_only=True):
    name: str
    version: str
    wheels: list[_WheelEntry]
    dependencies: list[_DependencyEntry] | None = None
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
    derivation: Derivation | None = None
    numerics: Numerics = Numerics()
    settings: dict[str, str] = {}
    seeds: list[Seed] = []
    watched: WatchedFiles = WatchedFiles()
    data: list[DataInput] = []
    conda_prefix: CondaPrefix | None = None
    conda: list[CondaPackage] | None = None  # locks of other environments do not mention it
    conflicts: list[Conflict] = []
    floor: Floor = Floor()
    libraries: list[Library] = []
    executables: list[Executable] = []
    os_packages: OsPackages | None = None
    toolkit: Toolkit | None = None
    gaps: list[Gap] = []


class _Tools(Table, frozen=True, kw_only=True):
    envcap: _EnvcapEntry


class _LockTables(Table, frozen=True, kw_only=True):
    lock_version: str
    created_by: str
    requires_python: str
    environments: list[str]
    packages: list[_PackageEntry]
    tool: _Tools


def to_document(lock: Lock, *, digest: str) -> dict[str, Any]:
    """Give the lock as plain tables in the order in which they are written, without a None."""
    series = ".".join(lock.python.version.split(".")[:2])
    tables = _LockTables(
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
                derivation=lock.derivation,
                numerics=lock.numerics,
                settings=lock.settings,
                seeds=lock.seeds,
                watched=lock.watched,
                data=lock.data,
                conda_prefix=lock.conda_prefix,
                conda=lock.conda or None,
                conflicts=lock.conflicts,
                floor=lock.floor,
                libraries=lock.libraries,
                executables=lock.executables,
                os_packages=lock.os_packages,
                toolkit=lock.toolkit,
                gaps=lock.gaps,
            )
        ),
    )
    document: dict[str, Any] = _plain(msgspec.to_builtins(tables))
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
        dependencies=[_DependencyEntry(name=name) for name in package.dependencies] or None,
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
            envcap=_PackageTool(
                installer=package.installer,
                requested=package.requested,
                origin=package.origin,
                checkout=package.checkout,
                edits=package.edits,
                confidence=package.confidence,
            )
        ),
    )


def from_document(document: dict[str, Any]) -> Lock:
    """Give the lock that plain tables hold. Raises msgspec.ValidationError for an unknown key or a wrong type."""
    file = msgspec.convert(document, _LockTables)
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
        conda_prefix=own.conda_prefix,
        conda=own.conda or [],
        gaps=own.gaps,
        conflicts=own.conflicts,
        derivation=own.derivation,
        floor=own.floor,
        libraries=own.libraries,
        executables=own.executables,
        os_packages=own.os_packages,
        toolkit=own.toolkit,
        numerics=own.numerics,
        settings=own.settings,
        seeds=own.seeds,
        watched=own.watched,
    )


def _from_package(entry: _PackageEntry) -> Package:
    if len(entry.wheels) != 1 or list(entry.wheels[0].hashes) != ["sha256"]:
        raise msgspec.ValidationError(f"`{entry.name}` must have exactly one wheel, and that one a sha256")
    wheel = entry.wheels[0]
    return Package(
        name=entry.name,
        version=entry.version,
        index=entry.index,
        wheel=Wheel(name=wheel.name, url=wheel.url, path=wheel.path, size=wheel.size, sha256=wheel.hashes["sha256"]),
        installer=entry.tool.envcap.installer,
        requested=entry.tool.envcap.requested,
        origin=entry.tool.envcap.origin,
        checkout=entry.tool.envcap.checkout,
        edits=entry.tool.envcap.edits,
        dependencies=tuple(dependency.name for dependency in entry.dependencies or []),
        confidence=entry.tool.envcap.confidence,
    )


def _plain(value: Any) -> Any:
    """Drop keys whose value is None, for TOML has no null; and escape what is no Unicode, as odd file names are."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value
