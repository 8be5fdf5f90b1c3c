"""The door to other programs: whatever they do, it comes back, tells how they ended, and leaves none of them behind."""

import contextlib
import os
import resource
import signal
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from envcap.errors import NotRunError
from envcap.process import Finished, capture, run_live

ENVIRONMENT = {"PATH": os.environ["PATH"], "MARKER": "here"}


class Watched:
    """Runs Python programs in a folder and remembers the lines that came."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lines: list[str] = []

    def run(self, program: str, *, timeout: float = 30.0) -> Finished:
        return run_live(
            [sys.executable, "-c", program],
            cwd=self.folder,
            env=ENVIRONMENT,
            timeout=timeout,
            on_line=self.lines.append,
        )


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def wait_for(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def is_alive(pid: int) -> bool:
    """Tell whether a process still runs. One that has ended and that nobody has asked about does not."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0] != "Z"
    return False


# How a program ends


def test_a_program_that_ends_well(watched: Watched) -> None:
    finished = watched.run(
        "import os; print('one'); print(os.getcwd()); print(os.environ['MARKER'], 'HOME' in os.environ)"
    )
    assert finished.code == 0
    assert not finished.timed_out
    assert watched.lines == ["one", str(watched.folder), "here False"]
    assert finished.stdout == "".join(f"{line}\n" for line in watched.lines)
    assert finished.tail == watched.lines
    assert 0 < finished.seconds < 30


@pytest.mark.parametrize("code", [1, 2, 70, 137])
def test_the_exit_code_is_given(code: int, watched: Watched) -> None:
    assert watched.run(f"raise SystemExit({code})").code == code


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_a_signal_is_a_negative_code(number: signal.Signals, watched: Watched) -> None:
    finished = watched.run(f"import os; os.kill(os.getpid(), {int(number)})")
    assert finished.code == -number
    assert not finished.timed_out


def test_it_reads_nothing_from_the_terminal(watched: Watched) -> None:
    assert watched.run("import sys; print(repr(sys.stdin.read()))").stdout == "''\n"


def test_what_cannot_be_started_is_named(tmp_path: Path) -> None:
    script = tmp_path / "no-program"
    script.write_bytes(b"\x7fELF is not enough")
    for word in ("envcap-no-such-program", str(tmp_path / "missing"), str(tmp_path), str(script)):
        with pytest.raises(NotRunError) as failed:
            run_live([word], cwd=tmp_path, env=ENVIRONMENT, timeout=5, on_line=print)
        assert f"`{word}`" in failed.value.message
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    with pytest.raises(NotRunError, match="cannot be started"):
        run_live([str(script)], cwd=tmp_path, env=ENVIRONMENT, timeout=5, on_line=print)


# Output


@pytest.mark.parametrize(
    ("written", "lines"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"one", ["one"]),
        (b"one\ntwo\n", ["one", "two"]),
        (b"one\r\ntwo", ["one", "two"]),
        (b"10%\r20%\rdone\n", ["10%", "20%", "done"]),
        (b"10%\r", ["10%"]),
        (b"one\n\n\ntwo\n", ["one", "", "", "two"]),
        (b"caf\xe9\n", ["caf�"]),
        (b"\xff\xfe\x00x\n", ["��\x00x"]),
        ("é…😀\n".encode(), ["é…😀"]),
        (b"cut \xe2\x82", ["cut �"]),
        (b"a\x0bb\x85\n", ["a\x0bb�"]),
    ],
)
def test_output_comes_line_by_line(written: bytes, lines: list[str], watched: Watched) -> None:
    watched.run(f"import sys; sys.stdout.buffer.write({written!r})")
    assert watched.lines == lines


def test_a_character_or_line_end_in_two_pieces_is_one(watched: Watched) -> None:
    program = (
        "import os, time\n"
        "for piece in (b'one\\r', b'\\ntwo \\xe2\\x82', b'\\xac\\r', b'three'):\n"
        "    os.write(1, piece); time.sleep(0.15)\n"
    )
    finished = watched.run(program)
    assert watched.lines == ["one", "two €", "three"]
    assert finished.stdout == "one\r\ntwo €\rthree"


def test_lines_come_while_it_runs(watched: Watched) -> None:
    times: list[float] = []
    run_live(
        [sys.executable, "-uc", "import time; print(1); time.sleep(0.5); print(2)"],
        cwd=watched.folder,
        env=ENVIRONMENT,
        timeout=30,
        on_line=lambda _: times.append(time.monotonic()),
    )
    assert times[1] - times[0] > 0.3


def test_both_streams_are_shown_and_only_one_is_kept(watched: Watched) -> None:
    finished = watched.run("import sys; print('out'); print('err', file=sys.stderr)")
    assert sorted(watched.lines) == ["err", "out"]
    assert sorted(finished.tail) == ["err", "out"]
    assert finished.stdout == "out\n"


def test_much_output_is_all_there(watched: Watched) -> None:
    program = "import sys\nfor n in range(50_000): print(n); print(n, file=sys.stderr)\nprint('x' * 3_000_000)"
    finished = watched.run(program)
    assert finished.stdout == "".join(f"{number}\n" for number in range(50_000)) + "x" * 3_000_000 + "\n"
    assert len(watched.lines) == 100_001
    assert len(finished.tail) <= 40


