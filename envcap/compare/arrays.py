"""Arrays in files, read without executing anything and without the library that wrote them. Pure: bytes in, data out.

npy: NEP 1 and `numpy.lib.format`. npz: a zip of npy files. safetensors: eight bytes of length, a JSON header, the data.
"""

import ast
import json
import math
import struct
from collections.abc import Mapping
from typing import Any

from envcap.model.struct import Data

_MOST_HEADER = 16 << 20  # bytes; a safetensors header of ten thousand tensors is about one MiB
_NPY_HEADER = 10_000  # characters, the limit of `numpy.lib.format` for files that are not trusted
_MAGIC = b"\x93NUMPY"

# The data types as struct reads them. bfloat16 is the upper half of a float32, and struct has no letter for it.
_NPY_LETTERS: Mapping[str, str] = {
    "f2": "e", "f4": "f", "f8": "d", "i1": "b", "i2": "h", "i4": "i", "i8": "q", "u1": "B", "u2": "H", "u4": "I",
    "u8": "Q", "b1": "?", "c8": "ff", "c16": "dd",
}  # fmt: skip
_TENSOR_LETTERS: Mapping[str, str] = {
    "F64": "d", "F32": "f", "F16": "e", "BF16": "bf16", "I64": "q", "I32": "i", "I16": "h", "I8": "b", "U64": "Q",
    "U32": "I", "U16": "H", "U8": "B", "BOOL": "?",
}  # fmt: skip
_SIZES: Mapping[str, int] = {"bf16": 2, "ff": 8, "dd": 16}


class Array(Data, frozen=True, kw_only=True):
    """An array: its type as the file names it, its shape, and its bytes, which `letter` tells struct how to read."""

    dtype: str
    shape: tuple[int, ...]
    data: memoryview
    letter: str  # empty where only the bytes can be compared
    order: str = "<"  # of the bytes in a number
    layout: str = "C"  # of the numbers in the array: rows first, or `F`, columns first


def read_npy(content: bytes) -> dict[str, Array]:
    """Give the one array of an npy file. Raises ValueError for what is none, or holds Python objects."""
    return {"the array": _read_npy(content)}


def _read_npy(content: bytes) -> Array:
    if content[:6] != _MAGIC or len(content) < 12:
        raise ValueError("it does not begin as an npy file does")
    is_first = content[6] == 1
    (length,) = struct.unpack_from("<H" if is_first else "<I", content, 8)
    start = 10 if is_first else 12
    if length > _NPY_HEADER or start + length > len(content):
        raise ValueError("its header is longer than any")
    header = _literal(content[start : start + length])
    try:
        kind, is_fortran, shape = header["descr"], bool(header["fortran_order"]), tuple(header["shape"])
    except (KeyError, TypeError) as error:
        raise ValueError("its header lacks a key") from error
    if not all(isinstance(size, int) and not isinstance(size, bool) and size >= 0 for size in shape):
        raise ValueError("its shape is none")
    if "O" in repr(kind):
        raise ValueError("it holds Python objects, which only executing it could read")
    data = memoryview(content)[start + length :]
    order, letter = (kind[0], _NPY_LETTERS.get(kind[1:], "")) if isinstance(kind, str) and kind else ("<", "")
    if letter and _size(letter) * math.prod(shape) != len(data):
        raise ValueError("its length does not fit its shape")
    return Array(
        dtype=kind if isinstance(kind, str) else repr(kind),
        shape=shape,
        data=data,
        letter=letter,
        order=">" if order == ">" else "<",
        layout="F" if is_fortran and len(shape) > 1 else "C",
    )


def _literal(header: bytes) -> dict[str, Any]:
    try:
        value = ast.literal_eval(header.decode("latin-1").strip())
    except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError("its header cannot be read") from error
    if not isinstance(value, dict):
        raise ValueError("its header is no dictionary")  # noqa: TRY004  (one error for every bad file)
    return value


def read_safetensors(content: bytes) -> dict[str, Array | str]:
    """Give the tensors by name, and each entry of the metadata as text. Raises ValueError for what is no such file."""
    if len(content) < 8:
        raise ValueError("it is shorter than its header")
    (length,) = struct.unpack_from("<Q", content)
    if length > min(_MOST_HEADER, len(content) - 8):
        raise ValueError("its header is longer than the file")
    try:
        header = json.loads(content[8 : 8 + length])
    except RecursionError as error:
        raise ValueError("its header is nested too deeply") from error
    if not isinstance(header, dict):
        raise ValueError("its header is no object")  # noqa: TRY004
    result: dict[str, Array | str] = {}
    data = memoryview(content)[8 + length :]
    for name, entry in header.items():
        if name == "__metadata__":
            result |= {f"metadata {key}": str(value) for key, value in dict(entry).items()}
        else:
            result[f"tensor {name}"] = _tensor(name, entry, data)
    return result


def _tensor(name: str, entry: object, data: memoryview) -> Array:
    try:
        kind, shape, (start, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]  # type: ignore[index]
        letter = _TENSOR_LETTERS.get(kind, "")
        fits = 0 <= start <= end <= len(data) and all(size >= 0 for size in shape)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"the tensor {name!r} is not described as tensors are") from error
    if not fits or (letter and _size(letter) * math.prod(shape) != end - start):
        raise ValueError(f"the tensor {name!r} does not fit its place")
    return Array(dtype=kind, shape=shape, data=data[start:end], letter=letter)


def _size(letter: str) -> int:
    return _SIZES.get(letter) or struct.calcsize(f"<{letter}")
