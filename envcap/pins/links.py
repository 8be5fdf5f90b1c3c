"""The links on a page: what HTML pages of indexes and find-links places consist of (PEP 503, PEP 592, PEP 629). Pure.

With the parser of the standard library, as pip reads them: a library for any HTML takes 0.3 s to import, and some
milliseconds for each page.
"""

from html.parser import HTMLParser

from envcap.model.struct import Data


class Link(Data, frozen=True, kw_only=True):
    """Where a link leads, as it is written, and whether the file was yanked."""

    target: str
    yanked: bool = False


class Links(Data, frozen=True, kw_only=True):
    """All links of a page; what they are relative to where the page says so, and its version of the Simple API."""

    links: list[Link] = []
    start: str | None = None
    version: str | None = None


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.links: list[Link] = []
        self.start: str | None = None
        self.version: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note down what the tag tells."""
        known = dict(reversed(attrs))  # of one that is there twice, the first counts
        if tag == "a" and known.get("href") is not None:
            self.links.append(Link(target=(known["href"] or "").strip(), yanked="data-yanked" in known))
        elif tag == "base" and self.start is None and known.get("href") is not None:
            self.start = (known["href"] or "").strip()
        elif tag == "meta" and known.get("name") == "pypi:repository-version":
            self.version = known.get("content")


def read_links(page: str) -> Links:
    """Give the links of a page, in their order."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    return Links(links=reader.links, start=reader.start, version=reader.version)
