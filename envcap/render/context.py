"""Lock to build context: every file of it, and the tag. Pure: the same lock gives the same bytes."""

import contextlib
import re
from collections.abc import Sequence
from datetime import datetime, timezone

from envcap.cuda import stack_of
from envcap.errors import NotRunError, RefusedError
from envcap.locales import definition_of, folder_of, locale_variables
from envcap.model.image import Context, ContextFile, Target
from envcap.model.layout import CODE_ARCHIVE, EPOCH, HOME, LOCK_LABEL, OS_PACKAGES, OWNER, TARGET_LABEL, TOOLKIT
from envcap.model.lock import Base, Lock, OsPackage
from envcap.render.conda import conda_files, conda_values
from envcap.render.furnishing import MAKE_USER, USER, image_archive
from envcap.render.layers import ENVIRONMENT, MAKE_ENVIRONMENT, installation_of, layer_files, layer_steps
from envcap.render.quoting import check_variable_name, exec_form, quote_value
from envcap.render.templates import fill

# Docker's reference grammar (distribution/reference): a name of path components, an optional port, a tag.
_REFERENCE = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._-]*(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?"
)
_TIMEZONE = re.compile(r"UTC|[A-Z][A-Za-z_]+(/[A-Za-z0-9_+-]+)+")  # an abbreviation such as CST names several
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def default_tag(lock: Lock, *, lock_sha256: str, target: Target = "eval") -> str:
    """Give the tag of a lock's image where the user names none: it changes whenever the lock does."""
    name = re.sub(r"[^a-z0-9]+", "-", lock.name.lower()).strip("-")
    return f"envcap/{name or 'lock'}:{lock_sha256[:12]}{'' if target == 'eval' else f'-{target}'}"


def render(
    lock: Lock,
    *,
    lock_sha256: str,
    needs_base: bool,
    lock_file: bytes | None = None,
    target: Target = "eval",
    link_scripts: bool = False,
) -> Context:
    """Render the Dockerfile and list the files beside it; without `needs_base`, for an engine that has no images.

    `lock_file` are the lock's own bytes, which an image keeps. The target `serve` leaves out the evaluation's code.
    `link_scripts` lets the scripts of conda packages run, in the build and without a network.

    Raises NotRunError when a base is needed and the lock has no digest of it, RefusedError when a value cannot
    enter a Dockerfile.
    """
    tag = default_tag(lock, lock_sha256=lock_sha256, target=target)
    environment = image_environment(lock, apart=needs_base)
    code = [ContextFile(path=CODE_ARCHIVE, sha256=lock.code.archive)] if target == "eval" else []
    if needs_base:
        values = dockerfile_values(lock, tag=tag, lock_sha256=lock_sha256, target=target)
        files = [
            ContextFile(path="Dockerfile", content=fill("Dockerfile.j2", values).encode()),
            image_archive(lock, lock_file),
            *code,
            *layer_files(lock.packages),
            *_os_package_files(lock),
            *_toolkit_files(lock),
            *conda_files(lock, link_scripts=link_scripts),
        ]
    else:
        files = [*code, *_wheels(lock)]
    return Context(
        epoch=int(moment_of(lock).timestamp()),
        tag=tag,
        lock_sha256=lock_sha256,
        platform=lock.base.platform,
        python=lock.python.version,
        environment=environment,
        files=files,
        installation=installation_of(lock) if needs_base else None,
        unproven=["post-link scripts of conda packages"] if link_scripts and lock.conda_prefix is not None else [],
    )


