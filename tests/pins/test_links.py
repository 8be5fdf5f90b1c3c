"""Links are read from HTML as a library for it does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from pypi_simple import PYPI_SIMPLE_ENDPOINT
from pypi_simple.html import RepositoryPage

from envcap.pins.configuration import _default_index as default_index
from envcap.pins.configuration import configure
from envcap.pins.links import read_links
from envcap.pins.pages import read_html

URL = "https://i.example.org/simple/demo/"
PIECES = [
    '<a href="demo-1.0-py3-none-any.whl">demo</a>',
    "<A HREF='../../f/demo-1.0%2Bcpu-py3-none-any.whl#sha256=" + "A" * 64 + "' data-yanked>x</A>",
    '<a data-requires-python="&gt;=3.8" data-yanked="why &quot;this&quot;" href="https://f.example.org/demo-1.0-1-py3-none-any.whl?a=1&amp;b=2#md5=00">',
    "<a href=//f.example.org/demo-2.0-py3-none-any.whl>unquoted</a>",
    "<a>no link</a>",
    "<!-- <a href='demo-9-py3-none-any.whl'>hidden</a> -->",
    "<script>var a = '<a href=\"demo-8-py3-none-any.whl\">';</script>",
    "<br/>\n<p>plain &amp; text é",
    '<a href="d&eacute;mo-1.0-py3-none-any.whl">accent</a>',
]


@given(
    st.lists(st.sampled_from(PIECES)),
    st.sampled_from(["", '<base href="https://b.example.org/x/">', '<base href="/y/">']),
)
def test_a_page_is_read_as_by_a_library(pieces: list[str], base: str) -> None:
    page = f"<!DOCTYPE html><html><head>{base}</head><body>{''.join(pieces)}</body></html>".encode()
    expected = [
        (link.url.partition("#")[0], "data-yanked" in (link.attrs or {}))
        for link in RepositoryPage.from_html(page, base_url=URL, from_encoding="utf-8").links
    ]
    offers = read_html(page, url=URL, encoding="utf-8", index=None)
    assert [(offer.url, offer.yanked) for offer in offers] == expected


def test_of_an_attribute_that_is_there_twice_the_first_counts() -> None:
    """As the HTML standard and pip have it."""
    (link,) = read_links('<a href="a.whl" href="b.whl">').links
    assert link.target == "a.whl"


@given(st.text())
def test_whatever_is_no_page_has_no_error(text: str) -> None:
    read_links(text)


def test_an_encoding_that_nobody_knows_is_utf_8() -> None:
    for encoding in ("x-unknown", None, "utf-8"):
        (offer,) = read_html("<a href='é-1-py3-none-any.whl'>".encode(), url=URL, encoding=encoding, index=None)
        assert offer.filename == "é-1-py3-none-any.whl"


def test_without_settings_the_index_is_that_of_pip() -> None:
    (index,) = configure([], default_index=default_index()).indexes
    assert index.url.rstrip("/") == PYPI_SIMPLE_ENDPOINT.rstrip("/")
