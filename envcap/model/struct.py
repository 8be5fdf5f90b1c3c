"""The one base of every data type: frozen, keyword-only, strict about unknown keys when decoded."""

import msgspec


class Data(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A record inside envcap. Decoding one from JSON refuses unknown keys and wrong types."""


class Table(Data, frozen=True, kw_only=True, rename="kebab"):
    """A record that is also a table of the lockfile: its keys are written in kebab case, as PEP 751 does."""
