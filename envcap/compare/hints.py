"""What the frozen code itself may depend on: read from its sources, which are parsed and never run. Pure."""

import ast
import warnings
from collections.abc import Iterator, Mapping
from typing import Literal

from envcap.model.struct import Data

HintKind = Literal[
    "variable", "randomness", "hash order", "listing", "locale", "encoding", "timezone", "clock", "cores", "input"
]

_UNORDERED_IS_FINE = {"sorted", "len", "min", "max", "any", "all", "set", "frozenset", "Counter"}
_LISTING = {"listdir", "scandir", "iterdir", "glob", "iglob", "rglob"}
_RANDOM = {
    "random", "shuffle", "choice", "choices", "sample", "randint", "uniform", "gauss", "normal", "rand", "randn",
    "permutation", "standard_normal", "randrange", "randperm",
}  # fmt: skip
_SEEDED = {"seed", "manual_seed", "set_random_seed", "seed_everything", "set_seed"}
_GENERATORS = {"default_rng", "RandomState", "Random"}  # unseeded without an argument
_READERS = {
    "open", "Path", "read_csv", "read_json", "read_table", "read_parquet", "read_excel", "load", "loadtxt",
    "genfromtxt", "imread", "urlopen", "urlretrieve", "get", "load_dataset",
}  # fmt: skip
_OUTSIDE = ("/", "~", "..", "http://", "https://", "s3://", "gs://")
_BY_NAME: Mapping[str, HintKind] = {
    "setlocale": "locale", "format_string": "locale", "strcoll": "locale", "strxfrm": "locale", "localeconv": "locale",
    "getpreferredencoding": "encoding",
    "fromtimestamp": "timezone", "localtime": "timezone", "mktime": "timezone", "strftime": "timezone",
    "astimezone": "timezone", "ctime": "timezone", "timestamp": "timezone", "tzset": "timezone",
    "today": "clock", "utcnow": "clock", "now": "clock",
    "cpu_count": "cores", "sched_getaffinity": "cores", "ThreadPoolExecutor": "cores", "ProcessPoolExecutor": "cores",
    "Pool": "cores", "ThreadPool": "cores",
    "urandom": "randomness", "uuid4": "randomness", "token_hex": "randomness", "getrandbits": "randomness",
}  # fmt: skip


class Hint(Data, frozen=True, kw_only=True):
    """One place in the code that depends on more than code and data. `subject` is a variable or a function."""

    kind: HintKind
    subject: str
    place: str  # `evaluate.py line 12`


def hints_of(sources: Mapping[str, str]) -> list[Hint]:
    """List such places in Python sources, by path. A file that cannot be parsed tells nothing."""
    trees = {}
    for path, source in sorted(sources.items()):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of the parser, about how others write
                trees[path] = ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):  # noqa: PERF203  (one bad file must not hide the others)
            continue
    seeded = any(_name_of(node) in _SEEDED for tree in trees.values() for node in ast.walk(tree))
    found: dict[Hint, None] = {}
    for path, tree in trees.items():
        for node, parent in _with_parents(tree):
            for kind, subject in _look_at(node, parent, seeded=seeded):
                found[Hint(kind=kind, subject=subject, place=f"{path} line {getattr(node, 'lineno', 1)}")] = None
    return list(found)


def _with_parents(tree: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
    for parent in ast.walk(tree):
        for child in ast.iter_child_nodes(parent):
            yield child, parent


def _name_of(node: ast.AST) -> str:
    """Give the last word of what is called, empty for what is no call."""
    if not isinstance(node, ast.Call):
        return ""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _look_at(node: ast.AST, parent: ast.AST, *, seeded: bool) -> Iterator[tuple[HintKind, str]]:
    variable = _variable(node)
    if variable:
        yield "variable", variable
    name = _name_of(node)
    is_sorted = _name_of(parent) in _UNORDERED_IS_FINE or isinstance(parent, ast.Compare)
    is_set = isinstance(node, ast.Set | ast.SetComp) or name in {"set", "frozenset"}
    if (is_set and not is_sorted) or (name == "hash" and isinstance(getattr(node, "func", None), ast.Name)):
        yield "hash order", "hash" if name == "hash" else "a set"
    if not isinstance(node, ast.Call):
        return
    if name in _READERS and _first_text(node).startswith(_OUTSIDE):
        yield "input", f"`{_first_text(node)}`, which is outside the project"
    if name in _LISTING and not is_sorted:
        yield "listing", name
    if name in _BY_NAME:
        yield _BY_NAME[name], name
    if name == "time" and _owner(node) == "time":
        yield "clock", "time.time"
    if name == "open" and isinstance(node.func, ast.Name) and _is_text_without_encoding(node):
        yield "encoding", "open without an encoding"
    if name in _GENERATORS and not node.args and not node.keywords:
        yield "randomness", f"{name} without a seed"
    if name in _RANDOM and _owner(node) in {"random", "torch"} and not seeded:
        yield "randomness", f"{_owner(node)}.{name} without a seed"


def _owner(call: ast.Call) -> str:
    """Give the word before the last dot of what is called."""
    value = call.func.value if isinstance(call.func, ast.Attribute) else None
    return value.attr if isinstance(value, ast.Attribute) else getattr(value, "id", "")


def _first_text(call: ast.Call) -> str:
    first = call.args[0] if call.args else None
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""


def _is_text_without_encoding(call: ast.Call) -> bool:
    mode = call.args[1] if len(call.args) > 1 else next((one.value for one in call.keywords if one.arg == "mode"), None)
    binary = isinstance(mode, ast.Constant) and "b" in str(mode.value)
    return not binary and len(call.args) < 4 and all(one.arg != "encoding" for one in call.keywords)


def _variable(node: ast.AST) -> str:
    """Give the name of the environment variable that is read here."""
    key: ast.AST | None = None
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load) and _is_environ(node.value):
        key = node.slice
    elif isinstance(node, ast.Call) and node.args:
        is_get = isinstance(node.func, ast.Attribute) and node.func.attr == "get" and _is_environ(node.func.value)
        key = node.args[0] if is_get or _name_of(node) == "getenv" else None
    return key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else ""


def _is_environ(node: ast.AST) -> bool:
    return getattr(node, "attr", getattr(node, "id", "")) == "environ"
