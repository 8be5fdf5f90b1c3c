"""The packages of a lock as a tree and as a table's cells. Model in, strings out."""

import re

from envcap.dependencies import Branch, dependants, tree
from envcap.model.gap import NOT_IN_IMAGE
from envcap.model.lock import Lock, Package

_MARKS = {"": "", "shown": " (its own are shown above)", "cycle": " (requires itself in a circle)"}
_MOST_NAMED, _MOST_FILES = 4, 6
_CERTAINTY = {"proven": "proven", "tags": "name and tags", "carried": "carried"}
_NOBODY = "no package requires it, unless by an extra"  # nobody notes down which extras a person asked for


def tree_lines(lock: Lock) -> list[str]:
    """Give the tree: each requested package, below it what it requires."""
    return [_line(branch) for branch in tree(lock.packages)]


def package_rows(lock: Lock) -> list[tuple[str, str, str, str, str]]:
    """Give name, version, how certain its file is, origin, and why it is there, of each package by name.

    Those that could not be pinned are among them.
    """
    required_by = dependants(lock.packages)
    pinned = [
        (one.name, one.version, _CERTAINTY[one.confidence], _origin(one), _reason(one, required_by[one.name]))
        for one in lock.packages
    ]
    lost = [(name, version, "unresolved", "", f"{NOT_IN_IMAGE}: see the gaps") for name, version in unresolved(lock)]
    return sorted([*pinned, *lost])


def unresolved(lock: Lock) -> list[tuple[str, str]]:
    """Give name and version of the packages that were installed and could not be pinned."""
    names = {package.name for package in lock.packages}
    found = []
    for gap in lock.gaps:
        name, equals, version = gap.subject.partition("==")
        normalised = re.sub(r"[-_.]+", "-", name).lower()
        is_lost = gap.where == "packages" and gap.consequence.startswith(NOT_IN_IMAGE)
        if is_lost and equals and ":" not in version and normalised not in names:
            found.append((normalised, version))
    return sorted(set(found))


def edited_lines(lock: Lock) -> list[str]:
    """Give a line for each package that was changed by hand, with its first files; none where none was."""
    edited = [(package, package.edits) for package in lock.packages if package.edits is not None]
    if not edited:
        return []
    lines = [f"Changed by hand: {len(edited)} package{'s' * (len(edited) != 1)}, in the image as they were frozen"]
    for package, edits in edited:
        more = edits.files - len(edits.paths[:_MOST_FILES])
        files = ", ".join(edits.paths[:_MOST_FILES]) + (f" and {more} more" if more > 0 else "")
        shown = f"`envcap show --patch {package.name}`" if edits.patch else "from what is unknown"
        lines.append(f"  {package.name} {package.version}: {files} ({shown})")
    return lines


def _line(branch: Branch) -> str:
    *above, own = branch.last or (True,)
    guides = "".join("    " if last else "│   " for last in above)
    corner = ("└── " if own else "├── ") if branch.last else ""
    requested = " (requested)" if branch.package.requested and not branch.last else ""
    return f"{guides}{corner}{branch.package.name} {branch.package.version}{requested}{_MARKS[branch.mark]}"


def _origin(package: Package) -> str:
    checkout = package.checkout
    commit = f" at commit {checkout.commit[:12]}" if checkout is not None and checkout.commit else ""
    changes = " with changes" if checkout is not None and checkout.patch else ""
    origin = "vcs" if checkout is not None and checkout.kind == "vcs" else package.origin
    return f"{origin}{commit}{changes}"


def _reason(package: Package, required_by: list[str]) -> str:
    parts = ["requested"] if package.requested else []
    if required_by:
        more = len(required_by) - _MOST_NAMED
        names = ", ".join(required_by[:_MOST_NAMED])
        parts.append(f"required by {names}{f' and {more} more' if more > 0 else ''}")
    return "; ".join(parts) or _NOBODY
