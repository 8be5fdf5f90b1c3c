"""Lock to the other build context, for people who want only text: packages are downloaded while it is built. Pure."""

from envcap.errors import NotRunError
from envcap.model.image import Context, ContextFile, Target
from envcap.model.layout import CODE_ARCHIVE, OS_PACKAGES
from envcap.model.lock import Lock
from envcap.render.brought import brought_along, removal_of
from envcap.render.context import (
    default_tag,
    dockerfile_values,
    has_os_layer,
    image_environment,
    locale_lists,
    moment_of,
    os_package_lists,
)
from envcap.render.furnishing import image_archive
from envcap.render.layers import edited_comment
from envcap.render.templates import fill


def render_portable(
    lock: Lock, *, lock_sha256: str, requirements: str, lock_file: bytes | None = None, target: Target = "eval"
) -> Context:
    """Render the Dockerfile and list the files beside it: `requirements`, the code, and the wheels that no index has.

    The same packages come of it as of `render`. Raises NotRunError where a step cannot be written as text, and what
    `render` raises.
    """
    tag = default_tag(lock, lock_sha256=lock_sha256, target=target) + "-portable"
    values = portable_values(lock, tag=tag, lock_sha256=lock_sha256, target=target)
    files = [
        ContextFile(path="Dockerfile", content=fill("Portable.Dockerfile.j2", values).encode()),
        ContextFile(path="requirements.txt", content=requirements.encode()),
        image_archive(lock, lock_file),
        *([ContextFile(path=CODE_ARCHIVE, sha256=lock.code.archive)] if target == "eval" else []),
        *_wheels(lock),
        *_os_package_files(lock),
    ]
    return Context(
        epoch=int(moment_of(lock).timestamp()),
        tag=tag,
        lock_sha256=lock_sha256,
        platform=lock.base.platform,
        python=lock.python.version,
        environment=image_environment(lock),
        files=files,
    )


def portable_dockerfile(lock: Lock, *, lock_sha256: str) -> str:
    """Give the Dockerfile alone. Raises what `render_portable` raises."""
    tag = default_tag(lock, lock_sha256=lock_sha256) + "-portable"
    return fill("Portable.Dockerfile.j2", portable_values(lock, tag=tag, lock_sha256=lock_sha256, target="eval"))


def portable_values(lock: Lock, *, tag: str, lock_sha256: str, target: Target) -> dict[str, object]:
    """Give what the portable template is filled with. Raises what `render_portable` raises."""
    if lock.conda_prefix is not None:
        raise NotRunError(
            "A conda environment has no portable Dockerfile: a program of its own puts its archives into place.",
            hint="`envcap build --output DIR` writes the Dockerfile with the archives beside it; "
            "`envcap export --format conda-explicit` gives them as text for conda itself.",
        )
    if lock.toolkit is not None:
        raise NotRunError(
            f"The image takes CUDA {lock.toolkit.release} from `{lock.toolkit.image.reference}`, and a portable "
            "Dockerfile does not do that.",
            hint="`envcap build --output DIR` writes the Dockerfile that does, with the packages beside it.",
        )
    values = dockerfile_values(lock, tag=tag, lock_sha256=lock_sha256, target=target)
    not_locked = brought_along(lock)
    return {
        **values,
        "has_wheels": bool(_wheels(lock)),
        "not_locked": not_locked,
        "edited": edited_comment(lock.packages),
        "uninstall": removal_of(not_locked),
        "date": _snapshot_date(lock) if values["has_os_packages"] else "",
    }


def _wheels(lock: Lock) -> list[ContextFile]:
    return [
        ContextFile(path=f"wheels/{package.wheel.name}", sha256=package.wheel.sha256)
        for package in lock.packages
        if package.wheel.path is not None
    ]


def _os_package_files(lock: Lock) -> list[ContextFile]:
    packages = [] if lock.os_packages is None else lock.os_packages.packages
    if not has_os_layer(lock):
        return []
    locales = locale_lists(lock)
    told = {"has_os_packages": bool(packages), "has_locales": bool(locales)}
    texts = {"install.sh": fill("install_from_archive.sh.j2", told), **locales}
    if packages:
        texts |= {**os_package_lists(packages), "DATE": f"{_snapshot_date(lock)}\n"}
    return [ContextFile(path=f"{OS_PACKAGES}/{name}", content=text.encode()) for name, text in texts.items()]


def _snapshot_date(lock: Lock) -> str:
    """Give the moment of the freeze as services of dated archives write it: `20240506T070809Z`."""
    return moment_of(lock).strftime("%Y%m%dT%H%M%SZ")
