"""What BuildKit says while it builds, in the two forms that its client has, as steps and lines. Pure.

`rawjson` (buildx 0.15 and newer): one JSON object a line, the client's own record of vertexes, logs and statuses
(moby/buildkit, `client/graph.go`). `plain` (all of them): lines that begin with the number of a step.
"""

import base64
import binascii
import re
from collections import deque
from collections.abc import Iterator

import msgspec

from envcap.model.image import StepTime
from envcap.model.progress import Progress

_TAIL = 20  # lines of a failing step that are shown
_WIDTH = 100  # characters of a step that are shown
_PLAIN = re.compile(r"#(\d+) (.*)")
_TIMED = re.compile(r"\d+\.\d+ (.*)")
_DONE = re.compile(r"DONE (\d+(?:\.\d+)?)s")
_STEP = re.compile(r"\[[^\]]*\d+/\d+\] (.*)")  # `[packages 2/7] RUN …`; others are BuildKit's own
_BASE = re.compile(r"\[internal\] load metadata for (.*)")  # where a base that is not there shows
_MOMENT = re.compile(r"(\d+)-(\d+)-(\d+)T(\d+):(\d+):(\d+)(\.\d+)?Z")


def shortened(step: str) -> str:
    """Give a step as it is shown: some are whole programs."""
    return step if len(step) <= _WIDTH else f"{step[:_WIDTH]}…"


class BuildProgress:
    """Takes lines, and gives what is to be told. Afterwards it knows the times, and the step that failed."""

    def __init__(self) -> None:
        self.failed: str | None = None
        self.reason = ""
        self._names: dict[str, str] = {}
        self._bases: dict[str, str] = {}
        self._seconds: dict[str, float] = {}
        self._tails: dict[str, deque[str]] = {}
        self._last = ""

    @property
    def tail(self) -> list[str]:
        """The last lines of the step that failed, or of the one that ran last."""
        names = {name: key for key, name in self._names.items()}
        return list(self._tails.get(names.get(self.failed or "", self._last), ()))

    @property
    def begun(self) -> str | None:
        """The step that began last, or None before the first one."""
        return next(reversed(self._names.values()), None)

    @property
    def times(self) -> list[StepTime]:
        """How long each step of the Dockerfile took, in its order; those from the cache took no time."""
        return [StepTime(step=name, seconds=self._seconds.get(key, 0.0)) for key, name in self._names.items()]

    def take(self, line: str) -> Iterator[Progress]:
        """Take one line in either form."""
        if line.startswith("{"):
            try:
                yield from self._take_status(msgspec.json.decode(line, type=_Status))
                return
            except (msgspec.DecodeError, binascii.Error):
                pass  # a line that only looks like it
        match = _PLAIN.fullmatch(line)
        if match:
            yield from self._take_plain(match[1], match[2])
        elif line.startswith("ERROR: "):
            self.reason = line.removeprefix("ERROR: ").removeprefix("failed to solve: ")

    def _take_plain(self, key: str, text: str) -> Iterator[Progress]:
        done, timed, step = _DONE.fullmatch(text), _TIMED.fullmatch(text), _STEP.fullmatch(text)
        self._note_base(key, text)
        if step and key not in self._names:
            yield self._begin(key, step[1])
        elif done:
            self._seconds[key] = self._seconds.get(key, 0.0) + float(done[1])
        elif text.startswith("ERROR: "):
            self._fail(key, text.removeprefix("ERROR: "))
        elif timed and key in self._names:
            yield self._say(key, timed[1])

    def _take_status(self, status: "_Status") -> Iterator[Progress]:
        for vertex in status.vertexes:
            step = _STEP.fullmatch(vertex.name)
            self._note_base(vertex.digest, vertex.name)
            if step and vertex.started and vertex.digest not in self._names:
                yield self._begin(vertex.digest, step[1])
            if vertex.started and vertex.completed and not vertex.cached:
                self._seconds[vertex.digest] = max(0.0, _moment(vertex.completed) - _moment(vertex.started))
            if vertex.error:
                self._fail(vertex.digest, vertex.error)
        for log in status.logs:
            if log.vertex in self._names:
                for text in base64.b64decode(log.data).decode(errors="replace").splitlines():
                    yield self._say(log.vertex, text)

    def _note_base(self, key: str, text: str) -> None:
        base = _BASE.fullmatch(text)
        if base:
            self._bases[key] = f"FROM {base[1]}"

    def _begin(self, key: str, step: str) -> Progress:
        self._names[key] = step
        self._tails[key] = deque(maxlen=_TAIL)
        return Progress(kind="step", text=shortened(step))

    def _say(self, key: str, text: str) -> Progress:
        self._tails[key].append(text)
        self._last = key
        return Progress(kind="output", text=text)

    def _fail(self, key: str, reason: str) -> None:
        if reason != "context canceled" and self.failed is None:  # other steps are stopped by the first that fails
            self.failed = self._names.get(key) or self._bases.get(key, "a step of BuildKit's own")
            self.reason = reason


class _Vertex(msgspec.Struct, frozen=True):
    digest: str
    name: str = ""
    started: str | None = None
    completed: str | None = None
    cached: bool = False
    error: str = ""


class _Log(msgspec.Struct, frozen=True):
    vertex: str
    data: str = ""


class _Status(msgspec.Struct, frozen=True):
    vertexes: list[_Vertex] = []
    logs: list[_Log] = []


def _moment(text: str) -> float:
    """Give the seconds of a moment within its month: RFC 3339 with up to nine digits, which datetime cannot read."""
    match = _MOMENT.fullmatch(text)
    if match is None:
        return 0.0
    day, hours, minutes, seconds = (int(match[number]) for number in (3, 4, 5, 6))
    return ((day * 24 + hours) * 60 + minutes) * 60 + seconds + float(match[7] or 0)
