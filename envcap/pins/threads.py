"""Doing one thing to several items at once, so that Ctrl-C or the first failure stops it promptly."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from queue import Empty, SimpleQueue
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_PATIENCE = 2.0  # seconds for the threads to notice that they should stop


def run_each(
    work: Callable[[Item], Result], items: Sequence[Item], *, threads: int, stop: threading.Event | None = None
) -> Iterator[tuple[Item, Result]]:
    """Give each item with its result, in the order they get ready. What `work` raises, this raises.

    `stop` is set when the caller has no more use for results; long work looks at it now and then. The threads are
    daemons: one that hangs in a socket does not keep the program from ending.
    """
    stop = stop or threading.Event()
    waiting: SimpleQueue[Item] = SimpleQueue()
    done: SimpleQueue[tuple[Item, Result] | BaseException] = SimpleQueue()
    for item in items:
        waiting.put(item)

    def labour() -> None:
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
