"""Metrics as text become flat names and values."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envcap.metrics import flatten, last_json_object


@pytest.mark.parametrize(
    ("document", "flat"),
    [
        ({}, {}),
        ({"a": 1}, {"a": 1}),
        ({"a": {"b": {"c": 0.5}}, "d": "x"}, {"a.b.c": 0.5, "d": "x"}),
        ({"a": [1, {"b": True}, []]}, {"a.0": 1, "a.1.b": True}),
        ({"a": None, "b": {"c": None}}, {}),
        ({"": 1, "x": {"": 2}}, {"": 1, "x.": 2}),
    ],
)
def test_leaves_are_named_by_their_path(document: object, flat: dict[str, object]) -> None:
    assert dict(flatten(document)) == flat


def test_types_are_kept() -> None:
    flat = dict(flatten({"int": 1, "float": 1.0, "bool": True, "zero": -0.0, "nan": math.nan}))
    assert repr(flat) == "{'int': 1, 'float': 1.0, 'bool': True, 'zero': -0.0, 'nan': nan}"


def test_integers_beyond_64_bits_keep_their_digits() -> None:
    document = {"fits": 2**63 - 1, "low": -(2**63), "large": 2**63, "next": 2**63 + 1, "huge": 10**400}
    flat = dict(flatten(document))
    assert flat["fits"] == 2**63 - 1
    assert flat["low"] == -(2**63)
    assert flat["large"] == "9223372036854775808"
    assert flat["next"] == "9223372036854775809"
    assert flat["huge"] == "1" + "0" * 400


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", None),
        ("no json", None),
        ('{"a": 1}', {"a": 1}),
        ('log\n{"a": 1}\n', {"a": 1}),
        ('{"a": 1}\n{"a": 2}\n', {"a": 2}),
        ('{"a": 1}\n{"a": 2\n', {"a": 1}),
        ('{"a": 1}\n{not json}\n', {"a": 1}),
        ('{"a": 1} trailing words\n', {"a": 1}),
        ('before {"a": 1}\n', None),
        ('{\n  "a": {\n    "b": 1\n  }\n}\n', {"a": {"b": 1}}),
        ('50%\r100%\r{"a": 1}\r\n', {"a": 1}),
        ('[1]\n{"a": [{"b": 2}]}\n[2]\n', {"a": [{"b": 2}]}),
        ("{" * 5_000, None),
        ('{"a":' * 100_000, None),
    ],
)
def test_the_last_object_at_the_start_of_a_line(text: str, found: object) -> None:
    assert last_json_object(text) == found


leaves = st.none() | st.integers() | st.text(max_size=5)
json_objects = st.dictionaries(
    st.text(max_size=5),
    st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner), max_leaves=5
    ),
    max_size=3,
)


@given(before=st.text(st.characters(exclude_characters="{")), value=json_objects, indent=st.sampled_from([None, 1, 2]))
def test_what_was_printed_is_found(before: str, value: dict[str, object], indent: int | None) -> None:
    assert last_json_object(f"{before}\n{json.dumps(value, indent=indent)}\nthe end\n") == value
