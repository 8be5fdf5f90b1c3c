"""The locale of a run, category by category: how it is told, how it is set, and which the image must be given. Pure."""

import re
from collections.abc import Collection

from envcap.model.facts import System

PACKAGE = "locales"  # has the definitions that a locale is compiled from, in Debian and Ubuntu
PACKAGES = (PACKAGE, "libc-l10n")  # the second came apart from the first in Debian 10
_EVERYWHERE = "C.UTF-8"  # what every base image has
_PLAIN = {"C", "POSIX", _EVERYWHERE, "C.utf8"}
# locale(7): `de_DE.UTF-8`, `eo.utf8`, `ca_ES.UTF-8@valencia`. Of other encodings one name stands for several.
_UTF8 = re.compile(r"(?P<place>[a-z]{2,3}(_[A-Z]{2})?)\.(UTF|utf)-?8(?P<kind>@[a-z0-9]+)?")
COMPILED = re.compile(r"[a-z]{2,3}(_[A-Z]{2})?\.UTF-8(@[a-z0-9]+)?")


def locale_words(system: System) -> str:
    """Give the locale as one text: that of characters, and the categories that have another."""
    return ", ".join([system.locale, *(f"{name} {value}" for name, value in sorted(system.locale_categories.items()))])


def special_locales(system: System) -> list[str]:
    """Give the locales of a run that not every base image has, sorted."""
    return sorted({system.locale, *system.locale_categories.values()} - _PLAIN)


def compiled_name(locale: str) -> str | None:
    """Give the one spelling of a locale in UTF-8; None for one in another encoding, which is not compiled."""
    match = _UTF8.fullmatch(locale)
    return f"{match['place']}.UTF-8{match['kind'] or ''}" if match else None


def definition_of(compiled: str) -> str:
    """Give the name of the definition that a locale is compiled from: `ca_ES@valencia`."""
    return compiled.replace(".UTF-8", "", 1)


def folder_of(compiled: str) -> str:
    """Give the name under which the C library finds it, however a program spells the encoding: `de_DE.utf8`."""
    return compiled.replace(".UTF-8", ".utf8", 1)


def locale_variables(system: System, compiled: Collection[str] | None) -> dict[str, str]:
    """Give the variables that set the locale where those in `compiled` are; None where it is taken as it was."""

    def found(name: str) -> str:
        return name if compiled is None or name in _PLAIN or compiled_name(name) in compiled else _EVERYWHERE

    # Where `C` was asked for, Python itself sets C.UTF-8 (PEP 538).
    language = _EVERYWHERE if system.locale in _PLAIN else found(system.locale)
    return {"LANG": language, **{name: found(value) for name, value in system.locale_categories.items()}}
