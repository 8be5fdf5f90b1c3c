"""Results as one JSON document, the same facts that people are shown. Model in, string out."""

from pathlib import Path
from typing import Any

import msgspec

from envcap.errors import EnvcapError
from envcap.model.image import Context, Image
from envcap.model.lock import Lock
from envcap.model.verdict import Judgement

_FORMAT = 1


def freeze_document(lock: Lock, path: Path, sha256: str) -> str:
    """Give a new lock and where it was written."""
    return _encode({"format": _FORMAT, "lock": {"path": str(path), "sha256": sha256}, "frozen": lock})


def build_document(lock: Lock, context: Context, image: Image | None, output: Path | None) -> str:
    """Give the image, or the folder that was written, and the lock's gaps."""
    written = None if output is None else {"folder": str(output), "files": [file.path for file in context.files]}
    return _encode({"format": _FORMAT, "image": image, "written": written, "gaps": lock.gaps})


def judgement_document(judgement: Judgement) -> str:
    """Give the whole judgement with its exit code."""
    document = msgspec.to_builtins(judgement)
    return _encode({"format": _FORMAT, **document, "exit-code": judgement.verdict.exit_code})


def error_document(error: EnvcapError, *, exit_code: int) -> str:
    """Give an error as the one document of a command that failed."""
    return _encode({"format": _FORMAT, "error": {"message": error.message, "hint": error.hint}, "exit-code": exit_code})


def _encode(document: dict[str, Any]) -> str:
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()
