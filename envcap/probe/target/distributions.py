"""Every distribution on sys.path, in the order in which imports find them. Reads metadata, imports nothing."""

import os

from .files import is_regular, read
from .gaps import Gaps
from .headers import head, parse_headers, values_of
from .origins import editable_of_link, is_within, parse_direct_url
from .requires import parse_requires_txt

_LONGEST = 200  # characters; name and version stand in one file name, which has 255 bytes
_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
_VERSION = _NAME | frozenset("+!*")  # PEP 440, and what was usual before it
_RETRY = "nothing of it is recorded, so the image will not have it; reinstall or remove it"


def list_distributions(paths: "list[str]", gaps: Gaps) -> "list[dict[str, object]]":
    """Give what `envcap.model.facts.Distribution` describes, one for each normalised name.

    The first on the path wins, because that is the one which `importlib.metadata` finds, and of several in one folder
    the one whose files are there; every other one is a Gap, unless it is the source tree of an editable install seen
    a second time.
    """
    chosen = {}  # type: dict[str, dict[str, object]]
    for folder in _folders(paths):
        for distribution in _scan(folder, gaps):
            key = normalise(str(distribution["name"]))
            first = chosen.setdefault(key, distribution)
            if first is distribution or _is_same_project(first, distribution):
                continue
            if _is_same_project(distribution, first):
                chosen[key] = distribution  # a source tree before its own editable install: the latter knows more
                continue
            gaps.add(
                "packages",
                str(distribution["name"]),
                reason="it is installed more than once: {} {} hides {} {}".format(
                    first["version"], first["path"], distribution["version"], distribution["path"]
                ),
                consequence="only the first is recorded; files that are only in the other are not",
            )
    return list(chosen.values())


def normalise(name: str) -> str:
    """Give a distribution's name as PEP 503 compares it."""
    words = name.lower().replace("_", "-").replace(".", "-").split("-")
    return "-".join(word for position, word in enumerate(words) if word or position in (0, len(words) - 1))


def _folders(paths: "list[str]") -> "list[str]":
    """Give the folders and archives on the path, each once although links may lead to it twice."""
    folders = []  # type: list[str]
    seen = set()
    for path in paths:
        try:
            folder = os.path.abspath(path)  # fails where the working folder is gone
            status = os.stat(folder)
        except (OSError, ValueError):
            continue  # entries that are not there are normal: the standard library's archive, removed trees
        identity = (status.st_dev, status.st_ino)
        if identity in seen:
            continue
        seen.add(identity)
        if os.path.isdir(folder) or not _is_standard_archive(folder):
            folders.append(folder)
    return folders


def _is_standard_archive(path: str) -> bool:
    name = os.path.basename(path)
    return name.startswith("python3") and name.endswith(".zip")


def _scan_archive(path: str, gaps: Gaps) -> "list[dict[str, object]]":
    """Give the distribution in a zipped egg; what else may be in an archive is a Gap."""
    from .archives import read_zipped_egg

    try:
        egg = read_zipped_egg(path)
        reason = "sys.path names an archive that is no egg"
    except ValueError as error:
        egg = None
        reason = "sys.path names an archive that cannot be read: {}".format(error)
    if egg is None:
        gaps.add("packages", path, reason=reason, consequence="the image will not have the modules inside it")
    return [] if egg is None else [egg]


def _scan(folder: str, gaps: Gaps) -> "list[dict[str, object]]":
    """Give the distributions whose metadata is directly in one folder, in the order of their file names."""
    if not os.path.isdir(folder):
        return _scan_archive(folder, gaps)
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        gaps.add(
            "packages",
            folder,
            reason="the folder is on sys.path but cannot be listed: {}".format(error.strerror),
            consequence="distributions inside it are not recorded",
        )
        return []
    found = []  # type: list[dict[str, object] | None]
    if folder.endswith(".egg") and "EGG-INFO" in names:  # easy_install puts the .egg folder itself on the path
        found.append(_read_egg_info(os.path.join(folder, "EGG-INFO"), gaps))
    for name in names:
        if not name.endswith((".dist-info", ".egg-info", ".egg-link")):
            continue
        path = os.path.join(folder, name)
        if name.startswith("~"):
            gaps.add(
                "packages",
                path,
                reason="pip left it behind when it was interrupted",
                consequence="it is ignored, as pip does; remove it",
            )
        else:
            found.append(_read_any(path, gaps))
    return _sorted_out([distribution for distribution in found if distribution is not None])


