"""One NVIDIA GPU as NVML describes it (NVML API Reference, "Device Queries" and "Multi Instance GPU Management")."""

from .gaps import Gaps

TYPE_CHECKING = False  # as in `typing`, which is dear to import
if TYPE_CHECKING:
    import types

_GRAPHICS, _MEMORY = 0, 2  # nvmlClockType_t
_COMPUTE_MODES = {0: "default", 1: "exclusive-thread", 2: "prohibited", 3: "exclusive-process"}  # nvmlComputeMode_t
# CUDA cores of one multiprocessor, by compute capability (CUDA C++ Programming Guide, "Arithmetic Instructions").
_CORES_OF_ONE = {
    "6.0": 64, "6.1": 128, "6.2": 128, "7.0": 64, "7.2": 64, "7.5": 64, "8.0": 64, "8.6": 128, "8.7": 128, "8.9": 128,
    "9.0": 128, "10.0": 128, "10.3": 128, "12.0": 128, "12.1": 128,
}  # fmt: skip


class Nvml:
    """Questions to an initialised NVML. Whatever it refuses is None, and a Gap unless the hardware just lacks it."""

    def __init__(self, nvml: "types.ModuleType", gaps: Gaps) -> None:
        self._nvml = nvml
        self._gaps = gaps

    def ask(self, subject: str, function: str, *arguments: object, may_lack: bool = False) -> object:
        """Give NVML's answer, or None. What hardware or driver `may_lack` is no Gap where they say so."""
        try:
            return getattr(self._nvml, function)(*arguments)
        except (self._nvml.NVMLError, AttributeError, UnicodeDecodeError) as error:
            if not (may_lack and self._is_lacking(error)):
                add_unknown(subject, "NVML answers: {}".format(words_of(error)), self._gaps)
            return None

    def _is_lacking(self, error: Exception) -> bool:
        nvml = self._nvml
        lacking = (
            nvml.NVMLError_NotSupported,
            nvml.NVMLError_FunctionNotFound,
            nvml.NVMLError_NotFound,
            AttributeError,  # the binding is older than the question
        )
        return isinstance(error, lacking)

    def text(self, subject: str, function: str, *arguments: object, may_lack: bool = False) -> str:
        """Give NVML's answer as text, "" where there is none."""
        value = self.ask(subject, function, *arguments, may_lack=may_lack)
        if isinstance(value, bytes):  # nvidia-ml-py before 11.515
            return value.decode("utf-8", "replace")
        return value if isinstance(value, str) else ""

    def number(self, subject: str, function: str, *arguments: object, may_lack: bool = True) -> "int | None":
        """Give NVML's answer as a whole number, or None."""
        value = self.ask(subject, function, *arguments, may_lack=may_lack)
        return value if isinstance(value, int) else None


