"""Ctrl-C and requests to end: as an exception at a safe moment, so that what was begun is cleaned up."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequest(BaseException):
    """Somebody asked envcap to stop.

    Not a KeyboardInterrupt, because the option parser would turn that into exit code 1, which means "different".
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


class _State:
    holding = 0
    pending: int | None = None


def install() -> None:
    """From now on, raise StopRequest in the main thread on SIGINT, SIGTERM and SIGHUP."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _handle)


@contextmanager
def held() -> Iterator[None]:
    """Put a request off until the block has ended.

    For the few steps after which somebody must know what was made: a process that was started, for instance, whose
    number would be lost with an exception raised on the way.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # requests reach the main thread only
        return
    _State.holding += 1
    try:
        yield
    finally:
        _State.holding -= 1
        if _State.holding == 0 and _State.pending is not None:
            number, _State.pending = _State.pending, None
            raise StopRequest(number)


def _handle(number: int, frame: FrameType | None) -> None:
    del frame
    if _State.holding:
        _State.pending = number
        return
    raise StopRequest(number)
