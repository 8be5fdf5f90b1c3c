"""Where a program sets its seeds, read from its source without running it. Pure, but for reading the files."""

import ast
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from envcap.evaluate.classify import source_of
from envcap.model.evaluation import Seed
from envcap.redact import redact_text
from envcap.regular import read_regular

# Functions of random, numpy, torch and what is built on them, by the last parts of their names.
_SEEDING = {
    "random.seed", "numpy.random.seed", "numpy.random.default_rng", "numpy.random.RandomState", "random.Random",
    "numpy.random.SeedSequence", "torch.manual_seed", "torch.cuda.manual_seed", "torch.cuda.manual_seed_all",
    "tensorflow.random.set_seed", "tensorflow.keras.utils.set_random_seed", "keras.utils.set_random_seed",
    "jax.random.PRNGKey", "jax.random.key", "transformers.set_seed", "accelerate.utils.set_seed",
    "lightning.seed_everything", "pytorch_lightning.seed_everything", "random.default_rng",
}  # fmt: skip
_KEYWORDS = {"random_state", "seed", "random_seed"}
_LARGEST = 1 << 20  # bytes of a source file
_LONGEST = 80  # characters of a call that are kept
_MOST = 50


def find_seeds(read: Iterable[str], *, project: Path, environment: tuple[str, ...]) -> list[Seed]:
    """Give the places of the project's own files, of those that a run read, which set a seed; at most 50, sorted.

    `environment` are the folders of interpreter and packages, with a slash at the end, which may be in the project.
    """
    root = os.path.realpath(project)
    found: list[Seed] = []
    for path in sorted({source_of(path) for path in read}):
        if not path.startswith(f"{root}/") or path.startswith(environment) or not path.endswith(".py"):
            continue
        try:
            text = read_regular(Path(path), limit=_LARGEST)
            found += seeds_in(text.decode("utf-8", errors="replace"), file=os.path.relpath(path, root))
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
            continue  # the interpreter of the run has read it; what this one cannot is not told
    return found[:_MOST]


def seeds_in(source: str, *, file: str) -> Iterator[Seed]:
    """Give the calls in a source text that set a seed. Raises SyntaxError or ValueError where it is no Python."""
    tree = ast.parse(source)
    names = _imported(tree)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = _dotted(node.func, names)
        keywords = [word for word in node.keywords if word.arg in _KEYWORDS and isinstance(word.value, ast.Constant)]
        if called in _SEEDING:
            yield Seed(file=file, line=node.lineno, call=_shorten(f"{called}({_arguments(node)})"))
        elif keywords:
            words = ", ".join(f"{word.arg}={ast.unparse(word.value)}" for word in keywords)
            yield Seed(file=file, line=node.lineno, call=_shorten(f"{called or '…'}({words})"))


def _arguments(node: ast.Call) -> str:
    return ", ".join(ast.unparse(argument) for argument in [*node.args, *(word.value for word in node.keywords)])


def _shorten(text: str) -> str:
    text = redact_text(" ".join(text.split()))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _imported(tree: ast.Module) -> dict[str, str]:
    """Give what the names of modules and functions in the text stand for."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.split(".")[0]
                names[alias.asname or first] = alias.name if alias.asname else first
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def _dotted(node: ast.expr, names: dict[str, str]) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([names.get(node.id, node.id), *reversed(parts)])
