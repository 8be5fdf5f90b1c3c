"""The processor and the GPU of an Apple computer, as its kernel tells them (sysctlbyname(3)).

Apple's own chips hold both, and their memory is shared: its size is the machine's.
"""

import sys

_BRAND, _MEMORY = b"machdep.cpu.brand_string", b"hw.memsize"
_OWN = "Apple "  # what the names of Apple's own chips begin with; the GPUs beside Intel's are not told there


def describe_apple(library: "str | None" = None) -> "dict[str, object]":
    """Give `cpu`, `memory` and `gpus` of `envcap.model.facts.Hardware`; nothing on another system.

    `library` is the one that has sysctlbyname, None for the process's own.
    """
    if sys.platform != "darwin" and library is None:
        return {}
    from ctypes import CDLL, byref, c_size_t, create_string_buffer

    try:
        ask = CDLL(library).sysctlbyname
    except (OSError, AttributeError):
        return {}

    def read(name: bytes) -> bytes:
        buffer = create_string_buffer(256)
        size = c_size_t(len(buffer))
        failed = ask(name, buffer, byref(size), None, c_size_t(0))
        return b"" if failed else buffer.raw[: size.value]

    cpu = read(_BRAND).rstrip(b"\0").decode("utf-8", "replace").strip()
    memory = int.from_bytes(read(_MEMORY), sys.byteorder)
    told = {}  # type: dict[str, object]
    if cpu:
        told["cpu"] = cpu
    if memory:
        told["memory"] = memory
    if cpu.startswith(_OWN):
        told["gpus"] = [{"name": cpu + " GPU", "maker": "apple", "memory": memory, "compute-capability": ""}]
    return told
