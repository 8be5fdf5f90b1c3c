"""Which GPUs an evaluation is given in a container. Pure."""

import re

from envcap.errors import WrongUsageError
from envcap.model.lock import Lock


def chosen_gpus(asked: str, lock: Lock) -> list[str] | None:
    """Give what a Task is told: all GPUs (empty), some, or None.

    `auto` asks for all where the frozen run had any; where that saw some of its machine's, for as many, the first ones.
    Only NVIDIA's are handed into a container by asking for them.
    """
    if asked == "auto":
        there = [gpu for gpu in lock.hardware.gpus if gpu.maker == "nvidia"]
        seen = [gpu for gpu in there if gpu.visible is not False]
        some = all(gpu.visible for gpu in seen) and len(seen) < len(there)
        return ([str(number) for number in range(len(seen))] if some else []) if seen else None
    if asked in {"all", "none"}:
        return [] if asked == "all" else None
    chosen = [item.strip() for item in asked.split(",")]
    if not all(re.fullmatch(r"[0-9]+|(GPU|MIG)-[A-Za-z0-9/-]+", item) for item in chosen):
        raise WrongUsageError(
            f"`{asked}` names no GPUs.", hint="Use `all`, `none`, or numbers and UUIDs, such as `--gpus 0,1`."
        )
    return chosen
