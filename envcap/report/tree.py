"""The packages of a lock as a tree and as a table's cells. Model in, strings out."""

from envcap.dependencies import Branch, dependants, tree
from envcap.model.lock import Lock, Package

_MARKS = {"": "", "shown": " (its own are shown above)", "cycle": " (requires itself in a circle)"}
_MOST_NAMED = 4
_NOBODY = "no package requires it, unless by an extra"  # nobody notes down which extras a person asked for


def tree_lines(lock: Lock) -> list[str]:
    """Give the tree: each requested package, below it what it requires."""
    return [_line(branch) for branch in tree(lock.packages)]


def package_rows(lock: Lock) -> list[tuple[str, str, str, str]]:
    """Give name, version, origin, and why it is there, of each package by name."""
    required_by = dependants(lock.packages)
    return [
        (package.name, package.version, _origin(package), _reason(package, required_by[package.name]))
        for package in sorted(lock.packages, key=lambda package: package.name)
    ]


def _line(branch: Branch) -> str:
    *above, own = branch.last or (True,)
    guides = "".join("    " if last else "│   " for last in above)
    corner = ("└── " if own else "├── ") if branch.last else ""
    requested = " (requested)" if branch.package.requested and not branch.last else ""
    return f"{guides}{corner}{branch.package.name} {branch.package.version}{requested}{_MARKS[branch.mark]}"


def _origin(package: Package) -> str:
    carried = ", carried" if package.wheel.path is not None else ""
    return f"{package.origin}{carried}"


def _reason(package: Package, required_by: list[str]) -> str:
    parts = ["requested"] if package.requested else []
    if required_by:
        more = len(required_by) - _MOST_NAMED
        names = ", ".join(required_by[:_MOST_NAMED])
        parts.append(f"required by {names}{f' and {more} more' if more > 0 else ''}")
    return "; ".join(parts) or _NOBODY
