"""Two environments side by side: every difference, the most influential first. Pure."""

from envcap.compare.contents import Contents
from envcap.compare.environment import same_version
from envcap.compare.influence import rate
from envcap.model.difference import Difference

_MISSING = "missing"
_RANK = {"high": 0, "medium": 1, "low": 2}


def find_differences(first: Contents, second: Contents) -> list[Difference]:
    """List what differs in the areas that both sides know, ranked by likely influence, then by area and subject."""
    found = [
        _difference(area, subject, first.areas[area], second.areas[area])
        for area in first.areas
        if area in second.areas
        for subject in {**first.areas[area], **second.areas[area]}
        if not _same(area, subject, first, second)
    ]
    return sorted(found, key=lambda one: (_RANK[one.influence], _area_rank(first, one.area), one.subject))


def areas_not_compared(first: Contents, second: Contents) -> list[str]:
    """List the areas that only one side knows of."""
    return sorted(first.areas.keys() ^ second.areas.keys())


def _same(area: str, subject: str, first: Contents, second: Contents) -> bool:
    one, other = first.areas[area].get(subject), second.areas[area].get(subject)
    if area == "packages":
        return same_version(one, other)
    if area == "files":  # told only where the version does not tell it already
        versions = [side.areas["packages"].get(subject) for side in (first, second)]
        return one == other or not same_version(*versions)
    return one == other


def _difference(area: str, subject: str, first: dict[str, str], second: dict[str, str]) -> Difference:
    one, other = first.get(subject, _MISSING), second.get(subject, _MISSING)
    influence, why = rate(area, subject, one, other)
    return Difference(area=area, subject=subject, first=one, second=other, influence=influence, why=why)


def _area_rank(contents: Contents, area: str) -> int:
    return list(contents.areas).index(area)
