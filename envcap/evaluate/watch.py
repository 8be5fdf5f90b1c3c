"""Watch runs of the evaluation: a hook in every Python, and a look from outside at what each process has mapped.

The hook is `hook.py`. The look from outside also sees programs that are no Python, workers that are killed, and files
that compiled code holds open; what comes and goes between two looks it misses.
"""

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from msgspec import structs

from envcap.evaluate.deep import deep_prefix, parse_strace
from envcap.evaluate.observe import describe_events, disables_hook, parse_events
from envcap.model.layout import HOOK_EVENTS, HOOK_FILE
from envcap.model.observed import Observed

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0  # seconds between two looks
_HOOK = Path(__file__).with_name("hook.py")
_ACCESS = os.O_WRONLY | os.O_RDWR


def hook_source() -> bytes:
    """Give the hook, for an engine to lay beside a task."""
    return _HOOK.read_bytes()


class Watch:
    """A watch under way. `env` is what the runs are to be started with, `prefix` the words before their command."""

    def __init__(self, folder: Path, env: Mapping[str, str], *, cwd: Path, deep: bool) -> None:
        self._folder = folder
        self._plain_env = env
        self._cwd = cwd
        own = env.get("PYTHONPATH", "")
        self.env = {**env, "PYTHONPATH": f"{folder}{os.pathsep}{own}" if own else str(folder)}
        self._trace = folder / "trace"
        self.prefix = deep_prefix(self._trace) if deep else []
        self._seen: set[tuple[str, str]] = set()
        self._since = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look_again, daemon=True)

    def start(self) -> None:
        """Lay the hook out and begin to look."""
        shutil.copyfile(_HOOK, self._folder / HOOK_FILE)
        # For this user alone: the events tell what the evaluation does, and decide what the lock says. A worker that
        # becomes another user can add nothing to them, which is told.
        self._folder.chmod(0o700)
        (self._folder / HOOK_EVENTS).touch(mode=0o600)
        self._since = time.time()
        self._thread.start()

    def stop(self) -> None:
        """End the looking."""
        self._ended.set()
        self._thread.join()

    def observed(self) -> Observed:
        """Say what has been seen so far."""
        events = parse_events((self._folder / HOOK_EVENTS).read_bytes())
        traced = self._trace.read_text(errors="surrogateescape") if self._trace.exists() else ""
        for kind, text in parse_strace(traced, cwd=str(self._cwd)):
            events[kind].add(text)
        held = {text for kind, text in self._seen if kind in {"read", "map"} and text not in events[kind]}
        for kind, text in self._seen:
            events[kind].add(text)
        for kind in ("read", "write", "map"):
            events[kind] = {path for path in events[kind] if not path.startswith(f"{self._folder}/")}
        observed = describe_events(events, env=self._plain_env, cwd=str(self._cwd), deep=bool(self.prefix))
        return structs.replace(observed, since=self._since, held=sorted(held.intersection(observed.read)))

    def _look_again(self) -> None:
        pause = _FIRST_PAUSE
        while not self._ended.wait(pause):
            for process in _descendants(os.getpid()):
                with suppress(OSError):  # it ended meanwhile
                    self._look_at_user(f"/proc/{process}")
                    self._look_at(f"/proc/{process}")
            pause = min(_LONGEST_PAUSE, pause * 1.25)

    def _look_at_user(self, process: str) -> None:
        user = Path(process, "status").read_text(errors="replace").partition("\nUid:")[2].split()
        if user[1:2] != [str(os.geteuid())]:
            self._seen.add(("foreign", Path(process, "comm").read_text(errors="replace").strip()))

    def _look_at(self, process: str) -> None:
        program = os.readlink(f"{process}/exe")  # noqa: PTH115  (a kernel's link is no path to follow)
        if program.endswith("/strace"):
            return
        words = Path(process, "cmdline").read_text(errors="surrogateescape").split("\0")
        # envcap's own helpers are no part of the run, and a child that has not yet started its program is envcap.
        if not Path(process, "environ").read_bytes().find(os.fsencode(self._folder)) >= 0:
            return
        if "python" in os.path.basename(program) and disables_hook(words):  # noqa: PTH119
            self._seen.add(("python", "\n".join(words[:12])))
        for line in Path(process, "maps").read_text(errors="surrogateescape").splitlines():
            _, found, path = line.partition(" /")
            if found and not path.endswith(" (deleted)"):
                self._seen.add(("map", f"/{path}"))
        for name in os.listdir(f"{process}/fd"):  # noqa: PTH208
            path = os.readlink(f"{process}/fd/{name}")  # noqa: PTH115
            if path.startswith("/") and not path.endswith(" (deleted)"):
                flags = Path(process, "fdinfo", name).read_text().partition("flags:")[2].split()[0]
                self._seen.add(("write" if int(flags, 8) & _ACCESS else "read", path))


@contextmanager
def watching(env: Mapping[str, str], *, cwd: Path, deep: bool = False) -> Iterator[Watch]:
    """Give a watch for runs in `cwd`; what it laid out is gone afterwards.

    With `deep` strace looks too. Raises NotRunError where it cannot.
    """
    with tempfile.TemporaryDirectory(prefix="envcap-watch-") as name:
        watch = Watch(Path(name).resolve(), env, cwd=cwd, deep=deep)
        watch.start()
        try:
            yield watch
        finally:
            watch.stop()


def _descendants(process: int) -> list[int]:
    """List all processes below one, as the kernel tells each thread's children (proc(5), `children`)."""
    found: list[int] = []
    waiting = [process]
    while waiting:
        current = waiting.pop()
        with suppress(OSError):
            for thread in os.listdir(f"/proc/{current}/task"):  # noqa: PTH208
                text = Path(f"/proc/{current}/task/{thread}/children").read_text()
                waiting += [int(word) for word in text.split()]
        found.append(current)
    return found[1:]
