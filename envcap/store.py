"""Content-addressed folders of files: `.envcap/store` beside a lock, and the download cache of a user."""

import errno
import fcntl
import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from envcap.errors import RefusedError
from envcap.store_memory import Memory

STORE_FOLDER = ".envcap/store"  # beside the lock, with forward slashes: the lock holds such paths
_PIECE = 1 << 20  # bytes

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Incoming:
    """A file on its way into a store. It knows the size and the sha256 of what was written so far."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self.size = 0

    def take_up(self) -> None:
        """Go on after what the file holds already."""
        self._file.seek(0)
        while piece := self._file.read(_PIECE):
            self._digest.update(piece)
            self.size += len(piece)

    def start_over(self) -> None:
        """Forget what was written so far."""
        self._file.seek(0)
        self._file.truncate()
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

    With `beneath`, files that are there already are found there and not kept twice. With a `memory`, a file that is
    known from before is not read again; a lock's own store comes from elsewhere, and is read each time.
    """

    def __init__(self, root: Path, *, beneath: "Store | None" = None, memory: Memory | None = None) -> None:
        self.root = root
        self._beneath = beneath
        self._memory = memory

    def path(self, sha256: str, name: str) -> Path:
        """Tell where the file of that digest and name is, or would be."""
        return self.root / sha256 / name

    def find(self, sha256: str, name: str) -> Path | None:
        """Give the file if it is here and its bytes still have that digest; a damaged one is removed."""
        path = self.path(sha256, name)
        if not path.is_file():
            return self._beneath.find(sha256, name) if self._beneath is not None else None
        if self._memory is not None and self._memory.knows(sha256, path):
            return path
        before = path.stat()
        if file_sha256(path) == sha256:
            self._note(sha256, path, before)
            return path
        path.unlink()
        return None

    def _note(self, sha256: str, path: Path, status: os.stat_result) -> None:
        if self._memory is not None:
            self._memory.note(sha256, path, status)

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
                written = os.fstat(file.fileno())
            Path(new).chmod(0o644)
            target = self.path(incoming.sha256, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            Path(new).replace(target)
            self._note(incoming.sha256, target, written)
        except OSError as error:
            if error.errno in _FULL and error.filename is None:  # writing tells no name
                error.filename = str(scratch / name)
            raise
        finally:
            Path(new).unlink(missing_ok=True)
            with suppress(OSError):
                scratch.rmdir()  # fails, rightly, while another file is on its way

    @contextmanager
    def resume(self, sha256: str, name: str) -> Iterator[Incoming]:
        """Give a file to write to that may hold a beginning already, left by a transfer that broke off.

        When the block ends well and the bytes have that digest, it is kept as `name`; when they have another it is
        gone. When the block raises, what was written stays for the next time if a `validator` says what it is of.
        The caller holds `reserve`.
        """
        part = self._part(sha256)
        incoming = None
        try:
            with _open_part(part) as file:
                incoming = Incoming(file)
                incoming.take_up()
                yield incoming
                file.flush()
                os.fsync(file.fileno())
        except BaseException as error:
            is_full = isinstance(error, OSError) and error.errno in _FULL
            if is_full or incoming is None or not incoming.size or not self.validator(sha256).is_file():
                self.abandon(sha256)
            if isinstance(error, OSError) and is_full and error.filename is None:  # writing tells no name
                error.filename = str(part)
            raise
        if incoming.sha256 != sha256:
            self.abandon(sha256)
            return
        part.chmod(0o644)
        written = part.stat()
        target = self.path(sha256, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        part.replace(target)
        self._note(sha256, target, written)
        self.abandon(sha256)

    def validator(self, sha256: str) -> Path:
        """Tell where the server's mark of the file that a beginning was taken from is kept."""
        return self._part(sha256).with_suffix(".tag")

    def abandon(self, sha256: str) -> None:
        """Remove the beginning of a file, if there is one."""
        self._part(sha256).unlink(missing_ok=True)
        self.validator(sha256).unlink(missing_ok=True)
        with suppress(OSError):
            self._part(sha256).parent.rmdir()  # fails, rightly, while another file is on its way

    @contextmanager
    def reserve(self, sha256: str, *, waiting: Callable[[], None]) -> Iterator[None]:
        """Have the file of that digest alone among all processes; `waiting` is called once where another has it.

        The system lets go of the lock of a process that ends in whatever way.
        """
        path = self.root / "locks" / sha256
        descriptor = _lock_file(path, waiting)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)  # whoever waits for this one sees that its name is gone, and begins anew
            os.close(descriptor)
            with suppress(OSError):
                path.parent.rmdir()

    def _part(self, sha256: str) -> Path:
        return self.root / "partial" / f"{sha256}.part"

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


def _lock_file(path: Path, waiting: Callable[[], None]) -> int:
    """Open and lock a file, and see to it that it still has its name: another may have removed it meanwhile."""
    told = False
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:  # somebody who was done removed the empty folder
            continue
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not told:
                    waiting()
                told = True
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            with suppress(FileNotFoundError):
                if path.stat().st_ino == os.fstat(descriptor).st_ino:
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _open_part(part: Path) -> IO[bytes]:
    for _ in range(100):
        # As below: whoever is done with the last other file removes the folder.
        with suppress(FileNotFoundError, FileExistsError):
            part.parent.mkdir(parents=True, exist_ok=True)
            return part.open("r+b" if part.exists() else "w+b")
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(part.parent))


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
