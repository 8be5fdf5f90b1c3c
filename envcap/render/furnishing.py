"""What every image holds beside the packages and the code: a user with a home, and the lock. Pure."""

import io
import tarfile

from envcap.model.image import ContextFile
from envcap.model.layout import CODE_FOLDER, EPOCH, HOME, IMAGE_ARCHIVE, LOCK_FOLDER, OWNER
from envcap.model.lock import Lock

USER = "envcap"
_ACCOUNTS = {
    "/etc/passwd": f"{USER}:x:{OWNER}:{OWNER}::{HOME}:/bin/sh\n".encode(),
    "/etc/group": f"{USER}:x:{OWNER}:\n".encode(),
}
# One line, since it stands in the Dockerfile: the user's entries after what the base and its packages have, unless they
# have that number. `pwd.getpwuid`, and with it `whoami` and `~envcap`, know nobody without one. One time for all, also
# for the folder: some builders put files of their own into it.
MAKE_USER = (
    f"import os, pathlib, re; accounts = {{pathlib.Path(path): line for path, line in {_ACCOUNTS}.items()}}; "
    f"[path.write_bytes(path.read_bytes() + line) for path, line in accounts.items() "
    f"if not re.search(br'(?m)^[^:]*:[^:]*:{OWNER}:', path.read_bytes())]; "
    f"[os.utime(path, ({EPOCH}, {EPOCH})) for path in [*accounts, '/etc']]"
)


def image_archive(lock: Lock, lock_file: bytes | None) -> ContextFile:
    """Give the archive that is unpacked at the root, folders named so that every builder makes the same layer of it.

    The working directory is one of them: an image without code has it from here, and one that WORKDIR had to make would
    have the time of the build. `lock_file` are the bytes of the lock, None where they are not at hand.
    """
    home = HOME.removeprefix("/")
    parts = LOCK_FOLDER.split("/")
    above = [home.rpartition("/")[0], *("/".join(parts[:depth]) for depth in range(1, len(parts) + 1))]
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for folder in sorted([*above, home, CODE_FOLDER]):
            member = _member(folder, owner=OWNER if folder in {home, CODE_FOLDER} else 0)
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
    member.mtime = EPOCH
    return member