def test_an_error_of_the_listener_ends_the_program(tmp_path: Path) -> None:
    def refuse(line: str) -> None:
        raise RuntimeError(line)

    program = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    with pytest.raises(RuntimeError) as raised:
        run_live([sys.executable, "-c", program], cwd=tmp_path, env=ENVIRONMENT, timeout=60, on_line=refuse)
    assert not is_alive(int(str(raised.value)))


# Time


GRANDCHILD = """\
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {grandchild!r}])
print(child.pid, flush=True)
{then}
"""
SLEEP = "import time; time.sleep(60)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"


def test_a_program_that_takes_too_long_is_ended(watched: Watched) -> None:
    finished = watched.run("import time; print('started', flush=True); time.sleep(60)", timeout=1.0)
    assert finished.timed_out
    assert finished.code == -signal.SIGTERM
    assert finished.tail == ["started"]
    assert 1.0 <= finished.seconds < 5


def test_a_program_that_has_closed_its_output_is_ended_too(watched: Watched) -> None:
    finished = watched.run("import os, time; os.close(1); os.close(2); time.sleep(60)", timeout=1.0)
    assert finished.timed_out
    assert finished.seconds < 5


def test_a_program_may_clean_up_when_it_is_ended(watched: Watched) -> None:
    program = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (open('cleaned', 'w').close(), sys.exit(0)))\n"
        "print('ready', flush=True); time.sleep(60)"
    )
    finished = watched.run(program, timeout=1.0)
    assert finished.timed_out
    assert (watched.folder / "cleaned").exists()


@pytest.mark.parametrize("grandchild", [SLEEP, DEAF], ids=["plain", "deaf"])
def test_a_timeout_ends_the_grandchildren_too(grandchild: str, watched: Watched) -> None:
    finished = watched.run(GRANDCHILD.format(grandchild=grandchild, then="time.sleep(60)"), timeout=1.5)
    assert finished.timed_out
    pid = int(watched.lines[0])
    assert wait_for(lambda: not is_alive(pid))


def test_a_program_that_will_not_end_is_made_to(watched: Watched) -> None:
    started = time.monotonic()
    finished = watched.run(DEAF, timeout=0.5)
    assert finished.timed_out
    assert finished.code == -signal.SIGKILL
    assert time.monotonic() - started < 15


def test_a_grandchild_that_keeps_the_pipe_does_not_hold_it_up(watched: Watched) -> None:
    finished = watched.run(GRANDCHILD.format(grandchild=SLEEP, then="print('the end')"))
    assert finished.code == 0
    assert not finished.timed_out
    assert watched.lines[1:] == ["the end"]
    assert finished.seconds < 10
    pid = int(watched.lines[0])
    assert wait_for(lambda: not is_alive(pid)), "the next run would share the machine with it"


def test_a_grandchild_that_goes_on_writing_does_not_hold_it_up(watched: Watched) -> None:
    chatter = "import time\nwhile True: print('still here', flush=True); time.sleep(0.05)"
    finished = watched.run(GRANDCHILD.format(grandchild=chatter, then="print('the end')"))
    assert finished.code == 0
    assert not finished.timed_out
    assert "the end" in watched.lines
    assert finished.seconds < 10


# Memory


def test_the_peak_memory_is_about_right(watched: Watched) -> None:
    small = watched.run("pass").peak_memory
    large = watched.run("x = bytearray(200 << 20)").peak_memory
    assert small is not None
    assert large is not None
    # The kernel counts what the starting process held at that moment, so this one's own peak is the floor.
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert 1 << 20 < small < own + (100 << 20)
    assert 200 << 20 < large < own + (300 << 20)


def test_the_peak_memory_of_a_child_counts(watched: Watched) -> None:
    peak = watched.run(
        "import subprocess, sys; subprocess.run([sys.executable, '-c', 'x = bytearray(200 << 20)'])"
    ).peak_memory
    assert peak is not None
    assert peak > 200 << 20


# Short helper programs


def test_the_output_of_a_helper_is_given() -> None:
    done = capture([sys.executable, "-c", "import sys; print('out'); print('err', file=sys.stderr)"], purpose="Asking")
    assert (done.stdout, done.stderr, done.returncode) == (b"out\n", b"err\n", 0)


def test_a_helper_that_fails_is_told_with_its_last_words() -> None:
    words = [sys.executable, "-c", "raise SystemExit('it broke at https://user:c4n4ry@example.org/')"]
    with pytest.raises(NotRunError) as failed:
        capture(words, purpose="Asking")
    assert "Asking failed" in failed.value.message
    assert "ended with code 1" in failed.value.message
    assert "it broke at https://***@example.org/" in failed.value.message
    assert "c4n4ry" not in failed.value.message
    assert capture(words, purpose="Asking", check=False).returncode == 1


def test_a_helper_that_cannot_start_or_end_is_told(tmp_path: Path) -> None:
    for word in ("envcap-no-such-program", str(tmp_path), str(tmp_path / "missing" / "x")):
        with pytest.raises(NotRunError, match="cannot be started"):
            capture([word], purpose="Asking")
    with pytest.raises(NotRunError, match="did not end within 1 s"):
        capture([sys.executable, "-c", SLEEP], purpose="Asking", timeout=1.0)
