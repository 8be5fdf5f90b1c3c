"""Which of the offered wheels is the installed one, as far as names can tell. Pure; `record.py` proves by content."""

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress

from packaging.tags import Tag, parse_tag
from packaging.utils import parse_wheel_filename

from envcap.model.facts import Distribution
from envcap.pins.pages import Offer
from envcap.trust.lock import MOST_TAGS, count_tags

_LONGEST_NAME = 255  # what file systems take
_MANYLINUX = re.compile(r"manylinux(?:1|2010|2014|_\d+_\d+)_(?P<architecture>.+)")


def matching(distribution: Distribution, offers: Sequence[Offer]) -> list[Offer]:
    """Give the offers whose file name says what the installed WHEEL file says: the same tags and build tag.

    In the order of `offers`. Without tags in WHEEL nothing matches. A WHEEL that says `linux_ARCH` matches a
    manylinux file of the same interpreter, ABI and architecture where no file has just its tags: wheels that were
    renamed after they had been built (torch before 2.4).
    """
    installed = expand(distribution.tags)
    if not installed:
        return []
    parsed = [(offer, file) for offer in offers if (file := _parse(offer.filename)) is not None]
    built = [(offer, tags) for offer, (build, tags) in parsed if build == (distribution.build_tag or "")]
    exact = [offer for offer, tags in built if tags == installed]
    if exact:
        return exact
    return [offer for offer, tags in built if _generic(tags) == _generic(installed) and _is_plain_linux(installed)]


def expand(lines: Iterable[str]) -> frozenset[Tag]:
    """Give the set of tags that the `Tag:` lines of a WHEEL file stand for; malformed lines stand for none."""
    found: set[Tag] = set()
    for line in lines:
        if line.count("-") == 2 and count_tags(line) + len(found) <= MOST_TAGS:
            with suppress(ValueError):  # InvalidTag
                found |= parse_tag(line)
    return frozenset(found)


def distinct(offers: Sequence[Offer]) -> list[Offer]:
    """Give the first offer of each sha256; each offer without one counts for itself."""
    seen: set[str] = set()
    first: list[Offer] = []
    for offer in offers:
        if offer.sha256 is None or offer.sha256 not in seen:
            first.append(offer)
        if offer.sha256 is not None:
            seen.add(offer.sha256)
    return first


def is_reasonable(filename: str) -> bool:
    """Tell whether a file name can be parsed in little time, and be that of a file."""
    return len(filename) <= _LONGEST_NAME and count_tags(filename) <= MOST_TAGS


def _parse(filename: str) -> tuple[str, frozenset[Tag]] | None:
    """Give build tag and tags of a wheel's file name, or None where it is not one."""
    if not is_reasonable(filename):
        return None
    try:
        _, _, build, tags = parse_wheel_filename(filename)
    except ValueError:  # InvalidWheelFilename, InvalidTag
        return None
    return "".join(str(part) for part in build), tags


def _is_plain_linux(tags: frozenset[Tag]) -> bool:
    return all(tag.platform.startswith("linux_") for tag in tags)


def _generic(tags: frozenset[Tag]) -> frozenset[Tag]:
    """Give the tags with any manylinux platform turned into `linux` of its architecture."""
    return frozenset(
        Tag(tag.interpreter, tag.abi, f"linux_{match['architecture']}") if match else tag
        for tag in tags
        for match in [_MANYLINUX.fullmatch(tag.platform)]
    )
