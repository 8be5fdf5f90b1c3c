"""What was packed, in words and as a document."""

from pathlib import Path

from envcap.model.lock import Lock
from envcap.report.document import encode


def describe_pack(lock: Lock, output: Path, size: int, files: int) -> str:
    """Say what was written, what is not in it, and how to go on elsewhere."""
    lines = [f"Written: {output} ({files} files, {size / 1e6:,.0f} MB)"]
    lines += [f"  not in it  the data `{data.path}` ({data.size / 1e6:,.1f} MB)" for data in lock.data]
    lines += ["Next, on any machine with an engine: "]
    lines[-1] += f"envcap build {output.name}, then envcap verify --project {output.stem} --name {lock.name}"
    return "\n".join(lines) + "\n"


def pack_document(lock: Lock, output: Path, size: int, files: int) -> str:
    """Give the same for programs; `size` in bytes."""
    written = {"path": str(output), "files": files, "size": size}
    return encode({"capsule": written, "missing-data": [data.path for data in lock.data]})