def moment_of(lock: Lock) -> datetime:
    """Give when the lock was made. Raises RefusedError for what envcap does not write: RFC 3339, UTC, seconds."""
    if _MOMENT.fullmatch(lock.created_at) is not None:
        with contextlib.suppress(ValueError):
            return datetime.strptime(lock.created_at, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    raise RefusedError(f"The lock says that it was made at `{lock.created_at}`, which is no time.")


def image_environment(lock: Lock, *, apart: bool = True) -> dict[str, str]:
    """Give the variables that the evaluation is started with, sorted: the recorded ones, and a plain surrounding.

    Without an image (not `apart`) the locales are those of the machine that it runs on.
    """
    compiled = [] if lock.os_packages is None else lock.os_packages.locales
    surrounding = {
        "HOME": HOME,
        **locale_variables(lock.system, compiled if apart else None),
        "USER": USER,  # so that getpass.getuser works for another user id too, which has no entry
        **({"CONDA_PREFIX": lock.conda_prefix.path} if lock.conda_prefix else {"VIRTUAL_ENV": ENVIRONMENT}),
    }
    if stack_of(lock) is not None:
        # What NVIDIA's container toolkit reads; without them it may hand nothing into the container.
        surrounding |= {"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_DRIVER_CAPABILITIES": "compute,utility"}
    if _TIMEZONE.fullmatch(lock.system.timezone):
        surrounding["TZ"] = lock.system.timezone
    recorded = {name: value for name, value in lock.system.environment.items() if name != "PATH"}  # the image's own
    return dict(sorted({**surrounding, **recorded}.items()))


def _os_package_files(lock: Lock) -> list[ContextFile]:
    """Give the packages, named in the order in which they are installed, and the lists that they are checked by."""
    packages = [] if lock.os_packages is None else lock.os_packages.packages
    if not has_os_layer(lock):
        return []
    names = [f"{number:03}-{package.file}" for number, package in enumerate(packages)]
    sums = "".join(f"{package.sha256}  {name}\n" for package, name in zip(packages, names, strict=True))
    locales = locale_lists(lock)
    told = {
        "epoch": EPOCH,
        "has_os_packages": bool(packages),
        "has_locales": bool(locales),
        "toolkit": lock.toolkit is not None,
    }
    texts = {"install.sh": fill("install.sh.j2", told), **locales}
    if packages:
        texts |= {"SHA256SUMS": sums, **os_package_lists(packages)}
    return [
        *(ContextFile(path=f"{OS_PACKAGES}/{name}", content=text.encode()) for name, text in texts.items()),
        *(
            ContextFile(path=f"{OS_PACKAGES}/{name}", sha256=package.sha256)
            for package, name in zip(packages, names, strict=True)
        ),
    ]


def _toolkit_files(lock: Lock) -> list[ContextFile]:
    """Give what gathers the libraries in NVIDIA's image: the script, and the names of the libraries."""
    if lock.toolkit is None:
        return []
    names = "".join(f"{name}\n" for name in lock.toolkit.libraries)
    texts = {"gather.sh": fill("gather.sh.j2", {"epoch": EPOCH}), "LIBRARIES": names}
    return [ContextFile(path=f"{TOOLKIT}/{name}", content=text.encode()) for name, text in texts.items()]


def os_package_lists(packages: Sequence[OsPackage]) -> dict[str, str]:
    """Give the lists of what is to be there in the end, by file name: `VERSIONS` sorted by bytes, and `NAMES`."""
    versions = sorted(f"{package.name}:{package.architecture}={package.version}\n" for package in packages)
    asked = "".join(f"{package.name}:{package.architecture}\n" for package in packages)
    return {"VERSIONS": "".join(versions), "NAMES": asked}


def locale_lists(lock: Lock) -> dict[str, str]:
    """Give the list of the locales to compile, by file name: of each its definition and folder. Empty without any."""
    locales = [] if lock.os_packages is None else lock.os_packages.locales
    return {"LOCALES": "".join(f"{definition_of(name)} {folder_of(name)}\n" for name in locales)} if locales else {}


def has_os_layer(lock: Lock) -> bool:
    """Tell whether something of the operating system comes on top of the base."""
    found = lock.os_packages is not None and (lock.os_packages.packages or lock.os_packages.locales)
    return bool(found) or lock.toolkit is not None


def _wheels(lock: Lock) -> list[ContextFile]:
    return [ContextFile(path=f"wheels/{package.wheel.name}", sha256=package.wheel.sha256) for package in lock.packages]


def dockerfile_values(lock: Lock, *, tag: str, lock_sha256: str, target: Target) -> dict[str, object]:
    """Give what a Dockerfile is filled with. Raises RefusedError for a value that cannot enter one."""
    environment = image_environment(lock)
    labels = image_labels(lock, lock_sha256=lock_sha256, target=target)
    return {
        "created_by": _one_line(lock.created_by),
        "lock_sha256": lock_sha256,
        "tag": tag,
        "base": base_reference(lock),
        "has_os_packages": bool(lock.os_packages and lock.os_packages.packages),
        "has_os_layer": has_os_layer(lock),
        "toolkit": pinned_reference(lock.toolkit.image) if lock.toolkit is not None else None,
        "conda": conda_values(lock) if lock.conda_prefix is not None else None,
        "prepare": _python("; ".join([MAKE_USER, *([] if lock.conda_prefix is not None else [MAKE_ENVIRONMENT])])),
        "make_user": _python(MAKE_USER),
        "layers": layer_steps(lock.packages),
        "environment": [(check_variable_name(name), quote_value(value)) for name, value in environment.items()],
        "user": OWNER,
        "serve": target == "serve",
        "command": exec_form(lock.declaration.command),
        "labels": [(name, quote_value(value)) for name, value in labels.items()],
    }


def _python(program: str) -> str:
    return exec_form(["python3", "-I", "-B", "-c", program])


def base_reference(lock: Lock) -> str:
    """Give what FROM names: reference and digest. Raises NotRunError without a digest, RefusedError for a bad form."""
    base = lock.base
    if base.digest is None:
        raise NotRunError(
            f"The base image `{base.reference}` was not resolved to a digest when the environment was frozen.",
            hint="Freeze again where a Docker engine or the registry can be reached, or with "
            "`--base IMAGE@sha256:…`; or use `--engine venv`, which needs no base image.",
        )
    return pinned_reference(base)


def pinned_reference(image: Base) -> str:
    """Give reference and digest of an image as FROM names it. Raises RefusedError for a bad form."""
    if _REFERENCE.fullmatch(image.reference) is None or _DIGEST.fullmatch(image.digest or "") is None:
        raise RefusedError(f"`{image.reference}@{image.digest}` is not an image reference with a digest.")
    return f"{image.reference}@{image.digest}"


def image_labels(lock: Lock, *, lock_sha256: str, target: Target) -> dict[str, str]:
    """Give the labels: the OCI image specification's annotations, and ours."""
    labels = {
        "org.opencontainers.image.title": lock.name,
        "org.opencontainers.image.created": lock.created_at,
        "org.opencontainers.image.source": lock.code.repository,
        "org.opencontainers.image.revision": lock.code.commit,
        "org.opencontainers.image.base.name": lock.base.reference,
        "org.opencontainers.image.base.digest": lock.base.digest,
        "dev.envcap.version": lock.created_by,
        LOCK_LABEL: lock_sha256,
        TARGET_LABEL: "" if target == "eval" else target,
    }
    return {name: value for name, value in labels.items() if value}


def _one_line(text: str) -> str:
    return " ".join(text.split())
