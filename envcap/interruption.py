"""Ctrl-C and requests to end: as an exception at a safe moment, so that what was begun is cleaned up."""

import signal
import sys
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
    insisted = False


def install() -> None:
    """From now on, raise StopRequest in the main thread on SIGINT, SIGTERM and SIGHUP."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _handle)


@contextmanager
def held() -> Iterator[None]:
    """Put a request off until the block has ended.

    For the few steps after which somebody must know what was made: a process that was started, for instance, whose
    number would be lost with an exception raised on the way. And for what takes such a thing away again.
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
            _State.insisted = _is_stopping()
            if not _State.insisted:
                raise StopRequest(number)


def has_insisted() -> bool:
    """Tell whether somebody asks again, or asks while something is taken away: then nobody is waited for."""
    return _State.pending is not None or (_State.insisted and _is_stopping())


def _handle(number: int, frame: FrameType | None) -> None:
    """Raise the request, but for one that is held, and for a further one while the first is on its way out.

    What cleans up then runs within the first one's handling. Raised there again, it would cut that off half-way.
    """
    del frame
    if _State.holding:
        _State.pending = number
        return
    if _is_stopping():
        _State.insisted = True
        return
    _State.insisted = False
    raise StopRequest(number)


def _is_stopping() -> bool:
    """Tell whether a request is being handled at this moment, by whoever called."""
    error = sys.exc_info()[1]
    while error is not None:
        if isinstance(error, StopRequest):
            return True
        error = error.__context__
    return False
