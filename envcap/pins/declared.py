"""Indexes that a project names beside those of pip's configuration: for uv, Poetry, PDM and Pipenv, or in requirements.

Sources: uv, "Package indexes", "Configuration files" and "Environment variables"; Poetry, "Repositories"; PDM,
"Configure the project"; Pipenv, "Specifying package indexes"; pip, "Requirements file format". Credentials are split
off the moment a value is read, as in `configuration`. Nothing here asks an index.
"""

import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from envcap.errors import NotRunError
from envcap.pins.configuration import Configuration, Login, Place, default_index, place, read_configuration
from envcap.regular import read_regular

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_LARGEST = 1 << 22  # bytes of a settings file
_VARIABLE = re.compile(r"\$\{([A-Za-z0-9_]+)\}")
_OPTION = re.compile(r"(-i|--index-url|--extra-index-url|-f|--find-links)(?:\s*=\s*|\s+)['\"]?([^\s'\"]+)['\"]?")


def read_every_index(python: Path, *, project: Path, environ: Mapping[str, str]) -> Configuration:
    """Give pip's configuration for the environment of `python`, with the further indexes that the project names.

    Raises NotRunError when no pip can tell, or when a setting cannot be understood.
    """
    configuration = read_configuration(python)
    return with_declared(configuration, project=project, environ=environ, public=default_index())


def with_declared(
    configuration: Configuration, *, project: Path, environ: Mapping[str, str], public: str
) -> Configuration:
    """Give the configuration with the further places that the project names, for what pip's do not have.

    A default index of uv, Poetry or PDM stands in for the `public` one where pip names no other. Plain HTTP is no more
    trusted than from pip: a project is somebody else's program. Raises NotRunError when a settings file cannot be
    understood.
    """
    defaults: list[Place] = []
    found: list[Place] = []
    links, options = _of_requirements(project, environ)
    tools = (_of_uv(project, environ), _of_poetry(project, environ), _of_pdm(project, environ), options)
    for index, is_default in [*(one for each in tools for one in each), *_of_pipenv(project, environ)]:
        (defaults if is_default else found).append(index)
    indexes = configuration.indexes
    if defaults and indexes and indexes[0].url == public:
        indexes = [defaults[0], *indexes[1:]]
    known = {one.url.rstrip("/") for one in indexes}
    declared = {one.url.rstrip("/"): one for one in reversed([*defaults, *found])}
    return msgspec.structs.replace(
        configuration,
        indexes=indexes,
        declared=[one for url, one in reversed(declared.items()) if url not in known],
        declared_links=[one for one in links if one not in configuration.find_links],
    )


Declared = Iterator[tuple[Place, bool]]  # each with whether it takes the place of the public index


def _of_uv(project: Path, environ: Mapping[str, str]) -> Declared:
    for variable, is_default in (("UV_DEFAULT_INDEX", True), ("UV_INDEX_URL", True)):
        if environ.get(variable):
            yield _named(environ[variable], environ), is_default
    for variable in ("UV_INDEX", "UV_EXTRA_INDEX_URL"):
        for word in environ.get(variable, "").split():
            yield _named(word, environ), False
    for settings in _uv_settings(project, environ):
        for table in (settings, _table(settings, "pip")):
            for index in _tables(table, "index"):
                if isinstance(index.get("url"), str):
                    login = _login(environ, f"UV_INDEX_{_variable(index.get('name'))}")
                    yield _place(index["url"], login), index.get("default") is True
            if isinstance(table.get("index-url"), str):
                yield _place(table["index-url"]), True
            extra = table.get("extra-index-url")
            yield from ((_place(url), False) for url in (extra if isinstance(extra, list) else []) if url)


def _named(word: str, environ: Mapping[str, str]) -> Place:
    """Give the index of `URL` or `NAME=URL`."""
    name, _, url = word.partition("=")
    if url and re.fullmatch(r"[\w.-]+", name):
        return _place(url, _login(environ, f"UV_INDEX_{_variable(name)}"))
    return _place(word)


