"""Zipped eggs on sys.path, which easy_install made of whole distributions. Opens them as imports do."""

from .headers import head, parse_headers, values_of
from .requires import parse_requires_txt

_INFO = "EGG-INFO/"
_LARGEST = 1 << 24  # bytes of one metadata file, unpacked


def read_zipped_egg(path: str) -> "dict[str, object] | None":
    """Give the distribution that an egg holds ("The Internal Structure of Python Eggs"), or None for another archive.

    Raises ValueError with the reason when it is one that cannot be read.
    """
    try:
        content = _content(path, "PKG-INFO")
        wanted = b"" if content is None else _content(path, "requires.txt")
    except Exception as error:  # noqa: BLE001  (what the reader and zlib raise for damaged archives is not told)
        raise ValueError(str(error) or type(error).__name__) from None
    if content is None:
        return None
    headers = head(content)
    fields = parse_headers(headers, ("Name", "Version"), first_only=True)
    if not all(values and values[0] for values in fields.values()):
        raise ValueError("its PKG-INFO has no name or no version")
    return {
        "name": fields["Name"][0],
        "version": fields["Version"][0],
        "path": path + "/" + _INFO.rstrip("/"),
        "layout": "egg-info",
        "requires": values_of(headers, "Requires-Dist") or parse_requires_txt(wanted or b""),
    }


def _content(path: str, name: str) -> "bytes | None":
    """Give a file of the egg's metadata, None where it has none."""
    import zipimport

    archive = zipimport.zipimporter(path)
    entry = zipimport._zip_directory_cache[archive.archive].get(_INFO + name)  # type: ignore[attr-defined]
    if entry is None:
        return None
    if entry[3] > _LARGEST:  # the size unpacked, as the archive's directory states it
        raise ValueError("its {} is too large".format(name))
    return bytes(archive.get_data(path + "/" + _INFO + name))
