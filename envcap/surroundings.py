"""Interpreter, operating system and hardware as flat facts: to be shown, and to be laid side by side. Pure."""

from envcap.locales import locale_words
from envcap.model.facts import Gpu, Hardware, Interpreter, System

ABSENT = "none"


def machine_contents(python: Interpreter, system: System, hardware: Hardware) -> dict[str, dict[str, str]]:
    """Give interpreter, operating system and hardware by area and subject."""
    return {
        "python": {
            "implementation": python.implementation,
            "version": python.version,
            "build": python.build,
            "abi": python.abi,
            **{f"flag {name}": str(value) for name, value in python.flags.items()},
        },
        "system": {
            "architecture": system.architecture,
            "release": f"{system.distribution} {system.version}".strip(),
            "libc": f"{system.libc} {system.libc_version}".strip(),
            "kernel": system.kernel,
            "locale": locale_words(system),
            "encoding": system.encoding,
            "timezone": system.timezone,
            "umask": system.umask,
        },
        "hardware": {
            "processor": hardware.cpu,
            "instruction sets": " ".join(sorted(hardware.instruction_sets)),
            "cores": str(hardware.cores),
            "affinity": hardware.affinity or "all processors",
            "memory": f"{hardware.memory / 2**30:.0f} GiB",
            "gpus": ", ".join(map(_gpu, _shown(hardware))) or ABSENT,
            "compute capability": ", ".join(sorted({gpu.compute_capability for gpu in hardware.gpus})) or ABSENT,
            "gpu settings": "; ".join(map(_settings_of, _shown(hardware))) or ABSENT,
            "driver": hardware.driver or ABSENT,
            "cuda of the driver": hardware.cuda_driver or ABSENT,
        },
    }


def _shown(hardware: Hardware) -> list[Gpu]:
    """Give the GPUs that a program sees."""
    return [gpu for gpu in hardware.gpus if gpu.visible is not False]


def _gpu(gpu: Gpu) -> str:
    slices = f"MIG {'+'.join(part.profile for part in gpu.slices)}" if gpu.mig else ""
    told = ", ".join(filter(None, (gpu.compute_capability, slices)))
    return f"{gpu.name} ({told})" if told else gpu.name


def _settings_of(gpu: Gpu) -> str:
    """Give what an administrator can set, and how it is attached; what the driver does not tell is left out."""
    told = {
        "": gpu.compute_mode,
        "ECC ": None if gpu.ecc is None else ("on" if gpu.ecc else "off"),
        "watts ": gpu.power_limit,
        "MHz ": gpu.graphics_clock,
        "MHz of memory ": gpu.memory_clock,
        "PCIe ": gpu.pcie_generation,
        "lanes ": gpu.pcie_width,
        "VBIOS ": gpu.vbios,
    }
    return ", ".join(f"{name}{value}" for name, value in told.items() if value is not None)
