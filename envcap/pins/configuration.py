"""What pip is configured with, for one environment: where packages come from and how to get there.

Reads pip's own stable command line, so that every file and variable that pip honours counts. Nothing here asks
an index, and credentials are split off the moment a value is read: no `repr` and no message shows them.
"""

import ast
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from envcap.errors import NotRunError
from envcap.model.struct import Data
from envcap.redact import strip_index

# Later sections win, as in pip's ConfigOptionParser.
_SECTIONS = ("global", "install", ":env:")
# Kinds of configuration file, the later ones win: OVERRIDE_ORDER in pip's configuration.py.
_KINDS = ("global", "user", "site", "env")
# Other spellings of one option: pip stores them under one name.
_ALIASES = {"pypi-url": "index-url", "default-timeout": "timeout"}
_TRUE = {"y", "yes", "t", "true", "on", "1"}
_LINE = re.compile(r"(?P<section>[^.\s=]+)\.(?P<option>[^\s=]+)=(?P<value>['\"].*)")


class Login(Data, frozen=True, kw_only=True):
    """User and password for one address. It never shows them."""

    user: str
    password: str | None = None

    def __repr__(self) -> str:
        return "Login(***)"


class Place(Data, frozen=True, kw_only=True):
    """An address to read from: `url` is free of user and password, `file:` where it is on this machine."""

    url: str
    login: Login | None = None

    @property
    def local(self) -> bool:
        """Whether it is on this machine's file system."""
        return self.url.startswith("file:")

    @property
    def public(self) -> str:
        """The address as it may be shown and stored."""
        return strip_index(self.url)

    def __repr__(self) -> str:
        return f"Place({self.public!r})"


class Configuration(Data, frozen=True, kw_only=True):
    """Pip's settings that decide where packages come from. `indexes` begins with the main one."""

    indexes: list[Place] = []
    find_links: list[Place] = []
    declared: list[Place] = []  # further indexes that the project names: asked for what those of pip do not have
    declared_links: list[Place] = []  # and places of files
    certificate: str | None = None
    client_certificate: str | None = None
    trusted_hosts: list[str] = []  # `host` or `host:port`
    proxy: Place | None = None
    timeout: float = 15.0  # seconds
    retries: int = 5
    keyring: str = "auto"  # `auto`, `import`, `subprocess` or `disabled`: pip's --keyring-provider


Setting = tuple[str, str, str]  # section, option, value


def read_configuration(python: Path) -> Configuration:
    """Give what pip is configured with for the environment of the interpreter `python`.

    Raises NotRunError when no pip can tell, or when a setting cannot be understood.
    """
    pip, listing = _list_settings(python)
    settings = parse_listing(listing)
    return configure(_settle(settings, pip=pip), default_index=default_index())


def parse_listing(text: str) -> list[Setting]:
    """Give the settings in the output of `pip config list`, whose lines are `section.option=repr(value)`.

    Lines of any other form are passed over.
    """
    settings: list[Setting] = []
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            continue
        try:
            value = ast.literal_eval(match["value"])
        except (ValueError, SyntaxError):
            continue
        if isinstance(value, str):
            settings.append((match["section"], match["option"], value))
    return settings


def configure(settings: Iterable[Setting], *, default_index: str) -> Configuration:
    """Give the configuration that `settings` add up to: the later section wins, empty values count as unset.

    Raises NotRunError when a value is not of its option's kind.
    """
    options: dict[str, str] = {}
    for wanted in _SECTIONS:
        for section, option, value in settings:
            if section == wanted and value:
                options[_ALIASES.get(option, option)] = value
    main = options.get("index-url", default_index)
    extra = options.get("extra-index-url", "").split()
    no_index = options.get("no-index", "").lower() in _TRUE
    proxy = options.get("proxy")
    return Configuration(
        indexes=[] if no_index else [place(address) for address in [main, *extra]],
        find_links=[place(address) for address in options.get("find-links", "").split()],
        certificate=options.get("cert"),
        client_certificate=options.get("client-cert"),
        trusted_hosts=options.get("trusted-host", "").split(),
        proxy=place(proxy if "://" in proxy else f"http://{proxy}") if proxy else None,
        timeout=_number(options, "timeout", default=15.0),
        retries=int(_number(options, "retries", default=5)),
        keyring=options.get("keyring-provider", "auto"),
    )


def place(address: str) -> Place:
    """Give the place that a URL or a local path means, user and password apart. Raises NotRunError for a broken URL."""
    if "://" not in address and not address.startswith("file:"):
        if re.match(r"[^/]*:[^/]*@", address):  # the scheme was forgotten; as the name of a folder it would be shown
            raise _no_url(address)
        return Place(url=Path(address).expanduser().absolute().as_uri())
    try:
        parts = urlsplit(address)
        _ = parts.port  # a wrong port is only noticed when it is asked for
    except ValueError as error:
        raise _no_url(address) from error
    userinfo, at, host = parts.netloc.rpartition("@")
    url = urlunsplit((parts.scheme, host, parts.path, parts.query, ""))
    if not at:
        return Place(url=url)
    user, colon, password = userinfo.partition(":")
    return Place(url=url, login=Login(user=unquote(user), password=unquote(password) if colon else None))