def describe_device(nvml: Nvml, subject: str, handle: object) -> "tuple[dict[str, object], list[str]]":
    """Give the table that `envcap.model.facts.Gpu` describes, and the identifiers of the GPU and its MIG slices."""
    name = nvml.text(subject + "name", "nvmlDeviceGetName", handle)
    memory = nvml.ask(subject + "memory", "nvmlDeviceGetMemoryInfo", handle)
    capability = nvml.ask(subject + "compute capability", "nvmlDeviceGetCudaComputeCapability", handle)
    # Both answer [current, pending]; hardware without them answers "not supported".
    mig = nvml.ask(subject + "mig", "nvmlDeviceGetMigMode", handle, may_lack=True)
    ecc = nvml.ask(subject + "ecc", "nvmlDeviceGetEccMode", handle, may_lack=True)
    uuid = nvml.text(subject + "uuid", "nvmlDeviceGetUUID", handle, may_lack=True)
    in_slices = isinstance(mig, (list, tuple)) and bool(mig[0])
    slices, slice_uuids = _slices(nvml, subject, handle) if in_slices else ([], [])
    power = nvml.number(subject + "power limit", "nvmlDeviceGetPowerManagementLimit", handle)
    mode = nvml.number(subject + "compute mode", "nvmlDeviceGetComputeMode", handle)
    capability_text = "{}.{}".format(*capability) if isinstance(capability, (list, tuple)) else ""
    device = {
        "name": name,
        "memory": int(getattr(memory, "total", 0)),
        "compute-capability": capability_text,
        "mig": in_slices,
        "ecc": bool(ecc[0]) if isinstance(ecc, (list, tuple)) else None,
        "uuid-digest": _digest(uuid) if uuid else None,
        "multiprocessors": _multiprocessors(nvml, subject, handle, capability_text),
        "compute-mode": _COMPUTE_MODES.get(mode, str(mode)) if mode is not None else None,
        "power-limit": power // 1000 if power is not None else None,
        "graphics-clock": nvml.number(subject + "clock", "nvmlDeviceGetMaxClockInfo", handle, _GRAPHICS),
        "memory-clock": nvml.number(subject + "clock", "nvmlDeviceGetMaxClockInfo", handle, _MEMORY),
        "pcie-generation": nvml.number(subject + "pcie", "nvmlDeviceGetMaxPcieLinkGeneration", handle),
        "pcie-width": nvml.number(subject + "pcie", "nvmlDeviceGetMaxPcieLinkWidth", handle),
        "vbios": nvml.text(subject + "vbios", "nvmlDeviceGetVbiosVersion", handle, may_lack=True) or None,
        "slices": slices,
    }  # type: dict[str, object]
    return device, [uuid for uuid in [uuid, *slice_uuids] if uuid]


def _digest(uuid: str) -> str:
    from hashlib import sha256  # not at the top: most machines have no GPU, and it takes its time

    return sha256(uuid.encode()).hexdigest()[:12]


def _multiprocessors(nvml: Nvml, subject: str, handle: object, capability: str) -> "int | None":
    """NVML counts cores; how many make a multiprocessor follows from the compute capability."""
    cores = nvml.number(subject + "cores", "nvmlDeviceGetNumGpuCores", handle)
    of_one = _CORES_OF_ONE.get(capability)
    return cores // of_one if cores is not None and of_one is not None else None


def _slices(nvml: Nvml, subject: str, handle: object) -> "tuple[list[dict[str, object]], list[str]]":
    """Give the MIG slices that exist, with their identifiers. A driver hides those that a container was not given."""
    count = nvml.number(subject + "slices", "nvmlDeviceGetMaxMigDeviceCount", handle, may_lack=False)
    slices, uuids = [], []
    for index in range(count or 0):
        part = nvml.ask(subject + "slice", "nvmlDeviceGetMigDeviceHandleByIndex", handle, index, may_lack=True)
        if part is None:
            continue
        name = nvml.text(subject + "slice", "nvmlDeviceGetName", part)
        attributes = nvml.ask(subject + "slice", "nvmlDeviceGetAttributes", part, may_lack=True)
        slices.append(
            {
                "profile": name.rpartition(" MIG ")[2],  # `NVIDIA H100 80GB HBM3 MIG 1g.10gb`
                "memory": int(getattr(attributes, "memorySizeMB", 0)) << 20,
                "multiprocessors": int(getattr(attributes, "multiprocessorCount", 0)),
            }
        )
        uuids.append(nvml.text(subject + "slice", "nvmlDeviceGetUUID", part, may_lack=True))
    return slices, uuids


def words_of(error: Exception) -> str:
    """Give what an error of the binding says."""
    words = str(error)
    return words[2:-1] if words.startswith("b'") else words  # the binding may print bytes of nvmlErrorString so


def add_unknown(subject: str, reason: str, gaps: Gaps) -> None:
    """Record that something about the accelerators stays unknown."""
    gaps.add(
        "hardware",
        subject,
        reason=reason,
        consequence="a difference in results cannot be laid to another GPU or driver",
    )