def _uv_settings(project: Path, environ: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Give the settings tables that uv would join: of the project, or its nearest parent with any; user; system."""
    if environ.get("UV_CONFIG_FILE"):
        yield _read(Path(environ["UV_CONFIG_FILE"]))
        return
    if environ.get("UV_NO_CONFIG"):
        return
    for folder in (project, *project.parents):
        settings = _read(folder / "uv.toml") or _table(_table(_read(folder / "pyproject.toml"), "tool"), "uv")
        if settings:
            yield settings
            break
    yield _read(_settings_folder(environ) / "uv" / "uv.toml")
    yield _read(Path("/etc/uv/uv.toml"))


def _of_poetry(project: Path, environ: Mapping[str, str]) -> Declared:
    poetry = _table(_table(_read(project / "pyproject.toml"), "tool"), "poetry")
    sources = [source for source in _tables(poetry, "source") if isinstance(source.get("url"), str)]
    if not sources:
        return
    folder = environ.get("POETRY_CONFIG_DIR")
    logins = _table(
        _read((Path(folder) if folder else _settings_folder(environ) / "pypoetry") / "auth.toml"), "http-basic"
    )
    for source in sources:
        login = _login(environ, f"POETRY_HTTP_BASIC_{_variable(source.get('name'))}")
        held = _table(logins, str(source.get("name")))
        if login is None and held.get("username"):
            login = Login(user=str(held["username"]), password=str(held.get("password") or ""))
        yield _place(source["url"], login), source.get("priority") == "default"


def _of_pdm(project: Path, environ: Mapping[str, str]) -> Declared:
    pdm = _table(_table(_read(project / "pyproject.toml"), "tool"), "pdm")
    for source in _tables(pdm, "source"):
        url = _expanded(source.get("url"), environ)
        if url is None or source.get("type", "index") != "index":
            continue
        user, password = (_expanded(source.get(key), environ) for key in ("username", "password"))
        login = Login(user=user, password=password) if user else None
        yield _place(url, login), source.get("name") == "pypi"


def _of_pipenv(project: Path, environ: Mapping[str, str]) -> Declared:
    for source in _tables(_read(project / "Pipfile"), "source"):
        url = _expanded(source.get("url"), environ)
        if url is not None:
            yield _place(url), False


def _of_requirements(project: Path, environ: Mapping[str, str]) -> tuple[list[Place], list[tuple[Place, bool]]]:
    """Give the places of files and the indexes that requirements files name, none of them as a default."""
    links: list[Place] = []
    indexes: list[tuple[Place, bool]] = []
    for path in sorted([*project.glob("requirements*.txt"), *project.glob("requirements/*.txt")]):
        try:
            text = read_regular(path, limit=_LARGEST).decode()
        except (OSError, ValueError):
            continue  # whatever it is, pip has not read it either
        for option, word in _OPTION.findall("\n".join(_logical_lines(text))):
            address = _expanded(word, environ)
            if address is None:
                continue
            if option not in {"-f", "--find-links"}:
                indexes.append((_place(address), False))
            else:
                local = "://" not in address and not address.startswith("file:")
                links.append(_place(path.parent / address if local else address))
    return links, indexes


def _logical_lines(text: str) -> Iterator[str]:
    """Give the lines that are options, with those that go on joined and remarks left out."""
    for line in text.replace("\\\n", " ").splitlines():
        option = re.sub(r"(^|\s)#.*$", "", line).strip()
        if option.startswith("-"):
            yield option


def _expanded(value: object, environ: Mapping[str, str]) -> str | None:
    """Give a text with `${NAME}` replaced as pip, PDM and Pipenv do; None where a variable is not set, or no text."""
    if not isinstance(value, str) or not value or not all(environ.get(name) for name in _VARIABLE.findall(value)):
        return None
    return _VARIABLE.sub(lambda match: environ[match[1]], value)


def _place(url: object, login: Login | None = None) -> Place:
    found = place(str(url))
    return found if login is None or found.login is not None else msgspec.structs.replace(found, login=login)


def _login(environ: Mapping[str, str], prefix: str) -> Login | None:
    user, password = environ.get(f"{prefix}_USERNAME"), environ.get(f"{prefix}_PASSWORD")
    return Login(user=user or "", password=password or "") if user or password else None


def _variable(name: object) -> str:
    return re.sub(r"[^A-Z0-9]", "_", str(name).upper())


def _settings_folder(environ: Mapping[str, str]) -> Path:
    chosen = environ.get("XDG_CONFIG_HOME")
    return Path(chosen) if chosen else Path(environ.get("HOME") or os.path.expanduser("~")) / ".config"  # noqa: PTH111


def _table(value: dict[str, Any], key: str) -> dict[str, Any]:
    found = value.get(key)
    return found if isinstance(found, dict) else {}


def _tables(value: dict[str, Any], key: str) -> list[dict[str, Any]]:
    found = value.get(key)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _read(path: Path) -> dict[str, Any]:
    """Give the tables of a TOML file, none where there is no such file."""
    try:
        document: dict[str, Any] = tomllib.loads(read_regular(path, limit=_LARGEST).decode())
        return document
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return {}
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not TOML"
        raise NotRunError(
            f"`{path}` cannot be read: {reason}.",
            hint="The project's tools look for their indexes in it: mend the file.",
        ) from error
