"""What has happened to a distribution's files since it was installed, and the words for it. Pure."""

from collections.abc import Sequence

from envcap.model.facts import Distribution
from envcap.model.gap import Gap
from envcap.model.lock import Edits
from envcap.model.struct import Data
from envcap.pins.classify import subject

_MOST_NAMED, _MOST_IN_LOCK = 3, 20


class Damage(Data, frozen=True, kw_only=True):
    """Files that are not as the RECORD has them, each list sorted and as RECORD spells the paths.

    `edited` have other contents and `missing` are gone; `replaced` have the contents that another distribution's
    RECORD states for the same file; `added` are in folders of its own, of which others were edited, and `unowned` are
    the remaining ones in its folders that no distribution installed. `unreadable` are there, and what they hold could
    not be looked at.
    """

    edited: list[str] = []
    missing: list[str] = []
    replaced: list[str] = []
    added: list[str] = []
    unowned: list[str] = []
    unreadable: list[str] = []


def describe_change(damage: Damage) -> str:
    """Give what is edited, missing and added, as the reason of a Gap; nothing where nothing is."""
    edited = f"edited after the installation: {_named(damage.edited)}" if damage.edited else ""
    missing = f"missing, as if half uninstalled: {_named(damage.missing)}" if damage.missing else ""
    added = f"added to its folders: {_named(damage.added)}" if damage.added else ""
    return "; ".join(filter(None, [edited, missing, added]))


def edits_of(damage: Damage, *, patch: str | None = None) -> Edits | None:
    """Give what is edited, missing and added, for the lock; None where nothing is."""
    changed = sorted({*damage.edited, *damage.missing, *damage.added})
    if not changed:
        return None
    # As the lock escapes what is no Unicode.
    paths = tuple(path.encode(errors="backslashreplace").decode() for path in changed[:_MOST_IN_LOCK])
    return Edits(files=len(changed), paths=paths, patch=patch)


def damage_gaps(distribution: Distribution, damage: Damage) -> list[Gap]:
    """Give a Gap for the files that the image will not have as they are here, though the package is pinned."""
    gaps = []
    if damage.unreadable:
        gaps.append(
            _gap(
                distribution,
                f"nobody can tell whether it is as it was installed: {_named(damage.unreadable)} cannot be read",
                "the image has these files as they were published, if it has the package",
            )
        )
    if damage.replaced:
        gaps.append(
            _gap(
                distribution,
                f"another package has put its own contents into its files: {_named(damage.replaced)}",
                "in the image the order of installation decides whose contents are there",
            )
        )
    if damage.unowned:
        gaps.append(
            _gap(
                distribution,
                f"its folders hold files that no package installed: {_named(damage.unowned)}",
                "the image will not have them",
            )
        )
    return gaps


def _gap(distribution: Distribution, reason: str, consequence: str) -> Gap:
    return Gap(where="packages", subject=subject(distribution), reason=reason, consequence=consequence)


def _named(paths: Sequence[str]) -> str:
    shown = ", ".join(f"`{path}`" for path in paths[:_MOST_NAMED])
    more = f" and {len(paths) - _MOST_NAMED} more" if len(paths) > _MOST_NAMED else ""
    return f"{len(paths)} file{'s' * (len(paths) != 1)}, {shown}{more}"
