"""The operating system around the interpreter: release, C library, locale, time zone, umask."""

import _locale
import os
import sys
import time

from .files import text_or_none
from .gaps import Gaps
from .libc import describe_libc
from .limits import describe_limits

_ZONES = "/zoneinfo/"
_ZONE_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-/,.:<>")


def describe_system(gaps: Gaps) -> "dict[str, object]":
    """Give the table that `envcap.model.facts.System` describes. `environment` is left to the host's side."""
    release = _os_release(gaps)
    libc, libc_version = describe_libc(gaps)
    machine = os.uname()
    locale, encoding = _locale_and_encoding(gaps)
    return {
        "distribution": release.get("ID", ""),
        "version": release.get("VERSION_ID", ""),
        "codename": release.get("VERSION_CODENAME", ""),
        "kernel": machine.release,
        "libc": libc,
        "libc-version": libc_version,
        "architecture": machine.machine,
        "locale": locale,
        "locale-categories": _categories(locale),
        "encoding": encoding,
        "timezone": _timezone(gaps),
        "umask": _umask(),
        "limits": describe_limits(),
    }


def parse_os_release(text: str) -> "dict[str, str]":
    """Give the assignments of an os-release file, unquoted (os-release(5))."""
    values = {}  # type: dict[str, str]
    for raw in text.split("\n"):
        line = raw.strip()
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            values[name] = _unquote(value)
    return values


def zone_of_link(target: str) -> "str | None":
    """Give the IANA name in the target of the /etc/localtime link (localtime(5)), or None."""
    _, found, name = target.rpartition(_ZONES)
    return name if found and name else None


def zone_of_variable(value: str) -> "str | None":
    """Give the zone that the TZ variable names (tzset(3)), or None when that is no zone.

    An empty value means UTC. A path into the zone database gives its IANA name.
    """
    zone = value[1:] if value.startswith(":") else value
    if not zone:
        return "UTC"
    # The only variable that is copied: take nothing that was not meant as a zone.
    if len(zone) > 64 or not _ZONE_CHARACTERS.issuperset(zone):
        return None
    return zone_of_link(zone) or zone


def zone_of_file(text: str) -> "str | None":
    """Give the zone in Debian's /etc/timezone, its first line, or None when that is no zone."""
    name = text.strip().partition("\n")[0].strip()
    return zone_of_variable(name) if name else None


def _unquote(value: str) -> str:
    if len(value) < 2 or value[0] != value[-1] or value[0] not in "'\"":
        return value
    inner = value[1:-1]
    if value[0] == "'":
        return inner
    text = ""
    escaped = False
    for character in inner:
        escaped = character == "\\" and not escaped
        text += "" if escaped else character
    return text


def _os_release(gaps: Gaps) -> "dict[str, str]":
    text = text_or_none("/etc/os-release") or text_or_none("/usr/lib/os-release")
    release = parse_os_release(text or "")
    missing = [name for name in ("ID", "VERSION_ID") if not release.get(name)]
    if text is None:
        reason = "there is no /etc/os-release"
    else:
        reason = "/etc/os-release has no {}".format(" and no ".join(missing))
    if missing:
        gaps.add(
            "system",
            "os-release",
            reason=reason,
            consequence="no base image of the same distribution and release can be chosen",
        )
    return release


def _locale_and_encoding(gaps: Gaps) -> "tuple[str, str]":
    # `_locale` because `locale` imports `re`; its answers are the same.
    try:
        _locale.setlocale(_locale.LC_ALL, "")
    except _locale.Error:  # type: ignore[attr-defined]
        gaps.add(
            "system",
            "locale",
            reason="the locale that the environment variables ask for is not installed",
            consequence="programs run under the locale recorded here, not under the one that was asked for",
        )
    name = _locale.setlocale(_locale.LC_CTYPE)
    # What `open` uses: locale.getpreferredencoding(False), which PEP 540 overrides.
    encoding = "UTF-8" if getattr(sys.flags, "utf8_mode", 0) else _locale.nl_langinfo(_locale.CODESET)
    return name, encoding


def _categories(characters: str) -> "dict[str, str]":
    """Give the categories whose locale is another than that of characters, once `setlocale` has set them.

    `C` and C.UTF-8 are one here: they sort and write numbers alike.
    """
    names = ("LC_COLLATE", "LC_MESSAGES", "LC_MONETARY", "LC_NUMERIC", "LC_TIME")
    found = {name: _locale.setlocale(getattr(_locale, name)) for name in names}
    _locale.setlocale(_locale.LC_MESSAGES, "C")  # what the C library says from here on is read, and told
    return {name: value for name, value in found.items() if _kind(value) != _kind(characters)}


def _kind(locale: str) -> str:
    return "C" if locale in ("POSIX", "C.UTF-8", "C.utf8") else locale


def _timezone(gaps: Gaps) -> str:
    """Give an IANA name where one can be told, else the abbreviation with a Gap.

    The link comes before /etc/timezone because the C library reads the link, and the text is often left behind.
    """
    if "TZ" in os.environ:
        zone = zone_of_variable(os.environ["TZ"])
        if zone is None:
            gaps.add(
                "system",
                "timezone",
                reason="the TZ variable does not name a time zone",
                consequence="UTC is recorded, which is what the C library falls back to",
            )
        return zone or "UTC"
    zone = None
    if not os.path.exists("/etc/localtime"):
        zone = "UTC"  # localtime(5): the default when the file is missing
    elif os.path.islink("/etc/localtime"):
        zone = zone_of_link(os.readlink("/etc/localtime"))
    if zone is None:
        zone = zone_of_file(text_or_none("/etc/timezone") or "")
    if zone is None:
        zone = time.tzname[0]
        gaps.add(
            "system",
            "timezone",
            reason="/etc/localtime is a copy, and nothing names the zone it was copied from",
            consequence="only the abbreviation is recorded; dates near a change of clocks may differ",
        )
    return zone


def _umask() -> str:
    current = os.umask(0o077)
    os.umask(current)
    return "{:03o}".format(current)
