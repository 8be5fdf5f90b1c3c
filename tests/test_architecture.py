"""The house keeps its order: who may import whom, and what stays behind which door. Read from the sources."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "envcap"
MOST_LINES = 300
FLOORS = {
    0: {"model", "errors"},
    1: {"trust"},  # and whatever no other floor names
    2: {
        "assemble",
        "probe",
        "pins",
        "project",
        "evaluate",
        "machine",
        "render",
        "engines",
        "numerics",
        "compare",
        "report",
    },
    3: {
        "freeze",
        "build",
        "compilers",
        "inputs",
        "verify",
        "judge",
        "diff",
        "show",
        "export",
        "doctor",
        "upgrade",
        "libraries",
        "os_layer",
        "diagnose",
        "explain",
        "pack",
        "fetching",
        "cache",
        "consent",
        "image_facts",
        "image_files",
        "rerun",
        "bisect",
        "trials",
        "mixtures",
        "stress",
    },
    4: {"commands", "cli", "ending", "start", "__main__"},
}
ROOMS = 2  # here each folder is a room of its own, and no room knows another
GROUND = 1  # a single file at the top, where no other floor names it
FREE = "__init__"  # envcap/__init__.py holds the version, and anybody may read that
VAGUE_NAMES = {"utils", "util", "common", "helpers", "helper", "base", "manager", "misc"}
TARGET = "probe/target"  # runs under another interpreter, without anything of ours
TARGET_MAY_IMPORT = {"pynvml", "envcap_probe"}  # the second is its own name where it has been handed over
NUMERICS = {"numerics/program.py", "numerics/libraries.py"}  # run under the frozen interpreter
# The second runs in a build, apart from envcap.
MAY_START_PROGRAMS = {"process.py", "render/install_archives.py", "numerics/libraries.py"}
COMPILES = "assemble/compile_sources.py"  # runs elsewhere, as the next one and the probe do
MAY_WRITE = {"report/console.py", COMPILES, *NUMERICS}
MAY_EXIT = {"cli.py", COMPILES}


def room_of(path: str) -> str:
    """Give the room of a file, by its path below the package: a folder, or a single file at the top."""
    first = path.split("/", maxsplit=1)[0]
    return first.removesuffix(".py")


def floor_of(room: str) -> int:
    return next((floor for floor, rooms in FLOORS.items() if room in rooms), GROUND)


def find_complaints(package: Path) -> list[str]:
    """Read every source below `package` and tell what is out of order in it."""
    complaints = []
    for file in sorted(package.rglob("*.py")):
        path = file.relative_to(package).as_posix()
        source = file.read_text(encoding="utf-8")
        complaints += [f"{path}: {complaint}" for complaint in _complaints_about(path, source, package)]
    return complaints


def _complaints_about(path: str, source: str, package: Path) -> Iterator[str]:
    tree = ast.parse(source)
    lines = source.count("\n")
    if lines > MOST_LINES:
        yield f"has {lines} lines"
    vague = VAGUE_NAMES.intersection(Path(path).with_suffix("").parts)
    if vague:
        yield f"is called `{', '.join(vague)}`, which says nothing"
    for name in _imports(tree, path, package):
        yield from _complaints_about_import(path, name, package)
    yield from _complaints_about_calls(path, tree)


def _imports(tree: ast.AST, path: str, package: Path) -> Iterator[str]:
    """Give every imported name in full. `from envcap import lockfile` imports `envcap.lockfile`."""
    here = [package.name, *Path(path).with_suffix("").parts]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = ".".join(here[: -node.level]) if node.level else ""
            module = ".".join(filter(None, [above, node.module or ""]))
            if module == package.name:
                yield from (f"{module}.{alias.name}" for alias in node.names)
            else:
                yield module


def _complaints_about_import(path: str, name: str, package: Path) -> Iterator[str]:
    outermost, *below = name.split(".")
    in_target = path.startswith(f"{TARGET}/")
    if outermost == "click":
        yield "imports click, which the option library brings along in its own copy"
    if outermost in {"subprocess", "pty"} and path not in MAY_START_PROGRAMS and not in_target:
        yield f"imports {outermost}; process.py is the door to other programs"
    if in_target:
        foreign = outermost not in sys.stdlib_module_names | TARGET_MAY_IMPORT
        if foreign and not name.startswith(f"{package.name}.probe.target"):
            yield f"imports {name}, which the interpreter that it describes may not have"
        return
    if outermost != package.name or not below or not _is_room(package, below[0]):
        return
    mine, other = room_of(path), below[0]
    if floor_of(other) < floor_of(mine) or mine == other:
        return
    if floor_of(other) == floor_of(mine) != ROOMS:
        return  # the single files of a floor are one room
    yield f"imports {name}: `{mine}` is on floor {floor_of(mine)}, `{other}` on floor {floor_of(other)}"


def _is_room(package: Path, name: str) -> bool:
    return (package / name).is_dir() or (package / f"{name}.py").is_file()


def _complaints_about_calls(path: str, tree: ast.AST) -> Iterator[str]:
    in_target = path.startswith(f"{TARGET}/")
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id == "print" and path not in MAY_WRITE and not in_target:
                yield "prints"
            if node.func.id in {"exit", "quit"}:
                yield f"calls {node.func.id}"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            what = f"{node.value.id}.{node.attr}"
            if what in {"sys.exit", "os._exit", "os.abort"} and path not in MAY_EXIT and not in_target:
                yield f"uses {what}; only cli.py ends the process"
            if what in {"sys.stdout", "sys.stderr"} and path not in MAY_WRITE and not in_target:
                yield f"uses {what}; report/console.py is the door to the terminal"
            if what in {"os.system", "os.popen", "os.fork", "os.execv", "os.execve", "os.execvp"} and path != COMPILES:
                yield f"uses {what}; process.py is the door to other programs"
        raised = node.exc if isinstance(node, ast.Raise) else None
        named = raised.func if isinstance(raised, ast.Call) else raised
        if isinstance(named, ast.Name) and named.id == "SystemExit" and path not in MAY_EXIT and not in_target:
            yield "raises SystemExit; only cli.py ends the process"


def test_the_house_is_in_order() -> None:
    assert find_complaints(PACKAGE) == []


def test_every_room_has_its_floor() -> None:
    named = set().union(*FLOORS.values())
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and any(path.glob("*.py"))}
    assert folders <= named, "a new folder needs a floor"


def test_every_file_tells_what_lives_there() -> None:
    silent = [
        str(file.relative_to(PACKAGE))
        for file in PACKAGE.rglob("*.py")
        if not ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))
    ]
    assert silent == []


PLANTED = {
    "compare/wrong.py": (
        "from envcap.render.quoting import exec_form\n",
        "`compare` is on floor 2, `render` on floor 2",
    ),
    "model/wrong.py": ("import envcap.lockfile\n", "`model` is on floor 0, `lockfile` on floor 1"),
    "lockfile.py": ("from envcap import render\n", "`lockfile` is on floor 1, `render` on floor 2"),
    "pins/wrong.py": (
        "def late():\n    from ..engines.docker import x\n",
        "`pins` is on floor 2, `engines` on floor 2",
    ),
    "errors.py": ("from envcap.build import build\n", "`errors` is on floor 0, `build` on floor 3"),
    "engines/wrong.py": ("import subprocess\n", "process.py is the door"),
    "render/wrong.py": ("print('hello')\n", "prints"),
    "build.py": ("import sys\nsys.exit(1)\n", "only cli.py ends the process"),
    "verify.py": ("raise SystemExit(1)\n", "only cli.py ends the process"),
    "report/wrong.py": ("import sys\nsys.stdout.write('x')\n", "the door to the terminal"),
    "cli.py": ("import click\n", "imports click"),
    "probe/target/wrong.py": ("import msgspec\n", "may not have"),
    "store.py": ("import os\nos.system('ls')\n", "process.py is the door"),
    "project/utils.py": ("X = 1\n", "says nothing"),
    "evaluate/long.py": ("X = 1\n" * (MOST_LINES + 1), f"{MOST_LINES + 1} lines"),
}


@pytest.mark.parametrize("path", PLANTED)
def test_a_planted_mistake_is_found(path: str, tmp_path: Path) -> None:
    package = tmp_path / "envcap"
    for room in ("model", "lockfile", "render", "engines", "build"):
        (package / room).mkdir(parents=True)
    text, complaint = PLANTED[path]
    file = package / path
    if file.with_suffix("").is_dir():
        file.with_suffix("").rmdir()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    found = find_complaints(package)
    assert len(found) == 1, found
    assert found[0].startswith(f"{path}: ")
    assert re.search(re.escape(complaint), found[0]), found


def test_an_honest_file_raises_no_complaint(tmp_path: Path) -> None:
    package = tmp_path / "envcap"
    (package / "render").mkdir(parents=True)
    (package / "store.py").write_text('"""Files."""\n', encoding="utf-8")
    (package / "render" / "context.py").write_text(
        "import json\nfrom envcap import __version__\nfrom envcap.store import Store\n", encoding="utf-8"
    )
    assert find_complaints(package) == []
