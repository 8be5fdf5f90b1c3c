"""What every image holds beside the packages and the code: a home, and the lock. Pure."""

import io
import tarfile

from envcap.model.image import ContextFile
from envcap.model.layout import HOME, IMAGE_ARCHIVE, LOCK_FOLDER, OWNER
from envcap.model.lock import Lock

_EPOCH = 315532800  # 1980-01-01, the earliest time that zip files can hold too


def image_archive(lock: Lock, lock_file: bytes | None) -> ContextFile:
    """Give the archive that is unpacked at the root, folders named so that every builder makes the same layer of it.

    `lock_file` are the bytes of the lock, None where they are not at hand.
    """
    home = HOME.removeprefix("/")
    parts = LOCK_FOLDER.split("/")
    above = [home.rpartition("/")[0], *("/".join(parts[:depth]) for depth in range(1, len(parts) + 1))]
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for folder in sorted([*above, home]):
            member = _member(folder, owner=OWNER if folder == home else 0)
            member.type, member.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(member)
        if lock_file is not None:
            member = _member(f"{LOCK_FOLDER}/pylock.{lock.name}.toml", owner=0)
            member.size, member.mode = len(lock_file), 0o644
            archive.addfile(member, io.BytesIO(lock_file))
    return ContextFile(path=IMAGE_ARCHIVE, content=stream.getvalue())


def _member(name: str, *, owner: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.uid = member.gid = owner
    member.mtime = _EPOCH
    return member
