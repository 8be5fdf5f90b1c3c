"""The GPUs of AMD as Linux tells them in /sys (Linux kernel, amdkfd: the topology of compute nodes), without ROCm."""

import os

from .files import text_or_none

_NODES = "sys/class/kfd/kfd/topology/nodes"
_DRIVER = "sys/module/amdgpu/version"
_VISIBLE = ("ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")


def describe_amd_gpus(root: str = "/") -> "tuple[list[dict[str, object]], str | None]":
    """Give for each GPU the table that `envcap.model.facts.Gpu` describes, and the version of the driver if told."""
    nodes = os.path.join(root, _NODES)
    try:
        names = sorted(os.listdir(nodes), key=lambda name: (len(name), name))
    except OSError:
        return [], None
    chosen = any(os.environ.get(name) for name in _VISIBLE)
    gpus = []
    for name in names:
        properties = _properties(os.path.join(nodes, name, "properties"))
        if properties.get("simd_count"):  # a processor has none
            gpu = _describe(os.path.join(nodes, name), properties, root)
            gpu["visible"] = None if chosen else True
            gpus.append(gpu)
    driver = (text_or_none(os.path.join(root, _DRIVER)) or "").strip()
    return gpus, driver or None


def _describe(node: str, properties: "dict[str, int]", root: str) -> "dict[str, object]":
    render = "renderD{}".format(properties.get("drm_render_minor", 0))
    product = text_or_none(os.path.join(root, "sys/class/drm", render, "device/product_name")) or ""
    own = text_or_none(os.path.join(node, "name")) or ""
    target = target_name(properties.get("gfx_target_version", 0))
    return {
        "name": product.strip() or own.strip() or target,
        "maker": "amd",
        "memory": _memory(os.path.join(node, "mem_banks")),
        "compute-capability": target,
        "multiprocessors": properties["simd_count"] // max(properties.get("simd_per_cu", 1), 1),
    }


def target_name(version: int) -> str:
    """Give `gfx90a` for 90010: two digits each for minor and stepping, which the name has in base 16."""
    major, minor, stepping = version // 10000, version // 100 % 100, version % 100
    return "gfx{}{:x}{:x}".format(major, minor, stepping) if version else ""


def _memory(banks: str) -> int:
    try:
        names = os.listdir(banks)
    except OSError:
        return 0
    return sum(_properties(os.path.join(banks, name, "properties")).get("size_in_bytes", 0) for name in names)


def _properties(path: str) -> "dict[str, int]":
    """Read lines of a name and a whole number."""
    found = {}
    for line in (text_or_none(path) or "").split("\n"):
        words = line.split()
        if len(words) == 2 and words[1].isdigit():
            found[words[0]] = int(words[1])
    return found
