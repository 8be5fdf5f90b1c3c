"""What an index page says about one release: JSON (PEP 691) or HTML (PEP 503) in, offers out. Pure."""

import functools
from collections.abc import Sequence
from typing import Any, TypeVar
from urllib.parse import quote, unquote, urldefrag, urljoin, urlsplit

import msgspec
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from envcap.errors import NotRunError
from envcap.model.struct import Data
from envcap.redact import strip_credentials
from envcap.trust import is_wheel_name

JSON = "application/vnd.pypi.simple.v1+json"
_ADDRESS = "".join(map(chr, range(33, 127)))  # all else must be percent-encoded in a URL (RFC 3986)
ACCEPT = f"{JSON}, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01"


class Offer(Data, frozen=True, kw_only=True):
    """One wheel that an index or a find-links place offers.

    `url` is absolute with the place's own percent-encoding, `index` the credential-free address of the index (None
    for find-links), `size` in bytes. `yanked` is the reason of a file that was withdrawn (PEP 592), "" where none
    is given.
    """

    filename: str
    url: str
    sha256: str | None = None
    size: int | None = None
    index: str | None = None
    yanked: str | None = None

    @property
    def local(self) -> bool:
        """Whether the file is on this machine's file system."""
        return self.url.startswith("file:")


class Wanted(Data, frozen=True, kw_only=True):
    """One release: the project's normalised name and the version as its metadata spells it."""

    name: str
    version: str


class _Hashes(msgspec.Struct, gc=False):
    sha256: str | None = None


class _File(msgspec.Struct, gc=False):
    filename: str
    url: str
    hashes: _Hashes
    size: int | None = None
    yanked: bool | str = False


class _Meta(msgspec.Struct, frozen=True, rename="kebab"):
    api_version: str = "1.0"


class _Project(msgspec.Struct):
    files: list[_File]
    meta: _Meta = _Meta()


_Listed = TypeVar("_Listed", _File, Offer)
_decoder = msgspec.json.Decoder(_Project)


def read_json(page: bytes, *, wanted: Wanted, url: str, index: str | None) -> list[Offer]:
    """Give the wheels of `wanted` on a PEP 691 page that was found at `url`.

    Raises NotRunError when the page is not what the PEP describes.
    """
    try:
        project = _decoder.decode(page)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise NotRunError(f"`{index}` cannot be read: its JSON page is not as PEP 691 has it: {error}.") from error
    if project.meta.api_version.partition(".")[0] != "1":
        raise NotRunError(
            f"`{index}` cannot be read: it speaks version {project.meta.api_version} of the Simple API, envcap knows 1."
        )
    return [
        Offer(
            filename=file.filename,
            url=address,
            sha256=_digest(file.hashes.sha256),
            size=file.size if file.size is None or file.size >= 0 else None,
            index=index,
            yanked=_reason(file.yanked),
        )
        for file in wheels_of(wanted, project.files)
        if (address := _address(file.url, page=url)) is not None
    ]


def read_html(page: bytes, *, url: str, encoding: str | None, index: str | None) -> list[Offer]:
    """Give every wheel that a page with links offers: a PEP 503 project page or a find-links page.

    Raises NotRunError when it says that it is of a version which we do not know (PEP 629), or cannot be understood.
    """
    from pypi_simple import UnsupportedRepoVersionError
    from pypi_simple.html import RepositoryPage

    try:
        links = RepositoryPage.from_html(page, base_url=url, from_encoding=encoding).links
    except (UnsupportedRepoVersionError, ValueError, RecursionError) as error:  # ValueError: a link that is no URL
        raise NotRunError(f"`{strip_credentials(url)}` cannot be read: {error}.") from error
    offers: list[Offer] = []
    for link in links:
        address, fragment = urldefrag(link.url)
        target = _address(address, page=url)
        filename = unquote(urlsplit(address).path.rpartition("/")[2])
        if target is None or not filename.endswith(".whl"):
            continue
        algorithm, _, digest = fragment.partition("=")
        sha256 = _digest(digest) if algorithm == "sha256" else None
        yanked = _attribute(link.attrs, "data-yanked")
        offers.append(Offer(filename=filename, url=target, sha256=sha256, index=index, yanked=yanked))
    return offers


def wheels_of(wanted: Wanted, files: Sequence[_Listed]) -> list[_Listed]:
    """Give those of `files` whose name says that they are wheels of the wanted release.

    The name of a wheel is `name-version[-build]-python-abi-platform.whl`. A project may have thousands, so a version
    is parsed only where none is spelt exactly as wanted.
    """
    spelt = f"-{wanted.version}-"
    exact = [file for file in files if spelt in file.filename and _is_of(wanted, file.filename)]
    return exact or [file for file in files if _is_of(wanted, file.filename)]


def _is_of(wanted: Wanted, filename: str) -> bool:
    if not is_wheel_name(filename):
        return False
    name, _, rest = filename.partition("-")
    return _same_name(name, wanted.name) and _same_version(rest.partition("-")[0], wanted.version)


@functools.lru_cache(maxsize=4096)
def _same_name(name: str, wanted: str) -> bool:
    return canonicalize_name(name) == wanted


@functools.lru_cache(maxsize=4096)
def _same_version(version: str, wanted: str) -> bool:
    try:
        return Version(version.replace("_", "-")) == Version(wanted)
    except InvalidVersion:
        return False


def _digest(text: str | None) -> str | None:
    """Give a sha256 in lower-case hex, or None for anything else."""
    if text is None or len(text) != 64 or not set(text.lower()) <= set("0123456789abcdef"):
        return None
    return text.lower()


def _address(url: str, *, page: str) -> str | None:
    """Give the absolute address of a link, or None where it leads nowhere that its page may send us.

    Only a page on this machine may name files of this machine.
    """
    try:
        address = url if url.startswith(("https://", "http://")) else urljoin(page, url)
        parts = urlsplit(address)
        _ = parts.port  # a wrong port is only noticed when it is asked for
    except ValueError:
        return None
    if parts.scheme == "file":
        return address if page.startswith("file:") else None
    return quote(address, safe=_ADDRESS) if parts.scheme in {"http", "https"} else None


def _reason(yanked: object) -> str | None:
    return None if yanked is False else yanked if isinstance(yanked, str) else ""


def _attribute(attributes: Any, name: str) -> str | None:
    return str(attributes[name] or "") if name in (attributes or {}) else None
