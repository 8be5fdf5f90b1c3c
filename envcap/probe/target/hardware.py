"""The processor and the memory, from /proc (proc(5)). The accelerators are in `gpus`."""

import os

from .files import read_text, text_or_none
from .gaps import Gaps

# What numpy, OpenBLAS, oneDNN, MKL and ggml choose their code paths by, as the kernel spells it.
_X86 = (
    "ssse3 sse4_1 sse4_2 popcnt avx avx2 f16c fma fma4 xop avx_vnni avx_ifma avx_vnni_int8 avx_ne_convert "
    "avx512f avx512cd avx512er avx512pf avx512bw avx512dq avx512vl avx512ifma avx512vbmi avx512_vbmi2 avx512_vnni "
    "avx512_bitalg avx512_vpopcntdq avx512_4vnniw avx512_4fmaps avx512_vp2intersect avx512_bf16 avx512_fp16 avx10 "
    "amx_tile amx_int8 amx_bf16 amx_fp16"
)
_ARM = "neon vfpv4 asimd asimdhp asimddp asimdfhm fphp bf16 i8mm sve sve2 svebf16 svei8mm sme sme2"
_S390 = "vx vxe vxe2"
_DISPATCHED_ON = frozenset(" ".join((_X86, _ARM, _S390)).split())


def describe_hardware(gaps: Gaps, known: "dict[str, object]") -> "dict[str, object]":
    """Give the table that `envcap.model.facts.Hardware` describes, without its GPUs; `known` is what others told."""
    cpu, instruction_sets = parse_cpuinfo(_first_processor())
    if not cpu and "cpu" not in known:
        gaps.add(
            "hardware",
            "cpu",
            reason="/proc/cpuinfo does not name the processor",
            consequence="a difference in results cannot be laid to another processor model",
        )
    memory = parse_meminfo(text_or_none("/proc/meminfo") or "")
    if memory is None and "memory" not in known:
        gaps.add(
            "hardware",
            "memory",
            reason="/proc/meminfo does not tell MemTotal",
            consequence="whether another machine has enough memory cannot be told",
        )
    return {
        "cpu": cpu,
        "cores": _usable_cores(),
        "affinity": _affinity(),
        "memory": memory or 0,
        "instruction-sets": instruction_sets,
    }


def parse_cpuinfo(text: str) -> "tuple[str, list[str]]":
    """Give the name of the first processor in /proc/cpuinfo ("" when untold) and its instruction sets, sorted.

    ARM kernels tell no name but the numbers of implementer and part (MIDR_EL1), which are given instead.
    """
    fields = {}  # type: dict[str, str]
    for line in text.split("\n"):
        name, colon, value = line.partition(":")
        if colon:
            fields.setdefault(name.strip().lower(), value.strip())
    cpu = fields.get("model name") or fields.get("cpu") or ""
    if not cpu and "cpu implementer" in fields:
        part = fields.get("cpu part", "unknown")
        cpu = "implementer {} part {}".format(fields["cpu implementer"], part)
    told = fields.get("flags") or fields.get("features") or ""
    return cpu, sorted(_DISPATCHED_ON.intersection(told.split()))


def parse_meminfo(text: str) -> "int | None":
    """Give MemTotal of /proc/meminfo in bytes, or None."""
    for line in text.split("\n"):
        if line.startswith("MemTotal:"):
            words = line.split()
            # ASCII by the encoding, not isascii(), which 3.6 does not know.
            told = words[1].encode("ascii", "replace") if len(words) > 1 else b""
            return int(told) * 1024 if told.isdigit() and len(told) < 20 else None
    return None


def _first_processor() -> str:
    try:
        # One processor's entry is below 6 KiB; with hundreds of them the whole file takes long to read.
        return read_text("/proc/cpuinfo", limit=16384).partition("\n\n")[0]
    except OSError:
        return ""


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _affinity() -> str:
    """Give the processors that this process is bound to, "" where it may use all."""
    if not hasattr(os, "sched_getaffinity"):
        return ""
    usable = os.sched_getaffinity(0)
    return numbers_as_ranges(usable) if len(usable) < (os.cpu_count() or 1) else ""


def numbers_as_ranges(numbers: "set[int]") -> str:
    """Give `0-3,8` as the kernel writes lists of processors (cpuset(7), "Formats")."""
    ranges = []  # type: list[list[int]]
    for number in sorted(numbers):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ",".join(str(first) if first == last else "{}-{}".format(first, last) for first, last in ranges)
