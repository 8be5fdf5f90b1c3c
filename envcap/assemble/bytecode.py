"""The byte code of wheels: their sources go to a Python of the image's version, and what it makes comes back."""

import io
import json
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from envcap.assemble.archive import LayerArchive
from envcap.assemble.compile_sources import MARK
from envcap.assemble.wheel import Archive, write_wheel
from envcap.errors import NotRunError
from envcap.model.image import Installation
from envcap.model.struct import Data

_OF_TESTS = {"test", "tests"}  # folders
PROGRAM, SOURCES, BYTECODE = "compile_sources.py", "sources.tar", "bytecode.tar"


class Compiler(Data, frozen=True, kw_only=True):
    """A Python that compiles, by a name: two of one name make the same byte code."""

    name: str
    # Runs PROGRAM, one of the given files; leaves BYTECODE in the folder, and gives what was printed.
    run: Callable[[Mapping[str, bytes], Path], str]


class Bytecode(Data, frozen=True, kw_only=True):
    """Where the byte code of one wheel is: members of an archive."""

    archive: Path
    members: list[tuple[str, int, int]]  # place in the image, offset and size in the archive


def compile_wheels(
    wheels: Mapping[str, Path], installation: Installation, compiler: Compiler, *, scratch: Path
) -> dict[str, Bytecode]:
    """Give the byte code of each wheel, by its sha256. It is in a file in `scratch`, an empty folder.

    The sources of all are in memory meanwhile. Raises NotRunError when they cannot be compiled, or by another Python
    than the lock names.
    """
    sources = _Sources(installation)
    for sha256, wheel in wheels.items():
        sources.wheel = sha256
        write_wheel(wheel, sources, installation, only_sources=True)
    program = Path(__file__).with_name(PROGRAM).read_bytes()
    said = compiler.run({PROGRAM: program, SOURCES: sources.finished(), BYTECODE: b""}, scratch)
    _require_version(said, installation.python)
    return _sort_out(scratch / BYTECODE, sources.expected)


def has_bytecode(path: str) -> bool:
    """Tell whether a file of the site folder is a module that gets byte code: all do but a package's own tests.

    Those of numpy, scipy, pandas and scikit-learn are nearly half of the byte code of an environment of the four, and
    hardly anybody runs them in an image. It can be done all the same: Python compiles what it imports.
    """
    *folders, file = path.split("/")
    # A file that is called `.py` and nothing more is no module.
    return file.endswith(".py") and file != ".py" and _OF_TESTS.isdisjoint(folders)


def _sort_out(archive: Path, expected: set[str]) -> dict[str, Bytecode]:
    """Find the byte code of each wheel. Raises NotRunError for what is none, or too little: it comes from a container.

    `expected` are the modules without their ending. An empty member is a module that this Python cannot read.
    """
    found: dict[str, list[tuple[str, int, int]]] = {}
    missing = set(expected)
    try:
        with tarfile.open(archive) as members:
            for member in members:
                folder, _, file = member.name.rpartition("/__pycache__/")
                stem, *endings = file.rsplit(".", 2)  # `name.cpython-311.pyc`
                module = f"{folder}/{stem}"
                if module not in expected or not member.isfile() or len(endings) != 2 or endings[1] != "pyc":
                    raise NotRunError(f"Compiling byte code gave `{member.name}`, which is none.")
                missing.discard(module)
                wheel, _, place = member.name.partition("/")
                if member.size:
                    found.setdefault(wheel, []).append((place, member.offset_data, member.size))
    except (tarfile.TarError, EOFError) as error:
        raise NotRunError(f"Compiling byte code gave an archive that cannot be read: {error}.") from error
    if missing:
        raise NotRunError(
            f"Compiling byte code ended without {len(missing)} of {len(expected)} modules, `{min(missing)}` among them."
        )
    return {wheel: Bytecode(archive=archive, members=sorted(members)) for wheel, members in found.items()}


def add_bytecode(bytecode: Bytecode, archive: Archive) -> None:
    """Write the byte code of one wheel into an archive that has its modules."""
    with bytecode.archive.open("rb") as stream:
        for place, offset, size in bytecode.members:
            stream.seek(offset)
            archive.add(place, io.BytesIO(stream.read(size)), size=size)


class _Sources:
    """Takes the modules of an installation, and nothing else of it: scripts and data are never imported."""

    def __init__(self, installation: Installation) -> None:
        self.stream = io.BytesIO()
        self.wheel = ""
        self.expected: set[str] = set()  # modules, by their places without `.py`
        self._archive = LayerArchive(self.stream, folders=False)
        self._site = f"{installation.site}/".lstrip("/")

    def add(self, name: str, content: IO[bytes], *, size: int, executable: bool = False) -> None:
        """Take one file, if it is a module that is to have byte code."""
        if name.startswith(self._site) and has_bytecode(name.removeprefix(self._site)):
            self._archive.add(f"{self.wheel}/{name}", content, size=size, executable=executable)
            self.expected.add(f"{self.wheel}/{name.removesuffix('.py')}")

    def finished(self) -> bytes:
        """Give the archive of all."""
        self._archive.close()
        return self.stream.getvalue()


def _require_version(said: str, version: str) -> None:
    told = [line.removeprefix(MARK) for line in said.splitlines() if line.startswith(MARK)]
    compiled_by = json.loads(told[-1]) if told else "unknown"
    if compiled_by != version:
        raise NotRunError(
            f"The base image's `python3` is `{compiled_by}`, and the environment was frozen with Python `{version}`.",
            hint="Freeze again with a base that has it: `--base IMAGE`.",
        )
