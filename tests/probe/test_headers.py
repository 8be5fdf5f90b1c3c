"""The header parser against the standard library's own."""

from email.parser import BytesParser

from hypothesis import given
from hypothesis import strategies as st

from envcap.probe.target.headers import head, parse_headers, values_of

_NAMES = st.sampled_from(["Name", "Version", "Tag", "name", "VERSION", "Summary", "Description"])
_VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)
_LINES = st.lists(st.tuples(_NAMES, _VALUES), max_size=8)


@given(lines=_LINES, body=st.text(max_size=30), ending=st.sampled_from(["\n", "\r\n"]))
def test_reads_what_the_email_parser_reads(lines: list[tuple[str, str]], body: str, ending: str) -> None:
    content = ending.join([*(f"{name}: {value}" for name, value in lines), "", body]).encode()
    message = BytesParser().parsebytes(content)
    expected = {name: message.get_all(name, []) for name in ("Name", "Version", "Tag")}
    assert parse_headers(head(content), ("Name", "Version", "Tag")) == expected


@given(content=st.binary(max_size=200))
def test_never_fails_and_never_invents(content: bytes) -> None:
    found = parse_headers(content, ("Name",))
    text = content.decode("utf-8", "replace")
    assert all(word in text for value in found["Name"] for word in value.split())


@given(lines=_LINES)
def test_stopping_early_gives_the_same_first_values(lines: list[tuple[str, str]]) -> None:
    content = "\n".join(f"{name}: {value}\n {value}" for name, value in lines).encode()
    early = parse_headers(content, ("Name", "Version"), first_only=True)
    late = parse_headers(content, ("Name", "Version"))
    assert {name: values[:1] for name, values in early.items()} == {name: values[:1] for name, values in late.items()}


@given(content=st.binary(max_size=200))
def test_the_head_holds_all_headers(content: bytes) -> None:
    assert parse_headers(head(content), ("Name", "Version")) == parse_headers(content, ("Name", "Version"))


def test_continues_a_value_on_lines_that_begin_with_a_blank() -> None:
    assert parse_headers(b"Name: one\n  two\n\tthree\nVersion: 1\n", ("Name",)) == {"Name": ["one two three"]}


def test_skips_a_byte_order_mark_and_replaces_what_is_not_utf8() -> None:
    assert parse_headers(b"\xef\xbb\xbfName: caf\xe9\n", ("Name",)) == {"Name": ["caf\ufffd"]}


def test_stops_at_the_first_empty_line() -> None:
    assert parse_headers(b"Name: a\n\nVersion: 1\n", ("Version",)) == {"Version": []}


_REQUIRES = st.sampled_from(
    ["Requires-Dist", "requires-dist", "REQUIRES-DIST ", "Requires-Dist-Too", "Name", " Requires"]
)


@given(lines=st.lists(st.tuples(_REQUIRES, _VALUES), max_size=8), ending=st.sampled_from(["\n", "\r\n"]))
def test_the_quick_search_finds_what_the_parser_finds(lines: list[tuple[str, str]], ending: str) -> None:
    content = ending.join(["Metadata-Version: 2.1", *(f"{name}: {value}" for name, value in lines), "", "x"]).encode()
    assert values_of(head(content), "Requires-Dist") == parse_headers(content, ("Requires-Dist",))["Requires-Dist"]


@given(content=st.binary(max_size=200))
def test_the_quick_search_never_fails(content: bytes) -> None:
    assert all(isinstance(value, str) for value in values_of(b"Requires-Dist:" + content, "Requires-Dist"))
