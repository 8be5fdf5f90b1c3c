"""What the user's cache holds."""

from envcap.model.struct import Data


class CacheContents(Data, frozen=True, kw_only=True):
    """The cache's folder, the bytes of each part of it, and the bytes that were removed."""

    folder: str
    sizes: dict[str, int]
    removed: int = 0
