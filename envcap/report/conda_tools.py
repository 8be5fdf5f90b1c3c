"""A lock as the lock files of conda-lock and pixi, written by their own libraries: the extra `envcap[conda]`."""

import hashlib
import re
import tempfile
from pathlib import Path
from typing import NoReturn

from envcap.errors import NotRunError
from envcap.model.lock import CondaPackage, Lock
from envcap.report.conda import conda_platform, require_conda

_ENVIRONMENT = "default"


def describe_conda_lock(lock: Lock) -> str:
    """Give a conda-lock.yml through the models of conda-lock 4, without its solver.

    Raises NotRunError without the extra, and where a package has no md5 or no address: the format demands them.
    """
    require_conda(lock)
    try:
        from conda_lock.lockfile import write_conda_lock_file
        from conda_lock.lockfile.v1.models import HashModel, LockMeta
        from conda_lock.lockfile.v2prelim.models import LockedDependency, Lockfile
        from conda_lock.models.channel import Channel
    except ImportError as error:
        _miss("conda-lock", error)
    unfit = [package.name for package in lock.conda if package.md5 is None or package.url is None]
    if unfit:
        raise NotRunError(
            f"conda-lock wants an address and an md5 of every package; `{unfit[0]}` lacks one of them.",
            hint="`envcap export --format conda-explicit` needs neither.",
        )
    _require_addresses(lock, "conda-lock.yml")
    platform = conda_platform(lock)
    packages = [
        LockedDependency(
            name=package.name,
            version=package.version,
            manager="conda",
            platform=platform,
            dependencies=_dependencies(package),
            url=package.url or "",
            hash=HashModel(md5=package.md5, sha256=package.sha256),
            build=package.build,
            categories={"main"},
        )
        for package in lock.conda
    ]
    packages += [
        LockedDependency(
            name=package.name,
            version=package.version,
            manager="pip",
            platform=platform,
            dependencies=dict.fromkeys(package.dependencies, "*"),
            url=package.wheel.url or "",
            hash=HashModel(sha256=package.wheel.sha256),
            categories={"main"},
        )
        for package in lock.packages
    ]
    meta = LockMeta(
        content_hash={platform: _content_hash(lock)},
        channels=[Channel(url=channel, used_env_vars=frozenset()) for channel in _channels(lock)],
        platforms=[platform],
        sources=[],
        custom_metadata={"written_by": lock.created_by, "lock": lock.name},
    )
    with tempfile.TemporaryDirectory(prefix="envcap-export-") as folder:
        path = Path(folder, "conda-lock.yml")
        write_conda_lock_file(Lockfile(package=packages, metadata=meta), path, metadata_choices=None)
        return path.read_text(encoding="utf-8")


def describe_pixi_lock(lock: Lock) -> str:
    """Give a pixi.lock as py-rattler writes it. Raises NotRunError without the extra, and where a file has no address.

    py-rattler takes no digests of wheels: they are put in where pixi has them, and nothing else is touched.
    """
    require_conda(lock)
    try:
        from rattler import BuildString, LockChannel, LockFile, LockPlatform, PackageRecord, RepoDataRecord
    except ImportError as error:
        _miss("py-rattler", error)
    unfit = [package.name for package in lock.conda if package.url is None]
    if unfit:
        raise NotRunError(
            f"pixi.lock wants the address of every archive; that of `{unfit[0]}` is only beside the lock.",
            hint="`envcap export --format conda-explicit` can name it.",
        )
    _require_addresses(lock, "pixi.lock")
    virtual = lock.conda_prefix.virtual_packages if lock.conda_prefix is not None else []
    platform = LockPlatform(conda_platform(lock), virtual_packages=virtual)
    file = LockFile([platform])
    file.set_channels(_ENVIRONMENT, [LockChannel(channel) for channel in _channels(lock)])
    for package in lock.conda:
        record = PackageRecord(
            name=package.name,
            version=package.version,
            build=BuildString.new_unchecked(package.build),
            build_number=package.build_number,
            subdir=package.subdir,
            noarch=package.noarch,  # type: ignore[arg-type]  # checked when the lock was read
            depends=package.depends,
            constrains=package.constrains,
            sha256=bytes.fromhex(package.sha256),
            md5=bytes.fromhex(package.md5) if package.md5 else None,
            size=package.size,
        )
        located = RepoDataRecord(record, package.file, package.url or "", package.channel)
        file.add_conda_package(_ENVIRONMENT, platform, located)
    for one in lock.packages:
        file.add_pypi_package(_ENVIRONMENT, platform, one.name, one.version, one.wheel.url or "")
    with tempfile.TemporaryDirectory(prefix="envcap-export-") as folder:
        path = Path(folder, "pixi.lock")
        file.to_path(path)
        text = path.read_text(encoding="utf-8")
    for one in lock.packages:
        block = rf"(?m)^(- pypi: {re.escape(one.wheel.url or '')}\n  name: .*\n  version: .*\n)"
        text = re.sub(block, rf"\g<1>  sha256: '{one.wheel.sha256}'\n", text)
    return text


def _require_addresses(lock: Lock, form: str) -> None:
    """Raise NotRunError for a wheel that is only beside the lock: whoever installs the file would lack it."""
    unfit = [package.name for package in lock.packages if package.wheel.url is None]
    if unfit:
        raise NotRunError(
            f"{form} wants the address of every wheel; that of `{unfit[0]}` is only beside the lock.",
            hint="`envcap export --format conda-explicit` writes conda's packages, and `--format requirements` pip's.",
        )


def _channels(lock: Lock) -> list[str]:
    return list(dict.fromkeys(package.channel for package in lock.conda))


def _content_hash(lock: Lock) -> str:
    """Give what stands for the specs that a solver would have read: here they are the archives themselves."""
    return hashlib.sha256("\n".join(package.sha256 for package in lock.conda).encode()).hexdigest()


def _dependencies(package: CondaPackage) -> dict[str, str]:
    """Give the name and the rest of each spec; what only a virtual package answers is no package of the file."""
    words = (spec.partition(" ") for spec in package.depends)
    return {name: rest for name, _, rest in words if not name.startswith("__")}


def _miss(library: str, error: ImportError) -> NoReturn:
    raise NotRunError(
        f"This format is written with `{library}`, which is not installed beside envcap.",
        hint="Install the extra: `pip install 'envcap[conda]'`.",
    ) from error
