"""Which packages an image needs on top of its base: those asked for and what they depend on. Pure."""

from collections.abc import Collection, Mapping

from envcap.machine.debian import Installed, is_met, relations


def missing_packages(
    wanted: Mapping[str, str], *, host: Mapping[str, Installed], base: Mapping[str, Installed]
) -> dict[str, str]:
    """Give what must be installed, each before what depends on it, with the reason.

    `wanted` maps a package to what needs it. The host's own packages are the answer to each dependency, because there
    they worked together; one that the base has is not installed again, unless it is too old for what needs it.
    """
    chosen: dict[str, str] = {}
    under_way: set[str] = set()

    def add(name: str, why: str) -> None:
        if name in chosen or name in under_way or name not in host:
            return
        under_way.add(name)
        for group in relations(host[name].depends):
            if any(is_met(relation, base) for relation in group):
                continue
            met = (is_met(relation, host) for relation in group)
            named = (relation.name for relation in group if relation.name in host)
            found = next(filter(None, met), None) or next(named, None)
            if found is not None:
                add(found, f"{name} depends on it")
        chosen[name] = why

    for name, why in sorted(wanted.items()):
        if name not in base:
            add(name, why)
    return chosen


def unmet_packages(
    chosen: Collection[str], *, known: Mapping[str, Installed], base: Mapping[str, Installed]
) -> dict[str, str]:
    """Give those of the chosen packages that dpkg would refuse, each with the dependency that nothing meets.

    What depends on one of them is refused with it. `known` tells of each chosen package what it will be.
    """
    kept = {name: known[name] for name in chosen}
    refused: dict[str, str] = {}
    while True:
        there = {**base, **kept}
        lacking = {name: missing for name, package in kept.items() if (missing := _unmet(package, there))}
        if not lacking:
            return refused
        refused |= lacking
        kept = {name: package for name, package in kept.items() if name not in lacking}


def _unmet(package: Installed, there: Mapping[str, Installed]) -> str | None:
    """Give the first dependency of a package that none of those there meets, by the name of its first alternative."""
    groups = relations(package.depends)
    return next((group[0].name for group in groups if not any(is_met(one, there) for one in group)), None)
