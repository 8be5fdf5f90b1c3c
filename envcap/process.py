"""The one door through which other programs are started: argument arrays, never a shell."""

import codecs
import contextlib
import math
import os
import selectors
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from envcap.errors import NotRunError
from envcap.interruption import has_insisted, held
from envcap.last_bytes import LONGEST_LINE, MOST_KEPT, LastBytes
from envcap.model.struct import Data
from envcap.redact import redact_text
from envcap.threads import woken

_TAIL_LINES = 40
_GRACE_SECONDS = 5.0  # between asking a program to end and making it
_KILL_SECONDS = 60.0  # for a program that was made to end
_SERVER_SECONDS = 30.0  # for a server to answer at first
_DRAIN_SECONDS = 1.0  # for output that is still in the pipes when a program has ended


class Finished(Data, frozen=True, kw_only=True):
    """How a program ended. `code` is negative for a signal, as subprocess has it; `tail` its last lines."""

    code: int
    seconds: float
    peak_memory: int | None = None  # bytes
    timed_out: bool = False
    tail: list[str] = []
    stdout: str = ""  # the last of it, see `MOST_KEPT`


def capture(
    command: Sequence[str | Path],
    *,
    purpose: str,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 120.0,
    check: bool = True,
) -> subprocess.CompletedProcess[bytes]:
    """Run a short helper program and give its output.

    Raises NotRunError, naming `purpose`, the command and its last lines, when it cannot start, does not end
    in `timeout` seconds, or (with `check`) exits non-zero.
    """
    words = [str(word) for word in command]
    shown = redact_text(" ".join(words))
    child: subprocess.Popen[bytes] | None = None
    try:
        with held():
            child = subprocess.Popen(
                words, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        with woken(child.kill):
            output, errors = child.communicate(timeout=timeout)
    except OSError as error:  # also ENOEXEC: a file that is no program for this machine
        raise NotRunError(f"{purpose} failed: `{shown}` cannot be started: {error.strerror or error}.") from error
    except subprocess.TimeoutExpired as error:
        raise NotRunError(f"{purpose} failed: `{shown}` did not end within {timeout:.0f} s.") from error
    finally:
        if child is not None and child.poll() is None:
            child.kill()
            child.communicate()
    if check and child.returncode != 0:
        said = (errors or output).decode(errors="replace").strip().splitlines()[-8:]
        detail = "\n  ".join(redact_text(line) for line in said)
        raise NotRunError(f"{purpose} failed: `{shown}` ended with code {child.returncode}.\n  {detail}".rstrip())
    return subprocess.CompletedProcess(words, child.returncode, output, errors)


def run_live(
    command: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    timeout: float,
    on_line: Callable[[str], None],
    cpus: int | None = None,
) -> Finished:
    """Run a program whose output is shown line by line as it comes; give how it ended. It sees `cpus` processors.

    It gets a session of its own, so that its end, a timeout or Ctrl-C ends its children with it. Raises NotRunError
    when it cannot be started. Lines are decoded as UTF-8 with replacement; a carriage return ends a line too.
    """
    started = time.monotonic()
    child: subprocess.Popen[bytes] | None = None
    try:
        with held(), _narrowed(cpus):
            child = _start(command, cwd=cwd, env=env)
        stdout, tail, timed_out = _follow(child, deadline=started + timeout, on_line=on_line)
        code, peak = _reap(child, deadline=started + timeout if not timed_out else 0.0)
        if code is None:
            timed_out = True
            code, peak = _end(child)
        _end_session(child)
    except BaseException:
        if child is not None:
            _end(child)
        raise
    finally:
        for pipe in (child.stdout, child.stderr) if child is not None else ():
            if pipe is not None:
                pipe.close()
    return Finished(
        code=code,
        seconds=time.monotonic() - started,
        peak_memory=peak,
        timed_out=timed_out,
        tail=list(tail),
        stdout=stdout,
    )


@contextlib.contextmanager
def serving(command: Sequence[str | Path], *, purpose: str, answers: Callable[[], bool], log: Path) -> Iterator[None]:
    """Have a server run meanwhile; begin when it answers. What it says goes to `log`.

    Raises NotRunError, naming `purpose` and its last lines, when it cannot start or does not answer in time.
    """
    words = [str(word) for word in command]
    child: subprocess.Popen[bytes] | None = None
    try:
        with log.open("wb") as said, held():
            child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True)
        deadline = time.monotonic() + _SERVER_SECONDS
        while not answers():
            if _has_ended(child) or time.monotonic() >= deadline:
                lines = "\n".join(f"  {line}" for line in log.read_text(errors="replace").splitlines()[-8:])
                shown = redact_text(" ".join(words))
                raise NotRunError(f"{purpose} failed: `{shown}` does not answer.\n{redact_text(lines)}".rstrip())
            time.sleep(0.02)
        yield
    except OSError as error:
        raise NotRunError(f"{purpose} failed: `{words[0]}` cannot be started: {error.strerror or error}.") from error
    finally:
        if child is not None:
            _end(child)


