"""OS packages for a base of another release than this machine: found by their files in the base's own archive.

apt does the asking, verifying and resolving, as this machine is set up to reach archives, but with the base's sources,
keys and installed packages in place of its own (apt.conf(5), "APT_CONFIG"). Which package holds a file is told by the
archive's index of contents (Debian repository format, "Contents" indices).
"""

import gzip
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from envcap.errors import NotRunError
from envcap.machine.archive import Offered, read_addresses, read_records
from envcap.machine.closure import missing_packages
from envcap.machine.debian import Installed, paragraphs, read_status
from envcap.model.gap import Gap
from envcap.model.lock import Executable, Library, OsPackage
from envcap.model.struct import Data
from envcap.process import capture

SOURCES = ("/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list.d/ubuntu.sources", "/etc/apt/sources.list")
KEYRINGS = (
    "/usr/share/keyrings/debian-archive-keyring.gpg",
    "/usr/share/keyrings/debian-archive-keyring.pgp",
    "/usr/share/keyrings/ubuntu-archive-keyring.gpg",
)
_PURPOSE = "Asking the archive of the base image"
_SECONDS = 900.0  # for lists of some ten megabytes
_PIECE = 1 << 22
_LINE = re.compile(r"deb\s+(?:\[[^]]*\]\s+)?(?P<uris>\S+)\s+(?P<suites>\S+)\s+(?P<components>.+)")
# Of packages for all processors there is another list, three times as long: they hold no libraries.
_TARGET = "Acquire::IndexTargets::deb::Contents-deb"
_CONTENTS = (
    _TARGET
    + """ {
  MetaKey "$(COMPONENT)/Contents-ARCHITECTURE";
  ShortDescription "Contents";
  Description "$(RELEASE)/$(COMPONENT) Contents";
  flatMetaKey "Contents-ARCHITECTURE";
  KeepCompressed "true";
  KeepCompressedAs "gz";
  DefaultEnabled "true";
  Identifier "Contents-deb";
};
"""
)


class Wish(Data, frozen=True, kw_only=True):
    """A package of this machine whose files the image needs: the paths by which its own release may have them."""

    package: str
    version: str
    why: str
    paths: list[str]


class BaseArchive(Data, frozen=True, kw_only=True):
    """What the base says of itself: its sources, the keys of its archive where they were found, its `status` file."""

    release: str
    sources: str
    status: bytes
    keyring: bytes | None = None


def wishes_of(
    wanted: Mapping[str, str], installed: Mapping[str, Installed], owned: Iterable[Library | Executable]
) -> list[Wish]:
    """Give for each package, which maps to what needs it, the files of it that were seen: by their sonames too."""
    paths: dict[str, list[str]] = {name: [] for name in wanted}
    for item in owned:
        if item.package in paths and item.path:
            folder, _, file = item.path.rpartition("/")
            names = (item.name.rpartition("/")[2], file)
            paths[item.package] += [f"{folder}/{name}".lstrip("/") for name in names]
    return [
        Wish(package=name, version=installed[name].version, why=why, paths=list(dict.fromkeys(paths[name])))
        for name, why in sorted(wanted.items())
        if name in installed
    ]


def resolve_elsewhere(
    wishes: Sequence[Wish], archive: BaseArchive, *, architecture: str, environ: Mapping[str, str]
) -> tuple[list[OsPackage], list[Gap]]:
    """Give the files that the image gets on top of its base, in the order in which they can be installed.

    Each is of the base's release, which is told as a Gap, as is what that release does not have, and a list of contents
    that cannot be read. Raises NotRunError where its archive cannot be asked.
    """
    with _apt_of(archive, architecture=architecture, environ=environ) as env:
        failure = _update(env)
        lists = _apt(["apt-get", "indextargets", "--format", "$(FILENAME)", "Identifier: Contents-deb"], env)
        needles = {path for wish in wishes for path in wish.paths}
        owners = find_owners((_open_pieces(Path(name)) for name in lists.split() if not failure), needles)
        found = {wish.package: _owner(wish, owners) for wish in wishes}
        there = {name for name, _ in read_records(_apt(["apt-cache", "show", *set(found.values())], env))}
        words = ["apt-get", "install", "--print-uris", "-qq", "-y", *sorted(there)]
        offers = read_addresses(_apt(words, env)) if there else {}
        records = read_records(_apt(["apt-cache", "show", *offers], env)) if offers else {}
    known = {name: records[name, offer.version] for name, offer in offers.items() if (name, offer.version) in records}
    wanted = {found[wish.package]: wish.why for wish in wishes}
    chosen = missing_packages(wanted, host=known, base=read_status(archive.status.decode(errors="replace")))
    gaps = [_told(wish, found[wish.package], offers.get(found[wish.package]), archive.release) for wish in wishes]
    gaps += [_only_names(wishes, archive.release, failure)] if failure else []
    return [_os_package(offers[name], why) for name, why in chosen.items()], gaps


def read_sources(text: str) -> str:
    """Give the sources of packages in a text of either form (sources.list(5)) as one-line entries without options.

    What is not on the web, or is in no known form, is left out.
    """
    stanzas = (fields for fields in paragraphs(text) if "deb" in fields.get("Types", "").split())
    entries = [
        (fields.get("URIs", ""), fields.get("Suites", ""), fields.get("Components", ""))
        for fields in stanzas
        if fields.get("Enabled", "yes") != "no"
    ]
    lines = (_LINE.fullmatch(line.partition("#")[0].strip()) for line in text.splitlines())
    entries += [(line["uris"], line["suites"], line["components"]) for line in lines if line]
    return "".join(
        f"deb {address} {suite} {' '.join(components.split())}\n"
        for addresses, suites, components in entries
        for address in addresses.split()
        for suite in suites.split()
        if urlsplit(address).scheme in {"http", "https"}
    )


