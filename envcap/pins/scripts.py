"""Scripts as installers change them: made from entry points, or with another first line. It reads the environment."""

import configparser
import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path

from envcap.pins.record import Rows, encode_digest
from envcap.regular import read_regular

_LARGEST_ENTRY_POINTS, _LARGEST_SCRIPT = 1 << 22, 1 << 24  # bytes
# What pip, uv and distlib put where a path is too long for a `#!` line.
_SHELL_SHEBANG = re.compile(rb"#!/bin/sh\n'''exec' [^\n]*python[^\n]*\n' '''\n")
_SHEBANG = re.compile(rb"#![^\n]*python[^\n]*\n")
# The first lines of a wheel's scripts that installers replace (PEP 427), as they are written in practice.
_FIRST_LINES = (b"#!python\n", b"#!pythonw\n", b"#!python3\n", b"#!python\r\n")

Rewritten = Mapping[str, frozenset[str]]  # of a script, by its row: the digests that it may have had in its wheel


def made_scripts(metadata: Path) -> set[str]:
    """Give the names of scripts that installers make from entry_points.txt."""
    parser = configparser.ConfigParser(delimiters=("=",), strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign] # names keep their case
    try:
        parser.read_string(read_regular(metadata / "entry_points.txt", limit=_LARGEST_ENTRY_POINTS).decode())
    except (configparser.Error, UnicodeDecodeError, OSError):
        return set()
    sections = ("console_scripts", "gui_scripts")
    return {name for section in sections if parser.has_section(section) for name in parser.options(section)}


def with_plain_shebang(content: bytes) -> bytes:
    """Give a script with the first line that it has in a wheel, in place of the one that names an interpreter."""
    for pattern in (_SHELL_SHEBANG, _SHEBANG):
        if pattern.match(content):
            content = pattern.sub(b"#!python\n", content, count=1)
    return content


def rewritten_scripts(metadata: Path, rows: Rows) -> Rewritten:
    """Give the scripts of `rows` whose first line an installer may have written, with what they may have been before.

    Of one that was changed since nothing is known.
    """
    found: dict[str, frozenset[str]] = {}
    for row, digest in rows.items():
        if row.startswith(("../", "/")) and digest and os.path.basename(os.path.dirname(row)) == "bin":  # noqa: PTH119, PTH120
            before = _before(metadata.parent / row, digest)
            if before is not None:
                found[row] = before
    return found


def _before(path: Path, digest: str) -> frozenset[str] | None:
    """Give the digests that a script may have had; None where it has no first line that an installer writes."""
    try:
        content = read_regular(path, limit=_LARGEST_SCRIPT)
    except (OSError, ValueError):
        return None
    plain = with_plain_shebang(content)
    if not plain.startswith(_FIRST_LINES[0]):
        return None
    if encode_digest(hashlib.sha256(content).digest()) != digest.rstrip("="):
        return frozenset()
    body = plain.removeprefix(_FIRST_LINES[0])
    return frozenset(encode_digest(hashlib.sha256(first + body).digest()) for first in _FIRST_LINES)
