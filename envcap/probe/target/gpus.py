"""The NVIDIA GPUs as NVML describes them."""

import os

from .gaps import Gaps
from .nvidia import Nvml, add_unknown, describe_device, words_of
from .visible import visible_devices

_LIBRARY = "libnvidia-ml.so.1"


def describe_gpus(gaps: Gaps) -> "dict[str, object]":
    """Give the part of `envcap.model.facts.Hardware` that concerns them: `gpus`, `driver`, `cuda-driver`.

    No driver is a normal answer. A driver that cannot be asked is a Gap with its own words.
    """
    nothing = {"gpus": [], "driver": None, "cuda-driver": None}  # type: dict[str, object]
    try:
        if not _library_loads():
            return nothing
        # Not at the top: it takes a tenth of a second, and most machines have no such driver.
        import pynvml  # type: ignore[import-untyped, unused-ignore]
    except (ImportError, SyntaxError, OSError) as error:
        add_unknown("gpus", "NVML cannot be used: {}".format(error), gaps)
        return nothing
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        add_unknown("gpus", "NVML does not start: {}".format(words_of(error)), gaps)
        return nothing
    # No nvmlShutdown: the process ends soon, and one that fails would cost the answer.
    return _describe(Nvml(pynvml, gaps))


def _describe(nvml: Nvml) -> "dict[str, object]":
    driver = nvml.text("driver", "nvmlSystemGetDriverVersion")
    cuda = nvml.ask("cuda-driver", "nvmlSystemGetCudaDriverVersion_v2")
    count = nvml.number("gpus", "nvmlDeviceGetCount", may_lack=False)
    gpus, uuids = [], []
    for index in range(count or 0):
        subject = "gpu {} ".format(index)
        handle = nvml.ask(subject.strip(), "nvmlDeviceGetHandleByIndex", index)
        if handle is not None:
            gpu, own = describe_device(nvml, subject, handle)
            gpus.append(gpu)
            uuids.append(own)
    names = [str(gpu["name"]) for gpu in gpus]
    setting, order = os.environ.get("CUDA_VISIBLE_DEVICES"), os.environ.get("CUDA_DEVICE_ORDER")
    for number, visible in enumerate(visible_devices(uuids, names, setting, order)):
        gpus[number]["visible"] = visible
    return {"gpus": gpus, "driver": driver or None, "cuda-driver": cuda_version(cuda)}


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
