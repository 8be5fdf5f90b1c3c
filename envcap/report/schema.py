"""JSON Schemas (draft 2020-12) of the documents that `--json` and `--report x.json` give, made from their types.

The files in docs/schemas are what this gives; they come with the package, and a test holds them to it.
"""

from typing import Any

import msgspec

from envcap.model.bisection import Bisection
from envcap.model.cache import CacheContents
from envcap.model.difference import Comparison
from envcap.model.examination import Examination
from envcap.model.gap import Gap
from envcap.model.image import Image, Layer
from envcap.model.lock import Lock, Move
from envcap.model.verdict import Judgement
from envcap.report.document import FORMAT

_NOT_FINITE = ["nan", "inf", "-inf"]  # as text: JSON has no word for them


class _Place(msgspec.Struct, frozen=True):
    path: str
    sha256: str


class _Capsule(msgspec.Struct, frozen=True):
    path: str
    files: int
    size: int  # bytes


class _Written(msgspec.Struct, frozen=True):
    folder: str
    files: list[str]


def _fields(kind: type[msgspec.Struct]) -> dict[str, Any]:
    return {field.encode_name: field.type for field in msgspec.structs.fields(kind)}


_DOCUMENTS: dict[str, dict[str, Any]] = {
    "freeze": {"lock": _Place, "frozen": Lock},
    "show": {"lock": _Place, "frozen": Lock, "roots": list[str]},
    "build": {
        "image": Image | None,
        "layers": list[Layer],
        "cuda-copies": list[str],
        "written": _Written | None,
        "portable": bool,
        "unpacked": str | None,
        "gaps": list[Gap],
    },
    "verify": {**_fields(Judgement), "exit-code": int},
    "diff": _fields(Comparison),
    "doctor": {"points": list[Examination]},
    "bisect": {**_fields(Bisection), "exit-code": int},
    "upgrade": {"lock": _Place | None, "moved": list[Move], "frozen": Lock},
    "pack": {"capsule": _Capsule, "missing-data": list[str]},
    "cache": _fields(CacheContents),
}


def schemas() -> dict[str, bytes]:
    """Give the schema of each command's document, as the bytes of its file."""
    return {command: _file(_schema(command, types)) for command, types in _DOCUMENTS.items()}


def _schema(command: str, types: dict[str, Any]) -> dict[str, Any]:
    properties, components = msgspec.json.schema_components(list(types.values()), ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:envcap:{command}:{FORMAT}",
        "title": f"What `envcap {command} --json` gives",
        "type": "object",
        "properties": {"format": {"const": FORMAT}, **dict(zip(types, map(_told, properties), strict=True))},
        "required": ["format", *types],
        "additionalProperties": False,
        "$defs": {name: _told(component) for name, component in components.items()},
    }


def _told(schema: Any) -> Any:
    """Let a number be told as text where it is not finite."""
    if isinstance(schema, list):
        return [_told(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") == "number":
        return {"anyOf": [schema, {"enum": _NOT_FINITE}]}
    return {key: _told(value) for key, value in schema.items()}


def _file(schema: dict[str, Any]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(schema, order="deterministic"), indent=2) + b"\n"
