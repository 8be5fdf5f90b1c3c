"""Content-addressed folders of files: `.envcap/store` beside a lock, and the download cache of a user."""

import errno
import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from envcap.errors import RefusedError

STORE_FOLDER = ".envcap/store"  # beside the lock, with forward slashes: the lock holds such paths

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Incoming:
    """A file on its way into a store. It knows the size and the sha256 of what was written so far."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self.size = 0

    def write(self, piece: bytes) -> int:
        """Write `piece`; give its length, as files do."""
        self._digest.update(piece)
        self.size += len(piece)
        return self._file.write(piece)

    @property
    def sha256(self) -> str:
        """The digest of everything written so far, in hex."""
        return self._digest.hexdigest()


class Store:
    """Files under `root`, each in a folder named by its sha256 so that it can keep its own name.

    With `beneath`, files that are there already are found there and not kept twice.
    """

    def __init__(self, root: Path, *, beneath: "Store | None" = None) -> None:
        self.root = root
        self._beneath = beneath

    def path(self, sha256: str, name: str) -> Path:
        """Tell where the file of that digest and name is, or would be."""
        return self.root / sha256 / name

    def find(self, sha256: str, name: str) -> Path | None:
        """Give the file if it is here and its bytes still have that digest; a damaged one is removed."""
        path = self.path(sha256, name)
        if not path.is_file():
            return self._beneath.find(sha256, name) if self._beneath is not None else None
        if file_sha256(path) == sha256:
            return path
        path.unlink()
        return None

    def require(self, sha256: str, name: str, *, what: str) -> Path:
        """Give the file, checked. Raise RefusedError when it is gone or damaged."""
        path = self.find(sha256, name)
        if path is None:
            raise RefusedError(
                f"{what} `{name}` ({sha256[:12]}…) is missing or damaged in `{self.root}`.",
                hint="The folder `.envcap` belongs to the lock: copy it along with the lock, or freeze again.",
            )
        return path

    @contextmanager
    def staged(self) -> Iterator["Store"]:
        """Give a store to fill; its files come into this one when the block ends well, else they are gone."""
        scratch = self.root.with_name(f".{self.root.name}.{secrets.token_hex(4)}.new")
        is_first = not scratch.parent.exists()
        try:
            yield Store(scratch, beneath=self)
            for path in sorted(scratch.glob("*/*")) if scratch.is_dir() else []:
                target = self.root / path.relative_to(scratch)
                target.parent.mkdir(parents=True, exist_ok=True)
                path.replace(target)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
            if is_first:
                with suppress(OSError):
                    scratch.parent.rmdir()  # fails, rightly, when something came into it
            with suppress(OSError):
                self.root.parent.rmdir()  # the folder around it, where this was to be its first content

    @contextmanager
    def receive(self, name: str) -> Iterator[Incoming]:
        """Give a file to write to; when the block ends well it is kept as `name` under its digest.

        When the block raises, nothing is left. Two processes may receive the same file at once.
        """
        scratch = self.root / "incoming"
        descriptor, new = _scratch_file(scratch)
        try:
            with os.fdopen(descriptor, "wb") as file:
                incoming = Incoming(file)
                yield incoming
                file.flush()
                os.fsync(file.fileno())
            Path(new).chmod(0o644)
            target = self.path(incoming.sha256, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            Path(new).replace(target)
        except OSError as error:
            if error.errno in _FULL and error.filename is None:  # writing tells no name
                error.filename = str(scratch / name)
            raise
        finally:
            Path(new).unlink(missing_ok=True)
            with suppress(OSError):
                scratch.rmdir()  # fails, rightly, while another file is on its way

    def add_bytes(self, content: bytes, name: str) -> str:
        """Keep `content` under `name`; give its sha256."""
        sha256 = hashlib.sha256(content).hexdigest()
        if self.find(sha256, name) is None:
            with self.receive(name) as incoming:
                incoming.write(content)
        return sha256

    def add_file(self, source: Path) -> str:
        """Keep a copy of `source` under its own name; give its sha256."""
        sha256 = file_sha256(source)
        if self.find(sha256, source.name) is None:
            with source.open("rb") as stream, self.receive(source.name) as incoming:
                shutil.copyfileobj(stream, incoming, 1 << 20)
                sha256 = incoming.sha256
        return sha256


def _scratch_file(folder: Path) -> tuple[int, str]:
    for _ in range(100):
        # Somebody who was done may remove the empty folder at any moment, also while it is being made.
        with suppress(FileNotFoundError, FileExistsError):
            folder.mkdir(parents=True, exist_ok=True)
            return tempfile.mkstemp(dir=folder)
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(folder))


def file_sha256(path: Path) -> str:
    """Give the sha256 of a file's bytes, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
