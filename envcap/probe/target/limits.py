"""What the process may use: resource limits (getrlimit(2)) and those of its control groups (cgroups(7))."""

import os

from .files import text_or_none

_RESOURCES = ("as", "cpu", "data", "fsize", "memlock", "nofile", "nproc", "stack")
_CGROUPS = "/sys/fs/cgroup"
_NO_LIMIT = 1 << 60  # bytes; version 1 writes "none" as the largest number that fits


def describe_limits() -> "dict[str, str]":
    """Give the limits that there are, those that are not set left out: soft ones, in the units of getrlimit(2).

    `cgroup memory` is in bytes, `cgroup processors` how many of them may be used at a time.
    """
    limits = _resource_limits()
    groups = parse_cgroup(text_or_none("/proc/self/cgroup") or "")
    memory = _smallest(_memory_limits(groups))
    processors = _smallest(_processor_limits(groups))
    if memory is not None:
        limits["cgroup memory"] = str(int(memory))
    if processors is not None:
        limits["cgroup processors"] = "{:.2f}".format(processors)
    return limits


def parse_cgroup(text: str) -> "dict[str, str]":
    """Give the group of each controller in /proc/PID/cgroup; that of version 2 under an empty name."""
    groups = {}  # type: dict[str, str]
    for line in text.split("\n"):
        parts = line.split(":", 2)
        if len(parts) == 3 and parts[2].startswith("/") and ".." not in parts[2]:
            for name in parts[1].split(","):
                groups[name] = parts[2]
    return groups


def parse_cpu_max(text: str) -> "float | None":
    """Give the processors that a `cpu.max` allows (cgroup v2): quota by period; None for `max` and what it is not."""
    words = text.split()
    if len(words) == 2 and words[0].isdigit() and words[1].isdigit() and int(words[1]):
        return int(words[0]) / int(words[1])
    return None


def _resource_limits() -> "dict[str, str]":
    try:
        import resource
    except ImportError:
        return {}
    limits = {}
    for name in _RESOURCES:
        number = getattr(resource, "RLIMIT_" + name.upper(), None)
        soft = resource.getrlimit(number)[0] if number is not None else resource.RLIM_INFINITY
        if soft != resource.RLIM_INFINITY:
            limits[name] = str(soft)
    return limits


def _memory_limits(groups: "dict[str, str]") -> "list[float]":
    texts = _texts("", groups.get(""), "memory.max") + _texts("memory", groups.get("memory"), "memory.limit_in_bytes")
    numbers = [int(text) for text in texts if text.isdigit() and len(text) < 20]
    return [float(number) for number in numbers if number < _NO_LIMIT]


def _processor_limits(groups: "dict[str, str]") -> "list[float]":
    found = [parse_cpu_max(text) for text in _texts("", groups.get(""), "cpu.max")]
    quotas = _texts("cpu", groups.get("cpu"), "cpu.cfs_quota_us")
    periods = _texts("cpu", groups.get("cpu"), "cpu.cfs_period_us")
    found += [parse_cpu_max(" ".join(pair)) for pair in zip(quotas, periods)]  # noqa: B905  (Python 3.6)
    return [number for number in found if number]


def _texts(controller: str, group: "str | None", name: str) -> "list[str]":
    """Read a file of the group and of those around it. In a container the innermost one is mounted as the root."""
    if group is None:
        return []
    texts = []
    path = group
    while True:
        text = text_or_none(os.path.join(_CGROUPS, controller, path.strip("/"), name))
        if text is not None:
            texts.append(text.strip())
        if path in ("", "/"):
            return texts
        path = path.rpartition("/")[0]


def _smallest(numbers: "list[float]") -> "float | None":
    return min(numbers) if numbers else None
