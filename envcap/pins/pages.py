"""What an index page says about one release: JSON (PEP 691) or HTML (PEP 503) in, offers out. Pure."""

import codecs
import functools
import re
from collections.abc import Sequence
from typing import TypeVar
from urllib.parse import quote, unquote, urldefrag, urljoin, urlsplit

import msgspec

from envcap.errors import NotRunError
from envcap.model.struct import Data
from envcap.redact import strip_credentials
from envcap.trust.lock import is_wheel_name

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
_file_decoder = msgspec.json.Decoder(_File)
_BEGIN = b'{"filename":'
_END = 1 << 16  # bytes at either end of a page where `meta` is
_API_VERSION = re.compile(rb'"api-version"\s*:\s*"([^"]*)"')
_PLAIN_VERSION = re.compile(r"[A-Za-z0-9.+!_]+")


def read_json(page: bytes, *, wanted: Wanted, url: str, index: str | None) -> list[Offer]:
    """Give the wheels of `wanted` on a PEP 691 page that was found at `url`.

    Raises NotRunError when the page is not what the PEP describes.
    """
    files = scan(page, wanted)
    if files is None:
        files = wheels_of(wanted, _parse(page, index))
    return [
        Offer(
            filename=file.filename,
            url=address,
            sha256=_digest(file.hashes.sha256),
            size=file.size if file.size is None or file.size >= 0 else None,
            index=index,
            yanked=_reason(file.yanked),
        )
        for file in files
        if (address := _address(file.url, page=url)) is not None
    ]


def _parse(page: bytes, index: str | None) -> list[_File]:
    """Give every file of a page. Raises as `read_json` does."""
    try:
        project = _decoder.decode(page)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise NotRunError(f"`{index}` cannot be read: its JSON page is not as PEP 691 has it: {error}.") from error
    if project.meta.api_version.partition(".")[0] != "1":
        raise NotRunError(
            f"`{index}` cannot be read: it speaks version {project.meta.api_version} of the Simple API, envcap knows 1."
        )
    return project.files


def scan(page: bytes, wanted: Wanted) -> list[_File] | None:
    """Give the wheels that are spelt exactly as wanted, or None where the page must be parsed to know them.

    A page has all releases of all time, some megabytes, of which one release is a hundredth. Only a page is scanned
    in which every quote is the end of a string, every file's object begins with its name, and the version of the API
    is stated once and known: then what is found is what parsing finds. Where nothing is found, parsing decides.
    """
    if not (_PLAIN_VERSION.fullmatch(wanted.version) and _can_be_scanned(page)):
        return None
    spelt = f"-{wanted.version}-".encode()
    files: list[_File] = []
    place = page.find(spelt)
    while place >= 0:
        start = page.rfind(_BEGIN, 0, place)
        following = page.find(_BEGIN, place)
        # The last object ends where the list does.
        end = page.rfind(b"}", 0, following) + 1 if following >= 0 else page.find(b"}]", place) + 1
        if start < 0 or end <= place:
            return None
        try:
            file = _file_decoder.decode(memoryview(page)[start:end])
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None
        if f"-{wanted.version}-" in file.filename and _is_of(wanted, file.filename):
            files.append(file)
        place = page.find(spelt, end)
    return files or None


def _can_be_scanned(page: bytes) -> bool:
    if not (page.startswith(b"{") and page.endswith(b"}")) or b"\\" in page:
        return False
    versions = {match[1] for part in (page[:_END], page[-_END:]) for match in _API_VERSION.finditer(part)}
    return len(versions) == 1 and versions.pop().partition(b".")[0] == b"1"


def read_html(page: bytes, *, url: str, encoding: str | None, index: str | None) -> list[Offer]:
    """Give every wheel that a page with links offers: a PEP 503 project page or a find-links page.

    Raises NotRunError when it says that it is of a version which we do not know (PEP 629), or cannot be understood.
    """
    from envcap.pins.links import read_links

    offers: list[Offer] = []
    links = read_links(page.decode(_known(encoding), errors="replace"))
    if links.version is not None and links.version.partition(".")[0] != "1":
        raise NotRunError(
            f"`{strip_credentials(url)}` cannot be read: it speaks version {links.version} of the Simple API, "
            "envcap knows 1."
        )
    for link in links.links:
        try:
            # A <base> may be relative itself, to where the page was found.
            start = urljoin(url, links.start) if links.start is not None else url
            address, fragment = urldefrag(urljoin(start, link.target))
            filename = unquote(urlsplit(address).path.rpartition("/")[2])
        except ValueError as error:  # a link that is no URL
            raise NotRunError(f"`{strip_credentials(url)}` cannot be read: {error}.") from error
        target = _address(address, page=url)
        if target is None or not filename.endswith(".whl"):
            continue
        algorithm, _, digest = fragment.partition("=")
        sha256 = _digest(digest) if algorithm == "sha256" else None
        offers.append(Offer(filename=filename, url=target, sha256=sha256, index=index, yanked=link.yanked))
    return offers


def _known(encoding: str | None) -> str:
    """Give a name that can be decoded with: what the server says if Python knows it, else UTF-8, as in pip."""
    try:
        return codecs.lookup(encoding or "utf-8").name
    except LookupError:
        return "utf-8"


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
    from packaging.utils import canonicalize_name

    return canonicalize_name(name) == wanted


@functools.lru_cache(maxsize=4096)
def _same_version(version: str, wanted: str) -> bool:
    from packaging.version import InvalidVersion, Version

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
