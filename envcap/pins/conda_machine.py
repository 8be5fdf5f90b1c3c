"""The virtual packages of a machine: what conda's solvers are told of it. Pure over Facts.

Source: CEP 30, "Virtual packages". Only what the probe saw is said; nothing is run for it.
"""

from envcap.model.facts import Facts

# The levels of the x86-64 psABI by those of their instruction sets that the probe records.
_LEVELS = {
    "x86_64_v4": {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", "avx2", "fma", "f16c"},
    "x86_64_v3": {"avx", "avx2", "f16c", "fma", "sse4_2"},
    "x86_64_v2": {"popcnt", "sse4_1", "sse4_2", "ssse3"},
}


def virtual_packages(facts: Facts) -> list[str]:
    """Give `NAME=VERSION=BUILD` for each, sorted. `__archspec` names the level, not one maker's processor."""
    system, hardware = facts.system, facts.hardware
    found = {"__unix": "0", "__archspec": "1"}
    builds = {"__archspec": _level(system.architecture, set(hardware.instruction_sets))}
    kernel = system.kernel.partition("-")[0]
    if kernel:
        found["__linux"] = kernel
    if system.libc == "glibc" and system.libc_version:
        found["__glibc"] = system.libc_version
    if hardware.cuda_driver:
        found["__cuda"] = hardware.cuda_driver
    return [f"{name}={version}={builds.get(name, '0')}" for name, version in sorted(found.items())]


def _level(architecture: str, sets: set[str]) -> str:
    if architecture != "x86_64":
        return architecture
    return next((level for level, needs in _LEVELS.items() if needs <= sets), architecture)
