"""Which GPUs a verification asks for, of what was frozen and what was said."""

import msgspec
import pytest

from envcap.gpus import chosen_gpus
from envcap.model.facts import Gpu
from envcap.model.lock import Lock

CARD = Gpu(name="Example Accelerator", memory=80 << 30, compute_capability="9.0")


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ([], None),
        ([True], []),
        ([True, True], []),
        ([False, False, True, False], ["0"]),
        ([True, False, True], ["0", "1"]),
        ([False, False], None),
        ([None, None], []),
    ],
)
def test_as_many_as_the_frozen_run_saw(seen: list[bool | None], expected: list[str] | None, sample_lock: Lock) -> None:
    gpus = [msgspec.structs.replace(CARD, visible=visible) for visible in seen]
    hardware = msgspec.structs.replace(sample_lock.hardware, gpus=gpus)
    assert chosen_gpus("auto", msgspec.structs.replace(sample_lock, hardware=hardware)) == expected
