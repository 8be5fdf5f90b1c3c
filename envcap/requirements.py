"""What each distribution asks of the others, read for the interpreter that was probed. Pure over Facts.

Finds the edges between packages and the requirements that the environment does not meet. Resolves nothing: what is
installed is what is frozen.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec
from packaging.utils import canonicalize_name

from envcap.model.gap import Gap
from envcap.model.lock import Conflict, Package
from envcap.model.struct import Data
from envcap.redact import redact_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from packaging.requirements import Requirement

    from envcap.model.facts import Distribution, Facts

_LONGEST_SHOWN = 200


class Relations(Data, frozen=True, kw_only=True):
    """The names that each distribution requires here, by normalised name; what is unmet; and what cannot be read."""

    edges: dict[str, list[str]]
    conflicts: list[Conflict] = []
    gaps: list[Gap] = []


def relate(facts: Facts) -> Relations:
    """Give how the distributions depend on each other (core metadata specification; markers as PEP 508 has them).

    An extra counts when another distribution asks for it. Which ones a person asked for is recorded nowhere, and that
    all an extra requires is installed proves nothing: it may be there for its own sake. Only what is certain is given,
    so what came with `pip install "name[extra]"` stands alone. A line that cannot be understood becomes a Gap, and the
    rest still counts.
    """
    return _Reader(facts).read()


def with_dependencies(packages: list[Package], relations: Relations) -> list[Package]:
    """Give the packages with their dependencies: those among the packages themselves, for the lock knows no other."""
    names = {package.name for package in packages}
    return [
        msgspec.structs.replace(
            package, dependencies=tuple(name for name in relations.edges.get(package.name, []) if name in names)
        )
        for package in packages
    ]


class _Reader:
    """Reads the lines once, and evaluates a package's markers again whenever one more of its extras is asked for."""

    def __init__(self, facts: Facts) -> None:
        self._installed = {str(canonicalize_name(item.name)): item for item in facts.distributions}
        self._environment = facts.markers
        self._edges: dict[str, set[str]] = {name: set() for name in self._installed}
        self._conflicts: dict[tuple[str, str], Conflict] = {}
        self._gaps: dict[tuple[str, str], Gap] = {}

    def read(self) -> Relations:
        lines = {name: list(self._parse(item)) for name, item in self._installed.items()}
        waiting = [(name, "") for name in self._installed]
        seen = set(waiting)
        while waiting:
            name, extra = waiting.pop()
            for requirement in lines[name]:
                if not self._applies(name, requirement, extra):
                    continue
                target = str(canonicalize_name(requirement.name))
                self._note(name, requirement, target)
                asked = {(target, str(canonicalize_name(word))) for word in requirement.extras}
                fresh = [pair for pair in sorted(asked) if pair not in seen and target in self._installed]
                seen.update(fresh)
                waiting += fresh
        return Relations(
            edges={name: sorted(targets) for name, targets in sorted(self._edges.items())},
            conflicts=[conflict for _, conflict in sorted(self._conflicts.items())],
            gaps=[gap for _, gap in sorted(self._gaps.items())],
        )

    def _parse(self, distribution: Distribution) -> Iterator[Requirement]:
        from packaging.requirements import Requirement

        for line in distribution.requires:
            requirement = None
            with suppress(ValueError, RecursionError):  # InvalidRequirement, or brackets without end
                requirement = Requirement(line)
            if requirement is not None:
                yield requirement
            else:
                self._add_gap(distribution.name, line, reason="cannot be understood")

    def _applies(self, name: str, requirement: Requirement, extra: str) -> bool:
        if requirement.marker is None:
            return not extra  # an extra only adds; without one it has been read before
        environment: Mapping[str, str] = {**self._environment, "extra": extra}
        try:
            return requirement.marker.evaluate(environment)
        except (ValueError, RecursionError):  # UndefinedComparison, UndefinedEnvironmentName
            self._add_gap(self._installed[name].name, str(requirement), reason="has a condition that cannot be judged")
            return False

    def _note(self, name: str, requirement: Requirement, target: str) -> None:
        found = self._installed.get(target)
        if found is not None and target != name:
            self._edges[name].add(target)
        if found is not None and self._is_met(name, requirement, found.version):
            return
        text = _without_marker(requirement)
        self._conflicts[name, text] = Conflict(
            package=name, requirement=text, installed=None if found is None else found.version
        )

    def _is_met(self, name: str, requirement: Requirement, version: str) -> bool:
        try:
            # What is installed was allowed, whether it is a pre-release or not.
            return requirement.specifier.contains(version, prereleases=True)
        except ValueError:  # InvalidVersion
            self._add_gap(
                self._installed[name].name, str(requirement), reason=f"cannot be compared with version `{version}`"
            )
            return True

    def _add_gap(self, name: str, line: str, *, reason: str) -> None:
        shown = redact_text(line)
        if len(shown) > _LONGEST_SHOWN:
            shown = f"{shown[:_LONGEST_SHOWN]}…"
        self._gaps[name, line] = Gap(
            where="requirements",
            subject=name,
            reason=f"its requirement `{shown}` {reason}",
            consequence="why another package is there may not be shown; what is installed does not depend on it",
        )


def _without_marker(requirement: Requirement) -> str:
    """Give the requirement as a person would write it; an address loses its credentials."""
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    address = f" @ {redact_text(requirement.url)}" if requirement.url else ""
    return f"{requirement.name}{extras}{requirement.specifier}{address}"
