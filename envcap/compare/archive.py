"""A zip as its members, without what only packing decides: order, dates, compression, attributes. Pure."""

import io
import zipfile
import zlib

LARGEST = 512 << 20  # bytes of all members together: a small zip can unpack to terabytes
_MOST_MEMBERS = 10_000


def read_members(content: bytes, *, most: int = LARGEST) -> dict[str, bytes]:
    """Give each member's bytes by name. Nothing is written anywhere, so a name that leaves the folder is only a name.

    Raises ValueError for what is no zip, is encrypted, names a member twice, or would unpack to more than `most` bytes.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _members(archive, most)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise ValueError(f"it is no zip that can be read ({error})") from error


def _members(archive: zipfile.ZipFile, most: int) -> dict[str, bytes]:
    entries = archive.infolist()
    if len(entries) > _MOST_MEMBERS:
        raise ValueError(f"it has more than {_MOST_MEMBERS:,} members")
    members: dict[str, bytes] = {}
    left = most
    for entry in entries:
        if entry.filename in members:
            raise ValueError(f"it names the member {entry.filename!r} twice")
        with archive.open(entry) as stream:
            data = stream.read(left + 1)  # not as many as the entry claims: that is only a claim
        left -= len(data)
        if left < 0:
            raise ValueError(f"it unpacks to more than {most:,} bytes")
        members[entry.filename] = data
    return members
