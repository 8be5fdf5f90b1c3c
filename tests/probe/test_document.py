"""The probe's JSON against the standard library's."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envcap.probe.target.document import from_json, to_json

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(_VALUES)
def test_writes_what_json_reads_and_reads_what_it_writes(value: object) -> None:
    assert json.loads(to_json(value)) == value
    assert from_json(to_json(value)) == value
    assert from_json(json.dumps(value, indent=1) + "\n") == value


@given(st.text(st.sampled_from('{}[]",: \n\\0123456789.-eEtruefalsenull')))
def test_refuses_what_json_refuses(text: str) -> None:
    try:
        expected = json.loads(text)
    except ValueError:
        with pytest.raises(ValueError, match=r"."):
            from_json(text)
    else:
        assert from_json(text) == expected


def test_refuses_what_has_no_json() -> None:
    with pytest.raises(TypeError):
        to_json([1.5])


def test_works_under_every_python_and_without_the_c_core(interpreter: Path) -> None:
    folder = str(Path(sys.modules[to_json.__module__].__file__ or "").parent)
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from document import from_json, to_json\n"
        'text = to_json({"a": [1, True, None, "\\u00e9\\n"], "b": {}})\n'
        "assert from_json(text)['a'][3] == '\\u00e9\\n' and 're' not in sys.modules, 'quick'\n"
        "sys.modules['_json'] = None\n"
        "assert to_json(from_json(text)) == text\n"
    )
    subprocess.run([interpreter, "-I", "-S", "-B", "-c", program, folder], check=True)
