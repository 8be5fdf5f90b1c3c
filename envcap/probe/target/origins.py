"""Where a distribution was installed from, as its installer left word (PEP 610)."""

import os

from .document import from_json

_LONGEST = 1 << 16  # bytes; old interpreters take minutes for a number of some million digits


def parse_direct_url(content: bytes) -> "dict[str, object]":
    """Give a direct_url.json flattened as `envcap.model.facts.DirectUrl` describes it.

    Raises ValueError, or RecursionError where it is nested without end.
    """
    if len(content) > _LONGEST:
        raise ValueError("it has {} bytes".format(len(content)))
    document = from_json(content.decode("utf-8"))
    if not isinstance(document, dict) or not isinstance(document.get("url"), str):
        raise ValueError("it has no url")  # noqa: TRY004  (a wrong document, not a programming error)
    if not document["url"].isprintable():
        raise ValueError("its url holds characters that no address has")
    found = {"url": document["url"]}  # type: dict[str, object]
    directory = document.get("dir_info")
    if isinstance(directory, dict):
        found["directory"] = True
        found["editable"] = directory.get("editable") is True
    version_control = document.get("vcs_info")
    if isinstance(version_control, dict):
        found["vcs"] = _text(version_control, "vcs")
        found["commit"] = _text(version_control, "commit_id")
    archive = document.get("archive_info")
    if isinstance(archive, dict):
        found["sha256"] = _sha256(archive)
    found["subdirectory"] = _text(document, "subdirectory")
    return found


def editable_of_link(target: str) -> "dict[str, object]":
    """Give what a direct_url.json would say of a `setup.py develop` install from the folder `target`."""
    from urllib.request import pathname2url

    return {"url": "file://" + pathname2url(os.path.abspath(target)), "editable": True, "directory": True}


def is_within(path: str, origin: "dict[str, object]") -> bool:
    """Tell whether `path` lies in the folder that a `file:` URL names."""
    from urllib.parse import unquote, urlsplit

    try:
        parts = urlsplit(str(origin.get("url", "")))
        folder = os.path.realpath(unquote(parts.path))
        return parts.scheme == "file" and os.path.realpath(path).startswith(folder.rstrip("/") + "/")
    except (ValueError, OSError):  # no URL, or a path that none can be
        return False


def _text(table: "dict[str, object]", key: str) -> "str | None":
    value = table.get(key)
    return value if isinstance(value, str) else None


def _sha256(archive: "dict[str, object]") -> "str | None":
    hashes = archive.get("hashes")
    if isinstance(hashes, dict) and isinstance(hashes.get("sha256"), str):
        return str(hashes["sha256"])
    name, _, value = str(archive.get("hash", "")).partition("=")  # how it was before `hashes`
    return value if name == "sha256" and value else None
