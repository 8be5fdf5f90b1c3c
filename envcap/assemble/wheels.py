"""Assembled wheels: an archive of each, made once and kept for all projects, and layers joined of them."""

import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from msgspec import structs

from envcap.assemble.archive import LayerArchive, join
from envcap.assemble.bytecode import Bytecode, Compiler, add_bytecode, compile_wheels
from envcap.assemble.wheel import size_of_sources, write_wheel
from envcap.atomic import write_cached
from envcap.model.image import Installation
from envcap.model.progress import Progress, Tell
from envcap.store import Store
from envcap.threads import run_each

FORMAT = 4  # of the archives: to be raised with every change of what is in them
_AT_ONCE = 2  # one batch is on its way to the container or back while another is compiled there
_BATCH = 24 << 20  # bytes of sources after which a batch is full: they are held in memory
_NAME = "files.tar"

_Batch = dict[str, Path]  # wheels by their sha256


class AssembledWheels:
    """The archives of one user, under the wheel, the installation and the format that they were made for."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def find(self, wheel: str, installation: Installation) -> Path | None:
        """Give the archive of the wheel with that sha256, checked, or None."""
        return self._named(self._entry(wheel, installation))

    def _named(self, entry: Path) -> Path | None:
        """Give the archive that an entry names, checked, or None."""
        try:
            sha256 = entry.read_text(encoding="ascii")
        except (OSError, ValueError):
            return None
        return self._store.find(sha256, _NAME) if len(sha256) == hashlib.sha256().digest_size * 2 else None

    def assemble(
        self, wheels: Mapping[str, Path], installation: Installation, *, compiler: Compiler | None, tell: Tell
    ) -> dict[str, Path]:
        """Make the archives of these wheels, named by their sha256. Two processes may make the same one at once.

        Raises RefusedError and NotRunError as `write_wheel` and `compile_wheels` do; finished archives stay.
        """
        self._store.root.mkdir(parents=True, exist_ok=True)
        made: dict[str, Path] = {}
        with tempfile.TemporaryDirectory(prefix="assembling-", dir=self._store.root) as name:

            def work(batch: _Batch) -> dict[str, Path]:
                with tempfile.TemporaryDirectory(dir=name) as scratch:
                    bytecode = (
                        {} if compiler is None else compile_wheels(batch, installation, compiler, scratch=Path(scratch))
                    )
                    return {one: self._assemble(one, batch[one], installation, bytecode.get(one)) for one in batch}

            if compiler is not None and wheels:
                tell(Progress(kind="step", text=f"compiling {len(wheels)} packages for Python {installation.python}"))
            for batch, archives in run_each(work, _batches(wheels), threads=_AT_ONCE):
                made |= archives
                text = f"assembling packages, {next(iter(batch.values())).name} among them"
                tell(Progress(kind="count", text=text, done=len(made), total=len(wheels)))
        return made

    def layer(self, archives: Sequence[Path]) -> Path:
        """Give the archive of one layer, of these archives of its wheels: made once, as they are."""
        if len(archives) == 1:
            return archives[0]
        key = json.dumps([FORMAT, [path.parent.name for path in archives]])
        entry = self._store.root / "layers" / hashlib.sha256(key.encode()).hexdigest()
        held = self._named(entry)
        if held is not None:
            return held
        with self._store.receive(_NAME) as incoming, ExitStack() as stack:
            join([stack.enter_context(path.open("rb")) for path in archives], incoming)
        write_cached(entry, incoming.sha256.encode())
        return self._store.path(incoming.sha256, _NAME)

    def _assemble(self, sha256: str, wheel: Path, installation: Installation, bytecode: Bytecode | None) -> Path:
        with self._store.receive(_NAME) as incoming:
            archive = LayerArchive(incoming)
            write_wheel(wheel, archive, installation)
            if bytecode is not None:
                add_bytecode(bytecode, archive)
            archive.close()
        write_cached(self._entry(sha256, installation), incoming.sha256.encode())
        return self._store.path(incoming.sha256, _NAME)

    def _entry(self, wheel: str, installation: Installation) -> Path:
        key = json.dumps([FORMAT, wheel, structs.asdict(installation)], sort_keys=True)
        return self._store.root / "wheels" / hashlib.sha256(key.encode()).hexdigest()


def _batches(wheels: Mapping[str, Path]) -> list[_Batch]:
    """Give the wheels in batches, the largest first, so that none is left alone with a large one at the end."""
    sizes = {sha256: size_of_sources(wheel) for sha256, wheel in wheels.items()}
    batches: list[_Batch] = []
    size = _BATCH
    for sha256 in sorted(wheels, key=lambda one: -sizes[one]):
        if size >= _BATCH:
            batches.append({})
            size = 0
        batches[-1][sha256] = wheels[sha256]
        size += sizes[sha256]
    return batches
