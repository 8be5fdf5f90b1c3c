"""Why each package of a lock is there: who requires it, and the tree from the packages nobody pulled in. Pure."""

from collections.abc import Iterable
from typing import Literal

from envcap.model.lock import Package
from envcap.model.struct import Data

Mark = Literal["", "shown", "cycle"]  # why nothing follows below: shown elsewhere already, or above itself


class Branch(Data, frozen=True, kw_only=True):
    """One line of the tree. `last` tells for each level above it, and for itself, whether it is the last there."""

    package: Package
    last: tuple[bool, ...] = ()  # empty for a root
    mark: Mark = ""


def dependants(packages: Iterable[Package]) -> dict[str, list[str]]:
    """Give for each package the names of those that require it, sorted. The edges must stay among the packages."""
    packages = list(packages)
    found: dict[str, list[str]] = {package.name: [] for package in packages}
    for package in sorted(packages, key=lambda package: package.name):
        for name in package.dependencies:
            found[name].append(package.name)
    return found


def roots(packages: Iterable[Package]) -> list[str]:
    """Give the names from which every package can be reached.

    First those that were requested; then those that no package requires, because uv marks none as requested; then,
    of what only requires each other, the first by name.
    """
    by_name = {package.name: package for package in sorted(packages, key=lambda package: package.name)}
    required_by = dependants(by_name.values())
    found: list[str] = []
    reached: set[str] = set()
    for name in [
        *(name for name, package in by_name.items() if package.requested),
        *(name for name in by_name if not required_by[name]),
        *by_name,
    ]:
        if name in reached and not by_name[name].requested:
            continue
        if name not in found:
            found.append(name)
            _reach(name, by_name, reached)
    return found


def tree(packages: Iterable[Package]) -> list[Branch]:
    """Give the tree below the roots, line by line. What is below a package is told once, and cycles are cut."""
    by_name = {package.name: package for package in packages}
    # Not recursive: a lock is someone else's, and its chains may be long.
    waiting: list[tuple[str, tuple[bool, ...], tuple[str, ...]]]
    waiting = [(name, (), ()) for name in reversed(roots(by_name.values()))]
    told: set[str] = set()
    lines = []
    while waiting:
        name, last, above = waiting.pop()
        package = by_name[name]
        if name in above:
            lines.append(Branch(package=package, last=last, mark="cycle"))
        elif name in told and package.dependencies:
            lines.append(Branch(package=package, last=last, mark="shown"))
        else:
            told.add(name)
            lines.append(Branch(package=package, last=last))
            names = package.dependencies
            children = [
                (child, (*last, position == len(names)), (*above, name))
                for position, child in enumerate(names, start=1)
            ]
            waiting += reversed(children)
    return lines


def _reach(start: str, by_name: dict[str, Package], reached: set[str]) -> None:
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += by_name[name].dependencies
