"""Doing one thing to several items at once, so that Ctrl-C or the first failure stops it promptly."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_PATIENCE = 2.0  # seconds for the threads to notice that they should stop
_OWN = threading.local()  # of a thread of a crew: the `Stop` of its work


class Stop:
    """Tells work in other threads that nobody waits for it any more, and wakes it where it waits for something."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._sleepers: set[Callable[[], object]] = set()
        self._lock = threading.Lock()

    def set(self) -> None:
        """Ask for the end."""
        with self._lock:
            self._event.set()
            sleepers = list(self._sleepers)
        for wake in sleepers:
            with suppress(OSError, RuntimeError, ValueError):  # it has ended meanwhile
                wake()

    def is_set(self) -> bool:
        """Tell whether the end was asked for."""
        return self._event.is_set()

    @contextmanager
    def waking(self, wake: Callable[[], object]) -> Iterator[None]:
        """Have `wake` called if the end is asked for inside the block, or was before it began."""
        with self._lock:
            self._sleepers.add(wake)
            too_late = self._event.is_set()
        try:
            if too_late:
                wake()
            yield
        finally:
            with self._lock:
                self._sleepers.discard(wake)


@contextmanager
def woken(wake: Callable[[], object]) -> Iterator[None]:
    """Have `wake` called when nobody waits any more for what this thread does, as `Stop.waking` does.

    For what others may call from a thread of a crew: there no StopRequest ends a program or a container.
    """
    stop: Stop | None = getattr(_OWN, "stop", None)
    if stop is None:
        yield
        return
    with stop.waking(wake):
        yield


def is_unwanted() -> bool:
    """Tell whether this is a thread of a crew for whose work nobody waits any more."""
    stop: Stop | None = getattr(_OWN, "stop", None)
    return stop is not None and stop.is_set()


def run_each(
    work: Callable[[Item], Result], items: Sequence[Item], *, threads: int, stop: Stop | None = None
) -> Iterator[tuple[Item, Result]]:
    """Give each item with its result, in the order they get ready. What `work` raises, this raises.

    `stop` is set when the caller has no more use for results; long work looks at it now and then. The threads are
    daemons: one that hangs in a socket does not keep the program from ending.
    """
    stop = stop or Stop()
    waiting: SimpleQueue[Item] = SimpleQueue()
    done: SimpleQueue[tuple[Item, Result] | BaseException] = SimpleQueue()
    for item in items:
        waiting.put(item)

    def labour() -> None:
        _OWN.stop = stop
        while not stop.is_set():
            try:
                item = waiting.get_nowait()
            except Empty:
                return
            try:
                done.put((item, work(item)))
            except BaseException as error:  # noqa: BLE001  (raised again in the caller's thread)
                done.put(error)
                return

    crew = [threading.Thread(target=labour, daemon=True) for _ in range(min(threads, len(items)))]
    for thread in crew:
        thread.start()
    try:
        for _ in items:
            answer = done.get()
            if isinstance(answer, BaseException):
                raise answer
            yield answer
    finally:
        stop.set()
        deadline = time.monotonic() + _PATIENCE
        for thread in crew:
            thread.join(max(0.0, deadline - time.monotonic()))