@contextlib.contextmanager
def _narrowed(cpus: int | None) -> Iterator[None]:
    """Keep this thread on so many processors meanwhile: what it starts inherits them (sched_setaffinity(2))."""
    if cpus is None or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[: max(1, cpus)])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _start(command: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            list(command),
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise NotRunError(
            f"The evaluation cannot be started: `{command[0]}`: {error.strerror or error}.",
            hint="Check the command; the first word must be a program that this environment finds.",
        ) from error


class _Lines:
    """Cuts a byte stream into lines. Keeps an incomplete last line until more comes."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._rest = ""
        self._on_line = on_line

    def feed(self, piece: bytes, *, last: bool = False) -> None:
        text = self._decoder.decode(piece, last)
        whole = self._rest + text
        held = "\r" if whole.endswith("\r") and not last else ""  # its other half, `\n`, may be under way
        lines = whole.removesuffix(held).replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._rest = "" if last else lines.pop() + held
        if len(self._rest) > LONGEST_LINE:
            lines, self._rest = [*lines, self._rest], ""
        for line in lines:
            if line or not last:
                self._on_line(line)


def _follow(
    child: subprocess.Popen[bytes], *, deadline: float, on_line: Callable[[str], None]
) -> tuple[str, deque[str], bool]:
    """Read both pipes until they close or time is up: stdout, the last lines of both, whether time was up."""
    tail: deque[str] = deque(maxlen=_TAIL_LINES)

    def take(line: str) -> None:
        tail.append(line)
        on_line(line)

    stdout = LastBytes(MOST_KEPT)
    with selectors.DefaultSelector() as selector:
        for pipe in (child.stdout, child.stderr):
            assert pipe is not None  # noqa: S101  (asked for above; for the type checker)
            os.set_blocking(pipe.fileno(), False)
            selector.register(pipe, selectors.EVENT_READ, _Lines(take))
        drained_at = math.inf
        while selector.get_map():
            # A grandchild may keep the pipes open, and even write, after the program itself has ended.
            if drained_at == math.inf and _has_ended(child):
                drained_at = time.monotonic() + _DRAIN_SECONDS
            left = min(deadline, drained_at) - time.monotonic()
            if left <= 0:
                return stdout.text, tail, drained_at == math.inf
            ready = selector.select(min(left, 0.25))
            if not ready and drained_at < math.inf:
                break
            for key, _ in ready:
                piece = os.read(key.fd, 1 << 16)
                key.data.feed(piece, last=not piece)
                if key.fileobj is child.stdout:
                    stdout.add(piece)
                if not piece:
                    selector.unregister(key.fileobj)
    return stdout.text, tail, False


def _has_ended(child: subprocess.Popen[bytes]) -> bool:
    """Tell whether the program is dead, leaving its status for `_reap`."""
    status = os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    return status is not None


def _reap(child: subprocess.Popen[bytes], *, deadline: float, patient: bool = True) -> tuple[int | None, int | None]:
    """Wait for the program until `deadline`: its exit code and peak memory, or (None, None) when it still runs.

    Who is not `patient` waits no longer when somebody asks envcap to stop meanwhile.

    wait4 gives the resources of this child and what it waited for; ru_maxrss is in KiB on Linux (getrusage(2)). The
    kernel carries the starter's own size over an exec, so the peak is never below what envcap held when it started it.
    """
    while True:
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        if pid:
            child.returncode = os.waitstatus_to_exitcode(status)
            return child.returncode, usage.ru_maxrss * 1024
        if time.monotonic() >= deadline or (has_insisted() and not patient):
            return None, None
        time.sleep(0.01)


def _end(child: subprocess.Popen[bytes]) -> tuple[int, int | None]:
    """End the program and all of its session: ask, wait a little, then force. Ctrl-C meanwhile shortens the waiting."""
    if child.returncode is not None:
        return child.returncode, None
    with held():
        for number, grace in ((signal.SIGTERM, _GRACE_SECONDS), (signal.SIGKILL, _KILL_SECONDS)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, number)
            code, peak = _reap(child, deadline=time.monotonic() + grace, patient=number == signal.SIGKILL)
            if code is not None:
                _end_session(child)
                return code, peak
    return -signal.SIGKILL, None


def _end_session(child: subprocess.Popen[bytes]) -> None:
    """End what a program that is gone left behind in its session: the next run must not share the machine with it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
