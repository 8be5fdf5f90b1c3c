"""What the user's cache holds, in words and as a document."""

from envcap.model.cache import CacheContents
from envcap.report.document import encode
from envcap.report.table import table_lines


def describe_cache(contents: CacheContents) -> str:
    """Give the folder, the size of each part in MB, and what was removed."""
    rows = [(part, f"{size / 1e6:,.1f} MB") for part, size in contents.sizes.items()]
    total = f"{sum(contents.sizes.values()) / 1e6:,.1f} MB"
    lines = [f"Cache: {contents.folder}"]
    lines += [*table_lines(("part", "size"), [*rows, ("all", total)])]
    if contents.removed:
        lines.append(f"Removed: {contents.removed / 1e6:,.1f} MB")
    return "\n".join(lines) + "\n"


def cache_document(contents: CacheContents) -> str:
    """Give the same for programs; sizes in bytes."""
    return encode({"folder": contents.folder, "sizes": contents.sizes, "removed": contents.removed})
