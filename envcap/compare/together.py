"""Which package changes can be made without which others, by the requirements in the packages' metadata. Pure.

Each package is in its old or its new state, so a requirement forbids at most some pairs of states, and every such pair
reads "this change needs that one": what can be installed is told without resolving or running anything.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from envcap.model.lock import Move


class Side(NamedTuple):
    """The packages of one lock: versions, and requirements as their metadata has them, both by normalised name."""

    versions: Mapping[str, str]
    requires: Mapping[str, Sequence[str]]


class Needs(NamedTuple):
    """`of[a][b]` says in words why the change of `a` cannot be made without that of `b`."""

    of: dict[str, dict[str, str]]

    def closure(self, name: str) -> frozenset[str]:
        """Give all changes that this one needs, itself among them."""
        found: set[str] = set()
        waiting = [name]
        while waiting:
            one = waiting.pop()
            if one not in found:
                found.add(one)
                waiting += self.of.get(one, {})
        return frozenset(found)


def find_needs(moves: Sequence[Move], good: Side, bad: Side, *, markers: Mapping[str, str]) -> Needs:
    """Give what each change needs. A requirement that one of the locks does not meet itself binds nothing."""
    changed = {move.package for move in moves}
    needs: dict[str, dict[str, str]] = {name: {} for name in sorted(changed)}
    for name in sorted(changed):
        for required in _applying(bad.requires.get(name, ()), markers):
            other = str(canonicalize_name(required.name))
            if other in changed and _meets(required, bad.versions) and not _meets(required, good.versions):
                needs[name][other] = f"{name} {bad.versions[name]} requires {required}"
        for required in _applying(good.requires.get(name, ()), markers):
            other = str(canonicalize_name(required.name))
            if other in changed and _meets(required, good.versions) and not _meets(required, bad.versions):
                needs[other][name] = f"{name} {good.versions[name]} requires {required}"
    return Needs(needs)


def group_changes(names: Sequence[str], needs: Needs) -> list[tuple[str, ...]]:
    """Join changes that need each other; the groups come in the order of their first names."""
    closures = {name: needs.closure(name) for name in names}
    groups: list[tuple[str, ...]] = []
    placed: set[str] = set()
    for name in names:
        if name not in placed:
            group = tuple(other for other in names if other in closures[name] and name in closures[other])
            placed.update(group)
            groups.append(group)
    return groups


def possible(chosen: frozenset[str], needs: Needs) -> frozenset[str]:
    """Give the largest part of the chosen changes that can be made without any other."""
    return frozenset(name for name in chosen if needs.closure(name) <= chosen)


def _applying(texts: Sequence[str], markers: Mapping[str, str]) -> list[Requirement]:
    """Give the requirements that hold for that Python; those of extras are left out: nobody must have asked for one."""
    found = []
    for text in texts:
        try:
            required = Requirement(text)
        except InvalidRequirement:  # pip would not take it either
            continue
        if required.marker is None or required.marker.evaluate({**markers, "extra": ""}):
            required.marker = None
            found.append(required)
    return found


def _meets(required: Requirement, versions: Mapping[str, str]) -> bool:
    version = versions.get(str(canonicalize_name(required.name)))
    try:
        return version is not None and required.specifier.contains(Version(version), prereleases=True)
    except InvalidVersion:
        return False
