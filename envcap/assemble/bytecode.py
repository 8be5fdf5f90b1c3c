"""The byte code of wheels: their sources go to a Python of the image's version, and what it makes comes back."""

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from envcap.archives import unpack
from envcap.assemble.archive import LayerArchive
from envcap.assemble.compile_sources import MARK
from envcap.assemble.wheel import Archive, write_wheel
from envcap.errors import NotRunError
from envcap.model.image import Installation

PROGRAM, SOURCES, BYTECODE = "compile_sources.py", "sources.tar", "bytecode.tar"
# Runs PROGRAM, one of the given files, with a Python: it leaves BYTECODE in the folder, and gives what was printed.
Compiler = Callable[[Mapping[str, bytes], Path], str]
_BATCH = 48 << 20  # bytes of sources after which they are handed over: they are held in memory


def compile_wheels(wheels: Mapping[str, Path], installation: Installation, compiler: Compiler, *, into: Path) -> None:
    """Leave the byte code of each wheel in the folder `into`, below the wheel's sha256 and there in its place.

    Raises NotRunError when it cannot be compiled, or by another Python than the lock names.
    """
    program = Path(__file__).with_name(PROGRAM).read_bytes()
    batch = _Sources(installation)
    for number, (sha256, wheel) in enumerate(wheels.items(), 1):
        batch.wheel = sha256
        write_wheel(wheel, batch, installation, only_sources=True)
        if batch.stream.tell() > _BATCH or number == len(wheels):
            said = compiler({PROGRAM: program, SOURCES: batch.finished(), BYTECODE: b""}, into)
            _require_version(said, installation.python)
            with (into / BYTECODE).open("rb") as made:
                unpack(made, into, links=False)
            batch = _Sources(installation)


def add_bytecode(folder: Path, archive: Archive) -> None:
    """Write what `compile_wheels` left of one wheel into an archive."""
    for path in sorted(folder.rglob("*.pyc")):
        with path.open("rb") as content:
            archive.add(path.relative_to(folder).as_posix(), content, size=path.stat().st_size)


class _Sources:
    """Takes the modules of an installation, and nothing else of it: scripts and data are never imported."""

    def __init__(self, installation: Installation) -> None:
        self.stream = io.BytesIO()
        self.wheel = ""
        self._archive = LayerArchive(self.stream, folders=False)
        self._site = installation.site.lstrip("/")

    def add(self, name: str, content: IO[bytes], *, size: int, executable: bool = False) -> None:
        """Take one file, if it is a module."""
        if name.startswith(f"{self._site}/") and name.endswith(".py"):
            self._archive.add(f"{self.wheel}/{name}", content, size=size, executable=executable)

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
