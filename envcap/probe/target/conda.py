"""A conda prefix as conda, mamba, micromamba and pixi leave it: conda-meta and nothing else, no program is asked.

The keys of a record are those of conda's `PrefixRecord`, which every one of these tools writes.
"""

import os

from .document import from_json
from .files import read, text_or_none
from .gaps import Gaps

_LARGEST = 1 << 28  # bytes of one record: packages with a hundred thousand files have tens of megabytes
_PIXI = {"pixi", "pixi_env_prefix"}  # files that only it leaves beside the records
_METADATA = (".dist-info/METADATA", ".egg-info/PKG-INFO", ".egg-info")


def describe_conda(prefix: str, gaps: Gaps) -> "tuple[dict[str, object] | None, dict[str, str]]":
    """Give the table that `envcap.model.facts.Conda` describes, None where the prefix is not conda's.

    With it comes which package owns each folder (or file) of Python metadata, by its path below the prefix.
    """
    folder = os.path.join(prefix, "conda-meta")
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return None, {}
    records = []  # type: list[dict[str, object]]
    owners = {}  # type: dict[str, str]
    history = text_or_none(os.path.join(folder, "history")) or ""
    asked = parse_history(history)
    for name in names:
        path = os.path.join(folder, name)
        if not name.endswith(".json") or not os.path.isfile(path):
            continue
        try:
            record, files = parse_record(read(path, limit=_LARGEST))
        except (OSError, ValueError) as error:
            gaps.add(
                "conda",
                name[: -len(".json")],
                reason="its record in conda-meta cannot be read: {}".format(error),
                consequence="the image will not have it",
            )
            continue
        record["record"] = path
        if not record["requested"]:
            record["requested"] = asked.get(str(record["name"]), [])
        records.append(record)
        owners.update(dict.fromkeys(metadata_of(files), str(record["name"])))
    tool = "pixi" if _PIXI.intersection(names) else tool_of(history)
    variables = parse_state(text_or_none(os.path.join(folder, "state")))
    return {"tool": tool, "records": records, "variables": variables}, owners


def parse_record(content: bytes) -> "tuple[dict[str, object], list[str]]":
    """Give a record as `envcap.model.facts.CondaRecord` describes it, but for its path, and the package's files.

    Raises ValueError for what is no record. A key of another type than conda writes counts as absent.
    """
    document = from_json(content.decode("utf-8"))
    if not isinstance(document, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004  (a wrong document, not a programming error)
    record = {key: _text(document, key) for key in ("name", "version", "build")}  # type: dict[str, object]
    missing = [key for key, value in record.items() if value is None]
    if missing:
        raise ValueError("it has no {}".format(" and no ".join(missing)))
    files = _texts(document.get("files"))
    record.update(
        build_number=_number(document, "build_number") or 0,
        subdir=_text(document, "subdir") or "",
        channel=_text(document, "channel") or "",
        file=_text(document, "fn") or "",
        url=_text(document, "url"),
        md5=_text(document, "md5"),
        sha256=_text(document, "sha256"),
        size=_number(document, "size"),
        noarch=_noarch(document.get("noarch")),
        requested=_requested(document),
        depends=_texts(document.get("depends")),
        constrains=_texts(document.get("constrains")),
        kept=[path for path in _kept(document) if path],
        scripts=[path for path in files if _is_script(path)],
    )
    return record, files


def metadata_of(files: "list[str]") -> "list[str]":
    """Give the folders (and single files) of Python metadata among a package's files, without a trailing slash."""
    found = []
    for path in files:
        for end in _METADATA:
            if path.endswith(end):
                found.append(path if end == ".egg-info" else path.rpartition("/")[0])
                break
    return found


def parse_history(text: str) -> "dict[str, list[str]]":
    """Give the specs that were asked for, by package, from the history of conda, mamba and micromamba.

    Source: conda's `History.parse`: `# update specs: [...]` adds, `# remove specs: [...]` takes away.
    """
    asked = {}  # type: dict[str, list[str]]
    for line in text.splitlines():
        words = line[1:].strip() if line.startswith("#") else ""
        action, colon, listing = words.partition(" specs:")
        if not colon or action not in ("update", "install", "create", "remove", "neutered"):
            continue
        for spec in _specs(listing):
            name = name_of(spec)
            if action == "remove":
                asked.pop(name, None)
            elif name:
                asked[name] = [spec]
    return asked


def name_of(spec: str) -> str:
    """Give the package's name in a spec such as `channel::numpy[version='1.*']`, `numpy >=1.26` or `numpy=1.26=py0`."""
    name = spec.rpartition("::")[2].strip()
    for end in " =<>!~[(":
        name = name.partition(end)[0]
    return name.lower()


def tool_of(history: str) -> str:
    """Tell who wrote the last command into the history."""
    last = ""
    for line in history.splitlines():
        if line.startswith("# cmd:"):
            last = line[len("# cmd:") :].strip()
        elif line.startswith(("# conda version:", "# mamba version:", "# micromamba version:")) and not last:
            last = line[2:].partition(" ")[0]
    for word in last.split()[:3]:
        program = os.path.basename(word)
        for name in ("micromamba", "mamba", "conda"):
            if program == name or program.startswith((name + "-", name + ".")):
                return name
    return "unknown"


def parse_state(text: "str | None") -> "list[str]":
    """Give the names of the variables that `conda env config vars set` keeps; their values are nobody's business."""
    try:
        document = from_json(text) if text else None
    except ValueError:
        return []
    variables = document.get("env_vars") if isinstance(document, dict) else None
    return sorted(str(name) for name in variables) if isinstance(variables, dict) else []


def _specs(listing: str) -> "list[str]":
    r"""Give the texts of a list as Python or JSON writes it, or of words set apart by commas as old conda did.

    A backslash takes the next character as it is: libmamba writes `"numpy[version=\">=1.26\"]"`.
    """
    text = listing.strip()
    if not text.startswith("["):
        return [word.strip() for word in text.split(",") if word.strip()]
    found, quote, current, escaped = [], "", "", False
    for character in text[1:]:
        if quote and character == "\\" and not escaped:
            escaped = True
            continue
        if quote:
            if character == quote and not escaped:
                found.append(current)
                quote = ""
            else:
                current += character
        elif character in "'\"":
            quote, current = character, ""
        escaped = False
    return found


def _requested(document: "dict[str, object]") -> "list[str]":
    several = _texts(document.get("requested_specs"))
    one = _text(document, "requested_spec")
    return several or ([one] if one and one != "None" else [])


def _kept(document: "dict[str, object]") -> "list[str | None]":
    link = document.get("link")
    return [
        _text(document, "package_tarball_full_path"),
        _text(document, "extracted_package_dir"),
        _text(link, "source") if isinstance(link, dict) else None,
    ]


def _is_script(path: str) -> bool:
    # Pre-unlink scripts matter only to those who remove the package.
    if path.startswith("etc/conda/activate.d/"):
        return True
    return path.startswith("bin/.") and path.endswith(("-post-link.sh", "-pre-link.sh"))


def _noarch(value: object) -> "str | None":
    if value is True:  # how it was before there were two kinds
        return "generic"
    return value if isinstance(value, str) and value else None


def _text(table: "dict[str, object]", key: str) -> "str | None":
    value = table.get(key)
    return value if isinstance(value, str) and value else None


def _number(table: "dict[str, object]", key: str) -> "int | None":
    value = table.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _texts(value: object) -> "list[str]":
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
