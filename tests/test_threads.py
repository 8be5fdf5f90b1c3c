"""A crew of threads: the first failure, or an end of the interest in it, ends what they have under way."""

import sys
import time
from pathlib import Path

import pytest

from envcap.errors import NotRunError
from envcap.process import capture
from envcap.threads import is_unwanted, run_each, woken

WAITS = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).touch(); time.sleep(60)"


def wait_for(path: Path) -> None:
    while not path.exists():
        time.sleep(0.01)


def test_each_item_comes_with_its_result() -> None:
    assert dict(run_each(lambda item: item * 2, [1, 2, 3], threads=2)) == {1: 2, 2: 4, 3: 6}
    assert list(run_each(lambda item: item, [], threads=2)) == []


def test_a_failure_ends_the_programs_of_the_others(tmp_path: Path) -> None:
    """Nothing would end them: requests to stop reach the main thread only."""
    begun = tmp_path / "begun"

    def work(item: int) -> int:
        if item:
            wait_for(begun)
            raise NotRunError("It failed.")
        return capture([sys.executable, "-c", WAITS, begun], purpose="Waiting", check=False).returncode

    started = time.monotonic()
    with pytest.raises(NotRunError, match="It failed"):
        list(run_each(work, [0, 1], threads=2))
    assert time.monotonic() - started < 30


def test_what_is_made_too_late_is_ended_at_once() -> None:
    """As a container that was asked for before the end came, and that there is only now."""
    told: list[object] = []

    def work(item: int) -> int:
        while item == 0 and not is_unwanted():
            time.sleep(0.01)
        with woken(lambda: told.append("woken")):
            told.append(is_unwanted())
        return item

    for done in run_each(work, [0, 1], threads=2):
        told.append(done)
        break
    assert told == [False, (1, 1), "woken", True]
    assert not is_unwanted()  # here nobody belongs to a crew
