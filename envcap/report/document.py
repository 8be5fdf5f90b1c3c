"""Results as one JSON document, the same facts that people are shown. Model in, string out."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from envcap.dependencies import roots
from envcap.errors import EnvcapError
from envcap.model.difference import Comparison
from envcap.model.examination import Examination
from envcap.model.image import Context, Image, Layer
from envcap.model.lock import Lock
from envcap.model.verdict import Judgement
from envcap.redact import redact_text

FORMAT = 1


def freeze_document(lock: Lock, path: Path, sha256: str) -> str:
    """Give a new lock and where it was written."""
    return _encode({"format": FORMAT, "lock": {"path": str(path), "sha256": sha256}, "frozen": lock})


def show_document(lock: Lock, path: Path, sha256: str) -> str:
    """Give a lock, where it is, and the packages that the tree of its dependencies grows from."""
    place = {"path": str(path), "sha256": sha256}
    return _encode({"format": FORMAT, "lock": place, "frozen": lock, "roots": roots(lock.packages)})


def build_document(
    lock: Lock,
    context: Context,
    image: Image | None,
    output: Path | None,
    *,
    layers: Sequence[Layer] = (),
    copies: Sequence[str] = (),
    portable: bool = False,
    unpacked: Path | None = None,
) -> str:
    """Give the image with its layers, or the folder that was written, the one that a capsule went to, and the gaps."""
    written = None if output is None else {"folder": str(output), "files": [file.path for file in context.files]}
    return _encode(
        {
            "format": FORMAT,
            "image": image,
            "layers": list(layers),
            "cuda-copies": list(copies),
            "written": written,
            "portable": portable,
            "unpacked": None if unpacked is None else str(unpacked),
            "gaps": lock.gaps,
        }
    )


def judgement_document(judgement: Judgement) -> str:
    """Give the whole judgement with its exit code."""
    return _encode({"format": FORMAT, **to_plain(judgement), "exit-code": judgement.verdict.exit_code})


def comparison_document(comparison: Comparison) -> str:
    """Give every difference between two environments, and what was not compared."""
    return _encode({"format": FORMAT, **msgspec.to_builtins(comparison)})


def examination_document(examinations: Sequence[Examination]) -> str:
    """Give every point that was examined on this machine."""
    return _encode({"format": FORMAT, "points": list(examinations)})


def error_document(error: EnvcapError, *, exit_code: int) -> str:
    """Give an error as the one document of a command that failed."""
    said = {"message": redact_text(error.message), "hint": redact_text(error.hint)}
    return _encode({"format": FORMAT, "error": said, "exit-code": exit_code})


def encode(document: dict[str, Any]) -> str:
    """Give a document of this format."""
    return _encode({"format": FORMAT, **document})


def to_plain(judgement: Judgement) -> dict[str, Any]:
    """Give a judgement as values that JSON has: NaN and the infinities as text."""
    document: dict[str, Any] = _without_non_finite(msgspec.to_builtins(judgement))
    return document


def _encode(document: dict[str, Any]) -> str:
    plain = _without_non_finite(msgspec.to_builtins(document))
    return _escape(msgspec.json.format(msgspec.json.encode(plain), indent=2).decode())


def _without_non_finite(value: Any) -> Any:
    """Give NaN and the infinities as text, because JSON has no word for them and null would hide them."""
    if isinstance(value, dict):
        return {key: _without_non_finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_non_finite(item) for item in value]
    return repr(value) if isinstance(value, float) and not math.isfinite(value) else value


def _escape(text: str) -> str:
    """Escape what JSON allows in a string but a terminal would obey."""
    return "".join(
        character if character.isprintable() or character == "\n" else json.dumps(character)[1:-1] for character in text
    )
