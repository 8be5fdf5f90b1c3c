"""Where each distribution came from, by what its installer noted down. Pure: only Facts are looked at."""

from pathlib import PurePosixPath
from typing import Literal
from urllib.parse import unquote, urlsplit

from envcap.model.facts import DirectUrl, Distribution
from envcap.model.gap import NOT_IN_IMAGE, Gap
from envcap.redact import strip_credentials

Kind = Literal["index", "archive", "local", "built", "conda", "editable", "system", "unrecorded"]

_SYSTEM_INSTALLERS = {"debian", "rpm", "apk", "portage"}


def classify(distribution: Distribution) -> Kind:
    """Tell what to do with a distribution.

    `index`: ask the indexes. `archive` and `local`: a wheel from a URL or a file. `built`: made on this machine from
    source. `conda`: its direct_url.json is of the machine that built it. `editable`: used from its source tree.
    `system` (the operating system's packages) and `unrecorded` (no list of its files) cannot become a wheel.
    """
    origin = distribution.direct_url
    if distribution.layout == "egg-link" or (origin is not None and origin.editable):
        return "editable"
    if distribution.installer in _SYSTEM_INSTALLERS or _is_of_the_system(PurePosixPath(distribution.path)):
        return "system"
    if distribution.layout != "dist-info":
        return "unrecorded"
    if distribution.installer == "conda":
        return "conda"
    if distribution.built_here:
        return "built"
    return "index" if origin is None else _classify_origin(origin)


def _classify_origin(origin: DirectUrl) -> Kind:
    if origin.vcs is not None or origin.directory or not wheel_name(origin.url).endswith(".whl"):
        return "built"
    return {"file": "local", "http": "archive", "https": "archive"}.get(urlsplit(origin.url).scheme, "built")  # type: ignore[return-value]


def wheel_name(url: str) -> str:
    """Give the file name at the end of a URL, decoded."""
    return unquote(urlsplit(url).path.rpartition("/")[2])


def describe_origin(distribution: Distribution) -> str:
    """Give what the distribution was made from, free of credentials, for the reason of a Gap."""
    origin = distribution.direct_url
    if origin is None:
        return "a source distribution"
    if urlsplit(origin.url).scheme == "file":
        return "a folder of this machine" if origin.directory else "a file of this machine"
    commit = f" at commit {origin.commit}" if origin.commit else ""
    return f"{strip_credentials(origin.url)}{commit}"


def address_of(url: str | None) -> str | None:
    """Give the address of a repository without credentials; None where it is a folder of this machine."""
    is_local = url is None or url.startswith(("/", ".", "~")) or urlsplit(url).scheme in {"file", "git+file"}
    return None if is_local or url is None else strip_credentials(url)


def subject(distribution: Distribution) -> str:
    """Give the name under which a Gap speaks of a distribution."""
    return f"{distribution.name}=={distribution.version}"


def not_carried(distribution: Distribution, kind: Kind) -> Gap:
    """Give the Gap for a distribution that cannot become a wheel."""
    reason, consequence = {
        "system": (
            "the operating system's package manager installed it, and nothing tells which files are its own",
            f"{NOT_IN_IMAGE} unless the base image brings it, perhaps in another version",
        ),
        "unrecorded": (
            "its installer left no list of its files (egg-info without RECORD), and no index offers just these",
            f"{NOT_IN_IMAGE}; reinstall it with pip to have it pinned",
        ),
    }[kind]
    return Gap(where="packages", subject=subject(distribution), reason=reason, consequence=consequence)


def _is_of_the_system(path: PurePosixPath) -> bool:
    """Tell whether the path is Debian's folder for its own packages; /usr/local has what an administrator installed."""
    return path.parent.name == "dist-packages" and path.parts[:3] != ("/", "usr", "local")
