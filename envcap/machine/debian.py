"""dpkg's database as text: what is installed, what it depends on, which package owns a file. Pure but for `owners`.

Source: deb-control(5), deb-version(7), dpkg-query(1); Debian Policy 7.1 "Syntax of relationship fields".
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from envcap.model.struct import Data

INFO = "/var/lib/dpkg/info"
STATUS = "/var/lib/dpkg/status"
_RELATION = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9+.-]*)(?::(?P<architecture>[a-z0-9-]+))?"
    r"(?:\s*\(\s*(?P<operator><<|<=|=|>=|>>)\s*(?P<version>[^\s)]+)\s*\))?"
)
_FIELDS = ("Package", "Version", "Architecture", "Status", "Depends", "Pre-Depends", "Provides", "Filename", "Size")


class Installed(Data, frozen=True, kw_only=True):
    """One package that dpkg holds as installed. Relations as written."""

    name: str
    version: str
    architecture: str
    depends: str = ""
    provides: str = ""


class Relation(Data, frozen=True, kw_only=True):
    """One alternative of a relationship field."""

    name: str
    operator: str | None = None
    version: str | None = None


def paragraphs(text: str) -> Iterator[dict[str, str]]:
    """Give the paragraphs of a control file; continuation lines are joined to their field with a space."""
    fields: dict[str, str] = {}
    last = ""
    for line in text.splitlines():
        if not line.strip():
            if fields:
                yield fields
            fields, last = {}, ""
        elif line[0] in " \t":
            if last:
                fields[last] += f" {line.strip()}"
        else:
            last, _, value = line.partition(":")
            fields[last] = value.strip()
    if fields:
        yield fields


def read_status(text: str) -> dict[str, Installed]:
    """Give the installed packages by name. Of one name in two architectures the first counts."""
    found: dict[str, Installed] = {}
    for fields in paragraphs(text):
        if fields.get("Status", "").split()[-1:] != ["installed"] or not fields.get("Package"):
            continue
        depends = ", ".join(filter(None, (fields.get("Pre-Depends"), fields.get("Depends"))))
        package = Installed(
            name=fields["Package"],
            version=fields.get("Version", ""),
            architecture=fields.get("Architecture", ""),
            depends=depends,
            provides=fields.get("Provides", ""),
        )
        found.setdefault(package.name, package)
    return found


def relations(field: str) -> list[list[Relation]]:
    """Give a relationship field as groups of alternatives; what is not well-formed is left out."""
    groups = []
    for group in field.split(","):
        alternatives = [_relation(text.strip()) for text in group.split("|")]
        known = [alternative for alternative in alternatives if alternative is not None]
        if known:
            groups.append(known)
    return groups


def _relation(text: str) -> Relation | None:
    match = _RELATION.match(text)
    return Relation(name=match["name"], operator=match["operator"], version=match["version"]) if match else None


def is_met(relation: Relation, installed: Mapping[str, Installed]) -> str | None:
    """Give the name of the installed package that meets a relation, itself or by what it provides; else None."""
    package = installed.get(relation.name)
    if package is not None and _fits(relation, package.version):
        return package.name
    for other in installed.values():
        for group in relations(other.provides) if other.provides else []:
            for provided in group:
                if provided.name == relation.name and (
                    relation.version is None or (provided.version is not None and _fits(relation, provided.version))
                ):
                    return other.name
    return None


def _fits(relation: Relation, version: str) -> bool:
    if relation.operator is None or relation.version is None:
        return True
    order = compare_versions(version, relation.version)
    return {"<<": order < 0, "<=": order <= 0, "=": order == 0, ">=": order >= 0, ">>": order > 0}[relation.operator]


def compare_versions(first: str, second: str) -> int:
    """Order two versions as dpkg does: negative, zero or positive. Source: deb-version(7), "Sorting algorithm"."""
    for one, other in zip(_split(first), _split(second), strict=True):
        if one != other:
            order = _compare_part(one, other)
            if order:
                return order
    return 0


def _split(version: str) -> tuple[str, str, str]:
    epoch, colon, rest = version.partition(":")
    if not colon:
        epoch, rest = "0", version
    upstream, dash, revision = rest.rpartition("-")
    return (epoch, upstream, revision) if dash else (epoch, rest, "")


def _compare_part(first: str, second: str) -> int:
    while first or second:
        for one, other in zip(_letters(first), _letters(second), strict=False):
            if one != other:
                return one - other
        first, second = first.lstrip(_NO_DIGITS), second.lstrip(_NO_DIGITS)
        one_number, first = _number(first)
        other_number, second = _number(second)
        if one_number != other_number:
            return one_number - other_number
    return 0


_NO_DIGITS = "".join(chr(code) for code in range(33, 127) if not chr(code).isdigit())


def _letters(text: str) -> Iterator[int]:
    """Give the order of each character before the first digit, then the end's for ever: `~` is before the end."""
    for character in text:
        if character.isdigit():
            break
        yield -1 if character == "~" else ord(character) if character.isalpha() else ord(character) + 256
    for _ in range(len(text) + 256):
        yield 0


def _number(text: str) -> tuple[int, str]:
    digits = re.match(r"[0-9]*", text)
    length = digits.end() if digits else 0
    return int(text[:length] or "0"), text[length:]


def owners(paths: Iterable[str], *, info: str = INFO) -> dict[str, str]:
    """Give the package that owns each real path, for those that one owns.

    File lists name files by the folders of old (`/lib/…`), which are links today: folders are compared as they really
    are. The owner is the package that lists the file itself, not a link to it.
    """
    wanted: dict[str, set[str]] = {}
    for path in paths:
        wanted.setdefault(os.path.basename(path), set()).add(path)  # noqa: PTH119
    real: dict[str, str] = {}
    found: dict[str, str] = {}
    try:
        lists = sorted(Path(info).glob("*.list"))
    except OSError:
        return {}
    for file in lists:
        try:
            lines = file.read_text(errors="surrogateescape").splitlines()
        except OSError:
            continue
        for line in lines:
            folder, _, name = line.rpartition("/")
            if name in wanted:
                if folder not in real:
                    real[folder] = os.path.realpath(folder)
                path = f"{real[folder]}/{name}"
                if path in wanted[name]:
                    found.setdefault(path, file.stem.partition(":")[0])
    return found
