"""The requires.txt that setuptools writes into an .egg-info folder. Pure; judges no requirement."""


def parse_requires_txt(content: bytes) -> "list[str]":
    """Give its requirements as `Requires-Dist` would write them, the section of each turned into a marker.

    The format is setuptools' own ("The Internal Structure of Python Eggs", requires.txt): a requirement a line, below
    section headings of the form `[extra:marker]`, of which either part may be missing. It is read as
    `importlib.metadata` reads it. Bytes that are not UTF-8 become U+FFFD.
    """
    found = []  # type: list[str]
    condition = ""
    for raw in content.decode("utf-8", "replace").split("\n"):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("[") and line.endswith("]"):
            condition = _condition(line[1:-1])
        elif condition:
            # A URL reaches to the next blank, so that the semicolon must not touch it.
            found.append(line + (" ; " if "@" in line else "; ") + condition)
        else:
            found.append(line)
    return found


def _condition(section: str) -> str:
    extra, _, marker = section.partition(":")
    extra, marker = extra.strip(), marker.strip()
    if not extra:
        return marker
    asked = 'extra == "{}"'.format(extra)
    return "({}) and {}".format(marker, asked) if marker else asked
