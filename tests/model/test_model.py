"""The data types: frozen, strict when decoded, and each error with its exit code."""

import ast
from pathlib import Path

import msgspec
import pytest

from envcap import errors
from envcap.model.facts import Gpu, Interpreter
from envcap.model.gap import Gap
from envcap.model.lock import Lock
from envcap.model.progress import Progress, say_nothing
from envcap.model.struct import Data
from envcap.model.verdict import Verdict

GAP = Gap(where="code", subject="x", reason="r", consequence="c")


def every_type(above: type[Data] = Data) -> list[type[Data]]:
    return [item for below in above.__subclasses__() for item in (below, *every_type(below))]


def test_nothing_can_be_changed(sample_lock: Lock) -> None:
    with pytest.raises(AttributeError):
        sample_lock.name = "another"  # type: ignore[misc]
    assert all(kind.__struct_config__.frozen for kind in every_type())


def test_unknown_keys_and_wrong_types_are_refused() -> None:
    assert all(kind.__struct_config__.forbid_unknown_fields for kind in every_type())
    good = msgspec.to_builtins(GAP)
    assert msgspec.convert(good, Gap) == GAP
    hostile: list[object] = [{**good, "more": 1}, {**good, "reason": 1}, {"where": "code"}, [], None]
    for bad in hostile:
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(bad, Gap)


def test_tables_are_written_in_kebab_case() -> None:
    table = msgspec.to_builtins(Gpu(name="x", memory=1, compute_capability="9.0"))
    assert "compute-capability" in table
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"name": "x", "memory": 1, "compute_capability": "9.0"}, Gpu)


def test_a_default_list_is_not_shared() -> None:
    first, second = (Interpreter(implementation="", version="", build="", abi="", tag="", kind="") for _ in range(2))
    assert first.flags == {}
    assert first.flags is not second.flags


def test_everything_that_happens_can_be_said_to_nobody() -> None:
    say_nothing(Progress(kind="step", text="x"))


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.EnvcapError, 70),
        (errors.WrongUsageError, 2),
        (errors.NotRunError, 3),
        (errors.StrictError, 3),
        (errors.RefusedError, 5),
    ],
)
def test_every_error_has_its_exit_code(kind: type[errors.EnvcapError], code: int) -> None:
    error = kind("It failed.", hint="Try again.")
    assert (error.exit_code, error.message, error.hint, str(error)) == (code, "It failed.", "Try again.", "It failed.")


def test_verdicts_and_errors_use_the_documented_codes_only() -> None:
    documented = {0, 1, 2, 3, 4, 5, 70, 130}
    assert {verdict.exit_code for verdict in Verdict} <= documented
    source = ast.parse(Path(errors.__file__).read_text(encoding="utf-8"))
    codes = {
        node.value.value
        for node in ast.walk(source)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
    }
    assert codes <= documented
