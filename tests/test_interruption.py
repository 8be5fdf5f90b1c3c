"""Ctrl-C once, twice, three times, at a real program: nothing that was begun is left behind."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from envcap import interruption
from envcap.interruption import StopRequest, has_insisted, held

# An evaluation that does not listen, and whose end is noticed by whoever looks for its file.
DEAF = "import os, pathlib, signal, sys, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
DEAF += "pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))\ntime.sleep(120)\n"
RUNNER = """\
import os, pathlib, sys
from envcap import interruption
from envcap.process import run_live
interruption.install()
folder = pathlib.Path(sys.argv[1])
try:
    run_live([sys.executable, "-c", sys.argv[2], str(folder / "pid")], cwd=folder, env=os.environ, timeout=100,
             on_line=print)
except interruption.StopRequest as stop:
    (folder / "ended").write_text("cleaned up")
    sys.exit(stop.exit_code)
"""


@pytest.fixture
def handled() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    interruption.install()
    yield
    signal.signal(signal.SIGINT, before)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def press() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.01)


def test_what_cleans_up_is_not_cut_short_by_the_next_one(handled: None) -> None:
    done = []

    def stopped() -> None:
        try:
            press()
        finally:
            done.append(has_insisted())
            press()
            done.append(has_insisted())
            with held():
                press()
            done.append(has_insisted())

    with pytest.raises(StopRequest):
        stopped()
    assert done == [False, True, True]
    assert not has_insisted()
    with pytest.raises(StopRequest):  # the next command can be stopped as well
        press()


def test_a_held_request_comes_afterwards_and_is_known_meanwhile(handled: None) -> None:
    seen = []

    def kept() -> None:
        with held():
            press()
            seen.append(has_insisted())

    with pytest.raises(StopRequest):
        kept()
    assert seen == [True]
    with held():
        pass


def test_one_that_was_swallowed_does_not_make_the_next_one_deaf(handled: None) -> None:
    with contextlib.suppress(StopRequest):
        press()
    with pytest.raises(StopRequest):
        press()


@pytest.mark.parametrize("times", [1, 3])
def test_a_program_that_does_not_listen_is_gone_however_often_it_is_pressed(times: int, tmp_path: Path) -> None:
    started = time.monotonic()
    child = subprocess.Popen([sys.executable, "-c", RUNNER, str(tmp_path), DEAF])
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert time.monotonic() < started + 60
        time.sleep(0.02)
    evaluation = int((tmp_path / "pid").read_text())
    pressed = time.monotonic()
    for _ in range(times):
        child.send_signal(signal.SIGINT)
        time.sleep(0.2)
    assert child.wait(timeout=60) == 130
    assert (tmp_path / "ended").read_text() == "cleaned up"
    with pytest.raises(ProcessLookupError):
        os.kill(evaluation, 0)
    if times > 1:  # nobody was waited for
        assert time.monotonic() - pressed < 4