def find_owners(files: Iterable[Iterator[bytes]], paths: Iterable[str]) -> dict[str, str]:
    """Give the package that holds each path, of the lists of contents that these pieces of bytes make up.

    Paths have no leading slash; `/usr` is taken for the root's own, because releases differ in it. Of several packages
    the first counts.
    """
    needles = {path.strip("/").removeprefix("usr/").encode(): path for path in paths}
    found: dict[str, str] = {}
    for pieces in files:
        rest = b""
        for piece in pieces:
            whole, _, rest = (rest + piece).rpartition(b"\n")
            text = b"\n" + whole + b"\n"
            for needle, path in needles.items():
                owner = _find_owner(text, needle)  # a plain search is far faster than a pattern
                if owner is not None:
                    found.setdefault(path, owner)
    return found


def _find_owner(text: bytes, needle: bytes) -> str | None:
    start = text.find(needle)
    while start >= 0:
        before = text[text.rfind(b"\n", 0, start) + 1 : start]
        words = text[start + len(needle) : text.find(b"\n", start)]
        if before in {b"", b"usr/"} and words[:1].isspace() and len(words.split()) == 1:
            return words.split()[0].decode(errors="replace").partition(",")[0].rpartition("/")[2]
        start = text.find(needle, start + 1)
    return None


def _open_pieces(path: Path) -> Iterator[bytes]:
    with gzip.open(path, "rb") as file:
        while piece := file.read(_PIECE):
            yield piece
    yield b"\n"


def _owner(wish: Wish, owners: Mapping[str, str]) -> str:
    """Give the package that has one of the files there, else the one of the same name."""
    return next((owners[path] for path in wish.paths if path in owners), wish.package)


@contextmanager
def _apt_of(archive: BaseArchive, *, architecture: str, environ: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Give the environment in which apt sees the base's archive and packages. Nothing of it stays."""
    sources = read_sources(archive.sources)
    if not sources:
        raise NotRunError("The base image names no archive of packages.")
    with tempfile.TemporaryDirectory(prefix="envcap-apt-") as name:
        root = Path(name)
        for folder in ("lists/partial", "cache/archives/partial", "preferences", "sources", "keys"):
            (root / folder).mkdir(parents=True)
        (root / "sources.list").write_text(sources)
        (root / "status").write_bytes(archive.status)
        settings = {
            "Acquire::ForceHash": "sha256",
            "APT::Architecture": architecture,
            "APT::Architectures": architecture,
            "APT::Install-Recommends": "false",
            "APT::Sandbox::User": "root",
            "Dir::Etc::sourcelist": f"{root}/sources.list",
            "Dir::Etc::sourceparts": f"{root}/sources",
            "Dir::Etc::preferences": f"{root}/none",
            "Dir::Etc::preferencesparts": f"{root}/preferences",
            "Dir::State::lists": f"{root}/lists",
            "Dir::State::extended_states": f"{root}/none",
            "Dir::State::status": f"{root}/status",
            "Dir::Cache": f"{root}/cache",
        }
        if archive.keyring is not None:
            armored = archive.keyring.startswith(b"-----BEGIN")
            (root / "keys" / f"base.{'asc' if armored else 'gpg'}").write_bytes(archive.keyring)
            settings["Dir::Etc::trustedparts"] = f"{root}/keys"
        text = "".join(f'{key} "{value}";\n' for key, value in settings.items())
        (root / "apt.conf").write_text(text + _CONTENTS.replace("ARCHITECTURE", architecture))
        yield {**environ, "APT_CONFIG": f"{root}/apt.conf", "LC_ALL": "C"}


def _update(env: Mapping[str, str]) -> str | None:
    """Fetch the archive's lists: of packages, or raise; of contents, or give why not.

    A mirror that is being updated serves large lists which do not fit the archive's signed digests, for hours at times.
    """
    try:
        _apt(["apt-get", "update", "-qq"], env, check=True)
    except NotRunError as error:
        _apt(["apt-get", "update", "-qq", "-o", f"{_TARGET}::DefaultEnabled=false"], env, check=True)
        lines = (line.strip() for line in error.message.splitlines())
        return next((line for line in lines if line.startswith("E: ")), error.message).removeprefix("E: ")
    return None


def _apt(command: Sequence[str], env: Mapping[str, str], *, check: bool = False) -> str:
    done = capture(command, purpose=_PURPOSE, env=env, check=check, timeout=_SECONDS)
    return done.stdout.decode(errors="replace")


def _os_package(offer: Offered, why: str) -> OsPackage:
    return OsPackage(
        name=offer.name,
        version=offer.version,
        architecture=offer.architecture,
        file=offer.file,
        sha256=offer.sha256,
        size=offer.size,
        url=offer.url,
        why=why,
    )


def _told(wish: Wish, name: str, offer: Offered | None, release: str) -> Gap:
    if offer is None:
        return Gap(
            where="os-packages",
            subject=wish.package,
            reason=f"{release}, the base's release, has no package with {wish.why}",
            consequence="it is not in the image, and the evaluation will miss it there",
        )
    return Gap(
        where="os-packages",
        subject=wish.package,
        reason=f"{wish.why} comes with {name} {offer.version} in {release}, the base's release, "
        f"and with {wish.package} {wish.version} here",
        consequence="the image has another version than the frozen runs used; a base of this machine's release has it",
    )


def _only_names(wishes: Sequence[Wish], release: str, failure: str) -> Gap:
    return Gap(
        where="os-packages",
        subject=", ".join(wish.package for wish in wishes),
        reason=f"the list of what is in the packages of {release} could not be read: {failure}",
        consequence="they were looked for by their names only; one that is called otherwise there was not found",
    )
