"""What a lock says of the code and the data, as lines and tables. Model in, strings out."""

from collections.abc import Iterator, Sequence

from envcap.model.lock import Code, DataInput, LeftOut, Submodule
from envcap.report.table import table_lines

_MOST_NAMED = 5
_SHOWN = 12  # characters of a commit
_WHY = {
    "ignored": "ignored by git",
    "hidden": "hidden",
    "large": "too large",
    "secret": "named as secrets are, or holding one",
    "outside": "links that lead out",
    "repository": "repositories of their own",
    "written": "written by the evaluation",
}


def code_lines(code: Code) -> dict[str, str]:
    """Give the lines of the summary, only those that have something to say."""
    lines = {"code": _taken(code)}
    if code.commit or code.repository:
        lines["repository"] = ", ".join(_repository(code))
    if code.submodules:
        lines["submodules"] = "; ".join(f"{item.path} ({_state(item)})" for item in code.submodules)
    if code.notebooks:
        names = _named([item.path + (" with outputs" if item.outputs else "") for item in code.notebooks])
        lines["notebooks"] = f"{len(code.notebooks)}: {names}; the order in which their cells ran is not captured"
    if code.left_out:
        lines["left out"] = "; ".join(_left_out(item) for item in code.left_out)
    return lines


def submodule_table(code: Code) -> list[str]:
    """Give the table of submodules, nothing where there is none."""
    rows = [
        (
            item.path,
            (item.checked_out or "not fetched")[:_SHOWN],
            item.recorded[:_SHOWN],
            "yes" if item.changed else "",
            item.repository or "",
        )
        for item in code.submodules
    ]
    return ["", *table_lines(("submodule", "checked out", "recorded", "changed", "repository"), rows)] if rows else []


def data_line(data: Sequence[DataInput]) -> str:
    """Give the inputs with their files, their size, and the md5 under which DVC knows them."""
    return "; ".join(f"{item.path} ({item.files} files, {item.size:,} bytes{_dvc(item)})" for item in data) or "none"


def _dvc(item: DataInput) -> str:
    return f", DVC {item.dvc}" if item.dvc else ""


def _taken(code: Code) -> str:
    parts = [f"{code.files} files"]
    if code.commit:
        parts.append(f"commit {code.commit[:_SHOWN]}")
    if code.patch:
        parts.append("uncommitted changes")
    if code.untracked:
        parts.append(f"{len(code.untracked)} untracked")
    return ", ".join(parts)


def _repository(code: Code) -> Iterator[str]:
    yield code.repository or "no remote"
    yield f"branch {code.branch}" if code.branch else "detached"
    if code.directory != ".":
        yield f"folder {code.directory}"
    if code.shallow:
        yield "a shallow clone"


def _state(item: Submodule) -> str:
    if item.checked_out is None:
        return "not fetched"
    parts = [item.checked_out[:_SHOWN]]
    if item.checked_out != item.recorded:
        parts.append(f"{item.recorded[:_SHOWN]} is recorded")
    if item.changed:
        parts.append("uncommitted changes")
    return ", ".join(parts)


def _left_out(item: LeftOut) -> str:
    return f"{_WHY[item.why]}: {_named(item.paths, count=item.count)}"


def _named(names: Sequence[str], *, count: int | None = None) -> str:
    total = len(names) if count is None else count
    more = f" and {total - _MOST_NAMED} more" if total > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more
