"""The rules that keep the target's sources able to run anywhere."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from envcap.probe import handover

_SOURCES = sorted(Path(handover.__file__).with_name("target").glob("*.py"))


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield str(node.module)


@pytest.mark.parametrize("source", _SOURCES, ids=lambda path: path.name)
def test_parses_as_python_3_6(source: Path) -> None:
    ast.parse(source.read_text(), feature_version=(3, 6))


@pytest.mark.parametrize("source", _SOURCES, ids=lambda path: path.name)
def test_imports_only_the_standard_library_and_its_own(source: Path) -> None:
    allowed = {*sys.stdlib_module_names, "pynvml"}
    if source.name == "__main__.py":
        allowed.add("envcap_probe")
    assert {name.partition(".")[0] for name in _imports(ast.parse(source.read_text()))} <= allowed


@pytest.mark.parametrize("source", _SOURCES, ids=lambda path: path.name)
def test_annotations_that_an_old_python_would_evaluate_are_quoted(source: Path) -> None:
    for node in ast.walk(ast.parse(source.read_text())):
        annotations = [node.annotation] if isinstance(node, ast.arg) else []
        annotations += [node.returns] if isinstance(node, ast.FunctionDef) else []
        for annotation in annotations:
            assert annotation is None or isinstance(annotation, ast.Constant | ast.Name | ast.Attribute)


def test_nothing_dear_is_imported_at_the_top() -> None:
    dear = {"re", "typing", "platform", "subprocess", "importlib", "email", "ctypes", "pynvml", "urllib", "csv"}
    for source in _SOURCES:
        names = {name.partition(".")[0] for node in ast.parse(source.read_text()).body for name in _imports_of(node)}
        assert not names & dear, source.name


def _imports_of(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield from _imports(node)