def _sorted_out(found: "list[dict[str, object]]") -> "list[dict[str, object]]":
    """Give them as they are, but of those with one name and metadata of their own the one first that is installed."""
    groups = {}  # type: dict[str, list[dict[str, object]]]
    for one in found:
        if one["layout"] == "dist-info":
            groups.setdefault(normalise(str(one["name"])), []).append(one)
    if all(len(several) == 1 for several in groups.values()):
        return found
    from .twice import nearest_first

    ordered = {name: iter(nearest_first(several)) for name, several in groups.items() if len(several) > 1}
    return [
        next(ordered[key]) if one["layout"] == "dist-info" and key in ordered else one
        for one in found
        for key in [normalise(str(one["name"]))]
    ]


def _read_any(path: str, gaps: Gaps) -> "dict[str, object] | None":
    """Read one distribution by the ending of its name. Whatever is wrong with it costs no other one."""
    read_it = {".dist-info": _read_dist_info, ".egg-info": _read_egg_info, ".egg-link": _read_egg_link}
    try:
        return read_it[path[path.rindex(".") :]](path, gaps)
    except Exception as error:  # noqa: BLE001  (the reason goes into the Gap)
        _add_unreadable(
            path, "it cannot be understood: {}: {}".format(type(error).__name__, str(error)[:_LONGEST]), gaps
        )
        return None


def _read_dist_info(path: str, gaps: Gaps) -> "dict[str, object] | None":
    """Read a .dist-info folder ("Recording installed projects", PEP 376, PEP 610, PEP 627), None with a Gap."""
    try:
        files = frozenset(os.listdir(path))
    except OSError as error:
        _add_unreadable(path, "it cannot be listed: {}".format(error.strerror), gaps)
        return None
    identity = _identity(path, "METADATA", gaps)
    if identity is None:
        return None
    wheel = {}  # type: dict[str, list[str]]
    if "WHEEL" in files:
        wheel = parse_headers(_read_or_nothing(os.path.join(path, "WHEEL"), gaps), ("Tag", "Build"))
    distribution = {
        "name": identity[0],
        "version": identity[1],
        "path": path,
        "layout": "dist-info",
        "requested": "REQUESTED" in files,
        "tags": wheel.get("Tag", []),
        "record": "RECORD" in files and is_regular(os.path.join(path, "RECORD")),
        "built_here": "uv_build.json" in files,
        "requires": identity[2],
    }  # type: dict[str, object]
    if "INSTALLER" in files:
        installer = _read_or_nothing(os.path.join(path, "INSTALLER"), gaps).decode("utf-8", "replace").split()
        distribution["installer"] = installer[0] if installer else None
    if wheel.get("Build"):
        distribution["build_tag"] = wheel["Build"][0]
    if "direct_url.json" in files:
        content = _read_or_none(os.path.join(path, "direct_url.json"), gaps)
        try:
            if content is not None:
                distribution["direct_url"] = parse_direct_url(content)
        except (ValueError, RecursionError) as error:
            gaps.add(
                "packages",
                identity[0],
                reason="its direct_url.json is not what PEP 610 describes: {}".format(error),
                consequence="where it was installed from is unknown",
            )
    return distribution


def _read_egg_info(path: str, gaps: Gaps) -> "dict[str, object] | None":
    """Read the .egg-info of setuptools and distutils: a folder with PKG-INFO, or a file that is PKG-INFO itself."""
    is_folder = os.path.isdir(path)
    identity = _identity(path, "PKG-INFO" if is_folder else "", gaps)
    if identity is None:
        return None
    requires = identity[2]
    # setuptools writes Requires-Dist into PKG-INFO only since version 68.
    if is_folder and not requires and os.path.exists(os.path.join(path, "requires.txt")):
        requires = parse_requires_txt(_read_or_nothing(os.path.join(path, "requires.txt"), gaps))
    return {"name": identity[0], "version": identity[1], "path": path, "layout": "egg-info", "requires": requires}


