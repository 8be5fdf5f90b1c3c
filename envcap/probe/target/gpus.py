"""The NVIDIA GPUs as NVML describes them. Other makers' accelerators are not looked for."""

import os

from .gaps import Gaps

TYPE_CHECKING = False  # as in `typing`, which is dear to import
if TYPE_CHECKING:
    import types

_LIBRARY = "libnvidia-ml.so.1"


def describe_gpus(gaps: Gaps) -> "dict[str, object]":
    """Give the part of `envcap.model.facts.Hardware` that concerns accelerators: `gpus`, `driver`, `cuda-driver`.

    No driver is a normal answer. A driver that cannot be asked is a Gap with its own words.
    """
    nothing = {"gpus": [], "driver": None, "cuda-driver": None}  # type: dict[str, object]
    try:
        if not _library_loads():
            return nothing
        # Not at the top: it takes a tenth of a second, and most machines have no such driver.
        import pynvml  # type: ignore[import-untyped, unused-ignore]
    except (ImportError, SyntaxError, OSError) as error:
        _add_unknown("gpus", "NVML cannot be used: {}".format(error), gaps)
        return nothing
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        _add_unknown("gpus", "NVML does not start: {}".format(_words(error)), gaps)
        return nothing
    # No nvmlShutdown: the process ends soon, and one that fails would cost the answer.
    return _Nvml(pynvml, gaps).describe()


class _Nvml:
    """Questions to an initialised NVML. Whatever it refuses is None, and a Gap unless the hardware just lacks it."""

    def __init__(self, nvml: "types.ModuleType", gaps: Gaps) -> None:
        self._nvml = nvml
        self._gaps = gaps

    def describe(self) -> "dict[str, object]":
        driver = self._ask("driver", "nvmlSystemGetDriverVersion")
        cuda = self._ask("cuda-driver", "nvmlSystemGetCudaDriverVersion_v2")
        count = self._ask("gpus", "nvmlDeviceGetCount")
        gpus = []
        for index in range(count if isinstance(count, int) else 0):
            handle = self._ask("gpu {}".format(index), "nvmlDeviceGetHandleByIndex", index)
            if handle is not None:
                gpus.append(self._device("gpu {} ".format(index), handle))
        return {"gpus": gpus, "driver": _text(driver) or None, "cuda-driver": cuda_version(cuda)}

    def _device(self, subject: str, handle: object) -> "dict[str, object]":
        name = self._ask(subject + "name", "nvmlDeviceGetName", handle)
        memory = self._ask(subject + "memory", "nvmlDeviceGetMemoryInfo", handle)
        capability = self._ask(subject + "compute capability", "nvmlDeviceGetCudaComputeCapability", handle)
        # Both answer [current, pending]; hardware without them answers "not supported".
        mig = self._ask(subject + "mig", "nvmlDeviceGetMigMode", handle, absent_is_normal=True)
        ecc = self._ask(subject + "ecc", "nvmlDeviceGetEccMode", handle, absent_is_normal=True)
        return {
            "name": _text(name),
            "memory": int(getattr(memory, "total", 0)),
            "compute-capability": "{}.{}".format(*capability) if isinstance(capability, (list, tuple)) else "",
            "mig": bool(mig[0]) if isinstance(mig, (list, tuple)) else False,
            "ecc": bool(ecc[0]) if isinstance(ecc, (list, tuple)) else None,
        }

    def _ask(self, subject: str, function: str, *arguments: object, absent_is_normal: bool = False) -> object:
        try:
            return getattr(self._nvml, function)(*arguments)
        except (self._nvml.NVMLError, AttributeError, UnicodeDecodeError) as error:
            if not (absent_is_normal and isinstance(error, self._nvml.NVMLError_NotSupported)):
                _add_unknown(subject, "NVML answers: {}".format(_words(error)), self._gaps)
            return None


def cuda_version(number: object) -> "str | None":
    """Give `12.8` for 12080 (nvmlSystemGetCudaDriverVersion: 1000 * major + 10 * minor)."""
    if not isinstance(number, int) or number <= 0:
        return None
    return "{}.{}".format(number // 1000, number % 1000 // 10)


def _library_loads() -> bool:
    """Tell whether there is an NVML to ask. Raises OSError or ImportError when there is one out of reach."""
    # `_ctypes`, because `ctypes` costs more. An interpreter may be built without either.
    import _ctypes

    try:
        _ctypes.dlopen(_LIBRARY, 0)
    except OSError as error:
        absent = _LIBRARY in str(error) and "No such file" in str(error)
        # A container may have been given the devices but not the library.
        if absent and not os.path.exists("/dev/nvidiactl"):
            return False
        raise
    return True


def _text(value: object) -> str:
    if isinstance(value, bytes):  # nvidia-ml-py before 11.515
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else ""


def _words(error: Exception) -> str:
    words = str(error)
    return words[2:-1] if words.startswith("b'") else words  # the binding may print bytes of nvmlErrorString so


def _add_unknown(subject: str, reason: str, gaps: Gaps) -> None:
    gaps.add(
        "hardware",
        subject,
        reason=reason,
        consequence="a difference in results cannot be laid to another GPU or driver",
    )
