"""Whether a base image is new enough for the compiled packages: its C and its C++ library. Pure, but for a table."""

import re
import sys
from collections.abc import Iterable, Mapping

from envcap.machine.debian import Installed, compare_versions
from envcap.model.gap import Gap
from envcap.model.lock import Base, Floor, OsPackage
from envcap.resources import template_folder

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# The newest symbol versions of the libstdc++ that came with a release of GCC (GCC manual, "ABI Policy and Guidelines").
_OF_GCC = {
    5: ("3.4.21", "1.3.9"),
    6: ("3.4.22", "1.3.10"),
    7: ("3.4.24", "1.3.11"),
    8: ("3.4.25", "1.3.11"),
    9: ("3.4.28", "1.3.12"),
    10: ("3.4.28", "1.3.12"),
    11: ("3.4.29", "1.3.13"),
    12: ("3.4.30", "1.3.13"),
    13: ("3.4.32", "1.3.14"),
    14: ("3.4.33", "1.3.15"),
    15: ("3.4.34", "1.3.16"),
}


def floor_gaps(
    floor: Floor, base: Base, packages: Mapping[str, Installed] | None, *, added: Iterable[OsPackage] = ()
) -> list[Gap]:
    """Tell each library of the base that is too old for the packages: they would not even load.

    `packages` are the base's, None where they could not be read; `added` come on top of it.
    """
    versions = {name: package.version for name, package in (packages or {}).items()}
    versions |= {package.name: package.version for package in added}
    glibc = versions.get("libc6") or glibc_of_suite(base.reference)
    newest = _OF_GCC.get(_major(versions.get("libstdc++6", "")))
    pairs = [("glibc", floor.glibc, glibc)]
    if newest is not None:
        pairs += [("GLIBCXX", floor.glibcxx, newest[0]), ("CXXABI", floor.cxxabi, newest[1])]
    return [
        Gap(
            where="base",
            subject=base.reference,
            reason=f"compiled packages ask for {name} {needed}, and the base has {held}",
            consequence="they will not load in the image; freeze with a newer base: `--base IMAGE`",
        )
        for name, needed, held in pairs
        if needed is not None and held is not None and compare_versions(held, needed) < 0
    ]


def _major(version: str) -> int:
    match = re.match(r"(?:[0-9]+:)?([0-9]+)\.", version)
    return int(match[1]) if match else 0


def glibc_of_suite(reference: str) -> str | None:
    """Give the C library's version of an official image, by the suite in its name; None for another."""
    suites = tomllib.loads((template_folder() / "bases.toml").read_text())["suite"]
    return next((str(suite["glibc"]) for suite in suites if reference.endswith(f"-{suite['codename']}")), None)
