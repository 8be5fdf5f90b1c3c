"""Which GPUs CUDA would show to a program.

CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER: CUDA C++ Programming Guide, "CUDA Environment Variables".
"""


def visible_devices(
    uuids: "list[list[str]]", names: "list[str]", setting: "str | None", order: "str | None"
) -> "list[bool | None]":
    """Tell for each device, in the order of the bus, whether it is visible; None where that cannot be known.

    `uuids` holds each device's own identifier and those of its MIG slices. Without a setting all are visible. The
    setting is read up to its first entry that names nothing, as CUDA does. Numbers follow the bus only with
    CUDA_DEVICE_ORDER=PCI_BUS_ID; otherwise the fastest comes first, which is the same thing where all are of one model.
    """
    if setting is None:
        return [True] * len(names)
    numbers_follow_the_bus = order == "PCI_BUS_ID" or len(set(names)) <= 1
    chosen = [False] * len(names)  # type: list[bool | None]
    for entry in setting.split(","):
        found = _named(entry.strip(), uuids)
        if found is None:
            break
        if _is_number(entry.strip()) and not numbers_follow_the_bus:
            return [None] * len(names)
        chosen[found] = True
    return chosen


def _named(entry: str, uuids: "list[list[str]]") -> "int | None":
    """Give the number of the device that an entry names: by number, or by the beginning of an identifier."""
    if _is_number(entry):
        return int(entry) if int(entry) < len(uuids) else None
    if not entry.startswith(("GPU-", "MIG-")):
        return None
    matching = [number for number, own in enumerate(uuids) if any(uuid.startswith(entry) for uuid in own)]
    return matching[0] if len(matching) == 1 else None


def _is_number(text: str) -> bool:
    return text != "" and all(character in "0123456789" for character in text)