def _read_egg_link(path: str, gaps: Gaps) -> "dict[str, object] | None":
    """Read the .egg-link of `setup.py develop`: its first line is the folder with the packages and the .egg-info."""
    content = _read_or_none(path, gaps)
    if content is None:
        return None
    first, _, second = content.decode("utf-8", "replace").partition("\n")
    target = os.path.join(os.path.dirname(path), first.strip())  # setuptools writes a relative one for --egg-path
    stem = normalise(os.path.basename(path)[: -len(".egg-link")])
    try:
        names = sorted(os.listdir(target))
    except (OSError, ValueError):
        names = []
    for name in names:
        if name.endswith(".egg-info") and normalise(name[: -len(".egg-info")]) == stem:
            distribution = _read_egg_info(os.path.join(target, name), gaps)
            if distribution is not None:
                project = _project_of_link(target, second.partition("\n")[0].strip())
                distribution.update(layout="egg-link", direct_url=editable_of_link(project))
            return distribution
    _add_unreadable(path, "it links to `{}`, which has no .egg-info of that name".format(target[:_LONGEST]), gaps)
    return None


def _project_of_link(target: str, way: str) -> str:
    """Give the folder with setup.py, to which the second line of an egg-link leads from that with the packages."""
    project = os.path.normpath(os.path.join(target, way))
    if way and any(os.path.isfile(os.path.join(project, name)) for name in ("setup.py", "setup.cfg", "pyproject.toml")):
        return project
    return target


def _identity(path: str, file: str, gaps: Gaps) -> "tuple[str, str, list[str]] | None":
    """Give name, version and requirements as the metadata file tells them, or None with a Gap."""
    try:
        content = read(os.path.join(path, file) if file else path)
    except OSError as error:
        _add_unreadable(path, "{} cannot be read: {}".format(file or "it", error.strerror), gaps)
        return None
    headers = head(content)
    fields = parse_headers(headers, ("Name", "Version"), first_only=True)
    missing = [name for name, values in fields.items() if not (values and values[0])]
    if missing:
        _add_unreadable(path, "{} has no {}".format(file or "it", " and no ".join(missing)), gaps)
        return None
    for field, allowed in (("Name", _NAME), ("Version", _VERSION)):
        value = fields[field][0]
        # They become parts of file names and addresses.
        if len(value) > _LONGEST or not allowed.issuperset(value) or value[0] in "._-" or value[-1] in "._-":
            reason = "{} has a {} that no package can have: {!a}".format(file or "it", field, value[:_LONGEST])
            _add_unreadable(path, reason, gaps)
            return None
    return fields["Name"][0], fields["Version"][0], values_of(headers, "Requires-Dist")


def _add_unreadable(path: str, reason: str, gaps: Gaps) -> None:
    gaps.add("packages", path, reason=reason, consequence=_RETRY)


def _read_or_nothing(path: str, gaps: Gaps) -> bytes:
    return _read_or_none(path, gaps) or b""


def _read_or_none(path: str, gaps: Gaps) -> "bytes | None":
    try:
        return read(path)
    except OSError as error:
        gaps.add(
            "packages",
            path,
            reason="it is there but cannot be read: {}".format(error.strerror),
            consequence="what it tells of the package is unknown",
        )
        return None


def _is_same_project(editable: "dict[str, object]", other: "dict[str, object]") -> bool:
    """Tell whether `other` is the .egg-info in the source tree that `editable` was installed from."""
    origin = editable.get("direct_url")
    return (
        isinstance(origin, dict)
        and bool(origin.get("editable"))
        and other["layout"] == "egg-info"
        and is_within(str(other["path"]), origin)
    )
