"""The headers of METADATA, PKG-INFO and WHEEL files. Pure; `email` costs more to import than all files to read."""


def parse_headers(content: bytes, names: "tuple[str, ...]", *, first_only: bool = False) -> "dict[str, list[str]]":
    """Give the values of the named headers in the order they are written; a name that is absent gives [].

    The format is that of e-mail headers (core metadata specification; PEP 427 for WHEEL): names in any case,
    lines that begin with a blank continue the one before, the first empty line ends them. Bytes that are not UTF-8
    become U+FFFD. With `first_only` reading stops as soon as each name has a value.
    """
    wanted = {name.lower(): [] for name in names}  # type: dict[str, list[str]]
    current = None  # type: list[str] | None
    text = content.decode("utf-8", "replace")
    if text.startswith("\ufeff"):
        text = text[1:]
    # Not splitlines(): it also cuts at form feeds and U+2028, which may stand in a value.
    for raw in text.split("\n"):
        line = raw.rstrip("\r")
        if not line:
            break
        if line[0] in " \t":
            if current is not None:
                current[-1] = (current[-1] + " " + line.strip()).strip()
            continue
        if first_only and current is not None and all(wanted.values()):
            break
        name, colon, value = line.partition(":")
        current = wanted.get(name.rstrip(" \t").lower()) if colon else None
        if current is not None:
            current.append(value.strip())
    return {name: wanted[name.lower()] for name in names}


def values_of(headers: bytes, name: str) -> "list[str]":
    """Give what `parse_headers` gives for one name, in a fraction of the time where most lines are others.

    `headers` is what `head` gives of a METADATA or PKG-INFO file.
    """
    values = []  # type: list[str]
    mark = "\n" + name.lower()
    # Positions in it are one more than in `headers`; latin-1 keeps them, and text is cheaper to look at than bytes.
    folded = "\n" + headers.decode("latin-1").lower()
    start = folded.find(mark)
    while start >= 0:
        colon = start + len(mark)
        while folded.startswith((" ", "\t"), colon):
            colon += 1
        end = folded.find("\n", colon)
        while folded.startswith(("\n ", "\n\t"), end) and end >= 0:
            end = folded.find("\n", end + 1)
        if end < 0:
            end = len(folded)
        if folded.startswith(":", colon):
            value = headers[colon : end - 1].decode("utf-8", "replace").strip()
            values.append(" ".join(filter(None, map(str.strip, value.split("\n")))) if "\n" in value else value)
        start = folded.find(mark, end)
    return values


def head(content: bytes) -> bytes:
    """Give the headers alone, up to the first empty line. Saves decoding a long description."""
    if content.startswith((b"\n", b"\r\n")):
        return b""
    ends = [position for position in (content.find(b"\n\n"), content.find(b"\n\r\n")) if position >= 0]
    return content[: min(ends) + 1] if ends else content
