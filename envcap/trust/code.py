"""What a lock may say of the code: commits, branches and addresses. Its paths are only ever shown. Pure."""

import re
from collections.abc import Iterator

from envcap.model.lock import Code, DataInput, Lock
from envcap.trust.forms import complaints_about_forms, complaints_about_lines, show

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")  # gitformat-pack(5): SHA-1 or SHA-256
_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")


def complaints_about_code(lock: Lock) -> Iterator[str]:
    """Give a complaint for each value that envcap never writes."""
    code = lock.code
    yield from complaints_about_forms("the code", [(_COMMIT, code.commit, "commit")])
    yield from complaints_about_lines("the code", [code.repository or "", code.branch or ""])
    yield from _complaints_about_submodules(code)
    for left in code.left_out:
        if left.count < len(left.paths):
            yield f"it leaves out {left.count} files and names {len(left.paths)}"
    yield from _complaints_about_data(lock.data)


def _complaints_about_submodules(code: Code) -> Iterator[str]:
    for item in code.submodules:
        owner = f"the submodule {show(item.path)}"
        parts = [(_COMMIT, item.recorded, "commit"), (_COMMIT, item.checked_out, "commit")]
        yield from complaints_about_forms(owner, parts)
        yield from complaints_about_lines(owner, [item.repository or ""])


def _complaints_about_data(data: list[DataInput]) -> Iterator[str]:
    for item in data:
        yield from complaints_about_forms(f"the data {show(item.path)}", [(_MD5, item.dvc, "md5")])
