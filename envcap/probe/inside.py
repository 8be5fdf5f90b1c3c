"""The probe as a task that an engine runs in an image, and Facts from how it ended."""

from collections.abc import Sequence

from envcap.errors import NotRunError
from envcap.model.facts import Facts
from envcap.model.image import Outcome, Task
from envcap.probe.handover import decode, pack

_FILE = ".envcap-probe.pyz"
_SECONDS = 120.0


def probe_task(*, gpus: list[str] | None = None, loaded: Sequence[str] = ()) -> Task:
    """Give the task: the same program that described the live environment at freeze."""
    return Task(command=["python", "-B", _FILE, *loaded], files={_FILE: pack()}, timeout=_SECONDS, gpus=gpus)


def read_outcome(outcome: Outcome) -> Facts:
    """Give what the task saw. Raises NotRunError with its last lines when it failed."""
    if outcome.code != 0:
        said = "\n".join(f"  {line}" for line in outcome.tail[-8:])
        raise NotRunError(f"The image cannot be inspected: the probe ended with code {outcome.code}.\n{said}")
    return decode(outcome.stdout.encode())
