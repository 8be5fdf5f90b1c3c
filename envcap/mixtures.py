"""Mixtures: the packages of one lock with some changed to those of another, and which changes go only together."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from envcap.compare.influence import rate
from envcap.compare.together import Needs, Side, find_needs
from envcap.model.lock import Lock, Move, Package
from envcap.places import download_cache, lock_store

_RANK = {"high": 0, "medium": 1, "low": 2}


class Mixtures(NamedTuple):
    """The packages of both locks by name, and the changes between them: those that are likely to move numbers first."""

    good: dict[str, Package]
    bad: dict[str, Package]
    moves: dict[str, Move]

    def packages(self, changed: frozenset[str]) -> list[Package]:
        """Give the packages of the good lock with these changes made."""
        names = sorted({*self.good, *self.bad})
        chosen = [(self.bad if name in changed else self.good).get(name) for name in names]
        return [package for package in chosen if package is not None]


def mixtures_of(good: Lock, bad: Lock) -> Mixtures:
    """Give what lies between two locks. A package of the same version and another file is a change too."""
    before = {package.name: package for package in good.packages}
    after = {package.name: package for package in bad.packages}
    moves = []
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old is None or new is None or old.wheel.sha256 != new.wheel.sha256:
            moves.append(Move(package=name, before=old.version if old else None, after=new.version if new else None))

    def rank(move: Move) -> int:
        influence, _ = rate("packages", move.package, move.before or "missing", move.after or "missing")
        return _RANK[influence]

    return Mixtures(before, after, {move.package: move for move in sorted(moves, key=rank)})


def read_needs(good: Lock, plan: Mixtures, *, project: Path, environ: Mapping[str, str]) -> Needs:
    """Read the requirements of the changed packages from their wheels, which must be in cache and store already."""
    from envcap.pins.requires import requirements_of
    from envcap.pins.target import target_of

    store, cache = lock_store(project), download_cache(environ)

    def side(packages: Mapping[str, Package]) -> Side:
        requires = {}
        for name in plan.moves:
            wheel = packages[name].wheel if name in packages else None
            path = wheel and (store if wheel.path else cache).find(wheel.sha256, wheel.name)
            requires[name] = requirements_of(path) if path else []
        return Side({name: package.version for name, package in packages.items()}, requires)

    moves = list(plan.moves.values())
    return find_needs(moves, side(plan.good), side(plan.bad), markers=target_of(good).markers)