def _no_url(address: str) -> NotRunError:
    return NotRunError(
        f"pip is configured with an address that cannot be read: `{strip_broken(address)}`: not a URL.",
        hint="See `pip config debug` for the file or variable that sets it.",
    )


def with_login(address: Place) -> str:
    """Give the URL with user and password back in it, for a library that wants it so (proxies). Not to be shown."""
    if address.login is None:
        return address.url
    parts = urlsplit(address.url)
    userinfo = quote(address.login.user, safe="")
    if address.login.password is not None:
        userinfo += ":" + quote(address.login.password, safe="")
    return urlunsplit((parts.scheme, f"{userinfo}@{parts.netloc}", parts.path, parts.query, ""))


def strip_broken(address: str) -> str:
    """Give the part of a URL that cannot be parsed which certainly holds no credentials."""
    return address.rpartition("@")[2] if "@" in address else address


def default_index() -> str:
    """Give the index that pip uses when none is configured."""
    try:
        from pip._internal.models.index import PyPI  # not public, but one small module, and 0.3 s sooner there
    except ImportError:
        from pypi_simple import PYPI_SIMPLE_ENDPOINT

        return PYPI_SIMPLE_ENDPOINT
    return str(PyPI.simple_url)


def _list_settings(python: Path) -> tuple[Sequence[str], str]:
    """Give the pip command that answered and what it listed.

    The environment's own pip knows its site configuration; envcap's pip may work on it from outside; and where the
    environment is too old for that, envcap's pip still knows the user's and the machine's configuration.
    """
    from envcap.process import capture

    own = [sys.executable, "-m", "pip"]
    attempts = ([str(python), "-m", "pip"], [*own, "--python", str(python)], own)
    for pip in attempts:
        done = capture(
            [*pip, "config", "list"], purpose="Reading pip's configuration", env=_environment(os.environ), check=False
        )
        if done.returncode == 0:
            return pip, done.stdout.decode(errors="replace")
    raise NotRunError(
        f"Reading pip's configuration failed: neither the pip of `{python}` nor envcap's own gives its `config list`.",
        hint="`pip config debug` shows which file or variable it cannot read.",
    )


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Give the variables for pip. A configured `quiet` would silence the very listing we ask for."""
    return {**variables, "PIP_QUIET": "0", "PIP_VERBOSE": "0", "PYTHONIOENCODING": "utf-8"}


def _settle(settings: Sequence[Setting], *, pip: Sequence[str]) -> list[Setting]:
    """Give each key once, with the value that pip would use."""
    if len({(section, option) for section, option, _ in settings}) == len(settings):
        return list(settings)
    from envcap.process import capture

    done = capture(
        [*pip, "config", "debug"], purpose="Reading pip's configuration", env=_environment(os.environ), check=False
    )
    return settle(settings, files=done.stdout.decode(errors="replace"))


def settle(settings: Sequence[Setting], *, files: str) -> list[Setting]:
    """Give each key once, with the value of the file that wins; `files` is the output of `pip config debug`.

    `pip config list` gives a key of several files several times, by file name, without saying which file; `debug`
    names the files of each rank and their keys. (`pip config get` looks at one rank only, so it cannot tell.)
    """
    holders = _holders(files)
    values: dict[tuple[str, str], list[str]] = {}
    for section, option, value in settings:
        values.setdefault((section, option), []).append(value)
    settled: list[Setting] = []
    for (section, option), several in values.items():
        ranked = holders.get(f"{section}.{option}", [])
        by_name = sorted(name for _, name in ranked)
        winner = by_name.index(max(ranked)[1]) if len(several) == len(ranked) > 0 else -1
        settled.append((section, option, several[winner]))
    return settled


def _holders(files: str) -> dict[str, list[tuple[tuple[int, int], str]]]:
    """Give for each key the files that set it, each with its rank: that of its kind and its place within the kind."""
    holders: dict[str, list[tuple[tuple[int, int], str]]] = {}
    rank, place_in_kind, name = -1, 0, ""
    for line in files.splitlines():
        if match := re.fullmatch(r"(\w+):", line):
            rank = _KINDS.index(match[1]) if match[1] in _KINDS else -1
        elif match := re.fullmatch(r" {2}(\S.*), exists: (True|False)", line):
            place_in_kind, name = place_in_kind + 1, match[1]
        elif rank >= 0 and (match := re.match(r" {4}([^\s:]+): ?", line)):
            holders.setdefault(match[1], []).append(((rank, place_in_kind), name))
    return holders


def _number(options: Mapping[str, str], option: str, *, default: float) -> float:
    text = options.get(option)
    if text is None:
        return default
    try:
        return float(text)
    except ValueError as error:
        raise NotRunError(
            f"pip's setting `{option}` is `{text}`, which is not a number.",
            hint="See `pip config debug` for the file or variable that sets it.",
        ) from error
