"""Which versions go together: asks pip-tools for the Python of a lock, keeping what need not move."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from envcap.errors import NotRunError
from envcap.model.progress import Progress, Tell
from envcap.model.struct import Data
from envcap.pins.configuration import Configuration, with_login
from envcap.pins.resolver import UNHEARD
from envcap.pins.target import Target
from envcap.process import Finished, run_live
from envcap.redact import redact_text

_SECONDS = 1800.0  # for one resolution
_PIN = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[^\s;#]+)[^#]*(#\s*via\s+(?P<via>.*))?")
_OPTIONS = [
    *["--verbose", "--resolver", "backtracking", "--allow-unsafe", "--strip-extras", "--no-header", "--annotate"],
    *["--annotation-style", "line", "--no-emit-index-url", "--no-emit-trusted-host", "--no-emit-find-links"],
    *["--no-emit-options", "--no-config", "--pip-args", "--only-binary=:all:"],
]
# pip says this of every project for every folder that it is configured with.
_SILENT = re.compile(r"is ignored: it is neither a file nor a directory")
_TELLING = re.compile(r"WARNING|Collecting|Discarding|INFO: pip is")
_END = re.compile(r"To fix this|Traceback|Discarding|ROUND")
_MOST_LINES = 12  # of an error
_HINT = "Name other packages or versions, such as `envcap upgrade 'PACKAGE<3'`; `pip config list` shows the index."


class Resolution(Data, frozen=True, kw_only=True):
    """The versions that go together, and the names that each package requires, both by normalised name."""

    versions: dict[str, str]
    requires: dict[str, tuple[str, ...]]


class Question(Data, frozen=True, kw_only=True):
    """What to resolve. Names are normalised.

    `wishes` are names from which all else follows, `terms` what was said of the versions of any name, `present` the
    versions that there are now, and `limits` lines that only bind what is needed anyway;
    `kept` the versions to prefer, `firm` those names among them for which this goes before newer `free` ones: they
    were asked for as they are. `free` are the names for which nothing is preferred. `wheels` are files that no index
    offers.
    """

    wishes: list[str]
    kept: dict[str, str]
    free: list[str]
    firm: list[str] = []
    present: dict[str, str] = {}
    terms: dict[str, str] = {}  # name -> specifiers, such as `<3`
    limits: list[str] = []
    wheels: list[Path] = []


def resolve(
    question: Question, *, target: Target, configuration: Configuration, environ: Mapping[str, str], tell: Tell
) -> Resolution | None:
    """Give the versions that pip-compile chooses for `target`, from wheels alone; None where nothing free moves.

    They come from the places of `configuration`; how to get there pip knows by itself.

    First the free packages get the newest versions that there are beside the firm ones. Then these are settled and
    what else was there is kept as far as they allow: asked once, pip-compile would rather keep than move. Raises
    NotRunError with what it said when there is no solution, a name is unknown, or an index cannot be read.
    """
    firm = {name: version for name, version in question.kept.items() if name in question.firm}
    places = _lines_of(configuration)

    def compiled(asked: Question) -> Resolution:
        return _compile(asked, places, target=target, environ=environ, tell=tell)

    first = compiled(msgspec.structs.replace(question, kept=firm))
    chosen = {name: first.versions[name] for name in question.free if name in first.versions}
    if all(_same(version, question.present.get(name)) for name, version in chosen.items()):
        return None
    return compiled(msgspec.structs.replace(question, terms={name: f"=={version}" for name, version in chosen.items()}))


def _lines_of(configuration: Configuration) -> list[str]:
    """Give the options of a requirements file that name the places. They hold logins, so no command line may."""
    first, *more = [with_login(index) for index in configuration.indexes] or [""]
    return [
        f"--index-url {first}" if first else "--no-index",
        *(f"--extra-index-url {address}" for address in more),
        *(f"--find-links {with_login(links)}" for links in configuration.find_links),
    ]


def _compile(
    question: Question, places: Sequence[str], *, target: Target, environ: Mapping[str, str], tell: Tell
) -> Resolution:
    with tempfile.TemporaryDirectory(prefix="envcap-upgrade-") as name:
        folder = Path(name)
        (folder / "target.json").write_bytes(msgspec.json.encode(target))
        terms = question.terms
        _write(folder / "requirements.in", [*places, *(f"{name}{terms.get(name, '')}" for name in question.wishes)])
        beyond = [f"{name}{said}" for name, said in terms.items() if name not in question.wishes and said]
        _write(folder / "limits.txt", [*question.limits, *beyond])
        _write(folder / "pins.txt", [f"{project}=={version}" for project, version in question.kept.items()])
        links = folder / "wheels"
        links.mkdir()
        for wheel in question.wheels:
            (links / wheel.name).symlink_to(wheel.resolve())
        command = [
            *[sys.executable, "-m", "envcap.pins.resolver", "target.json", *_OPTIONS],
            *["--constraint", "limits.txt", "--find-links", str(links), "--cache-dir", str(folder / "cache")],
            *(word for project in question.free for word in ("--upgrade-package", project)),
            *["--output-file", "pins.txt", "requirements.in"],
        ]
        listener = _Listener(tell)
        finished = run_live(
            command,
            cwd=folder,
            env={**environ, "PYTHONPATH": _search_path(environ), "PYTHONIOENCODING": "utf-8", "NO_COLOR": "1"},
            timeout=_SECONDS,
            on_line=listener.hear,
        )
        _require_solution(finished, listener.complaint)
        return parse_pins((folder / "pins.txt").read_text(encoding="utf-8"))


def parse_pins(text: str) -> Resolution:
    """Give the pins in what pip-compile wrote with its annotations in line; other lines are passed over."""
    versions: dict[str, str] = {}
    requires: dict[str, set[str]] = {}
    for line in text.splitlines():
        match = _PIN.fullmatch(line.strip())
        if match is None:
            continue
        name = str(canonicalize_name(match["name"]))
        versions[name] = match["version"]
        for word in (match["via"] or "").split(","):
            source = word.strip()
            if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", source):
                requires.setdefault(str(canonicalize_name(source)), set()).add(name)
    return Resolution(
        versions=versions,
        requires={name: tuple(sorted(requires.get(name, set()) & versions.keys())) for name in versions},
    )


def _same(version: str, other: str | None) -> bool:
    return other is not None and Version(version) == Version(other)


def parse_wish(text: str) -> Requirement:
    """Give the requirement that a user wrote: a name, perhaps with versions. Raises ValueError saying what is wrong."""
    try:
        wish = Requirement(text)
    except InvalidRequirement as error:
        raise ValueError("it is not a package with, perhaps, a version") from error
    if wish.url or wish.marker or wish.extras:
        raise ValueError("only a name and versions can be asked for, no address, marker or extra")
    return wish


def _write(path: Path, lines: Sequence[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _search_path(environ: Mapping[str, str]) -> str:
    """Give a path on which the child finds this very envcap, wherever it was started."""
    own = str(Path(__file__).resolve().parents[2])
    return os.pathsep.join([own, *filter(None, [environ.get("PYTHONPATH")])])


class _Listener:
    """Tells what pip-compile does, and keeps what it said last of why it does not go on."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._complaint: list[str] = []
        self._complaining = False

    @property
    def complaint(self) -> list[str]:
        """The lines of its last error."""
        return self._complaint

    def hear(self, line: str) -> None:
        """Take one line of what it says."""
        text = redact_text(line.strip())
        if _SILENT.search(text):
            return
        if text.startswith("ERROR:"):
            self._complaint, self._complaining = [], True
        if _END.match(text):
            self._complaining = False
        if self._complaining and text and len(self._complaint) < _MOST_LINES:
            self._complaint.append(text.removeprefix("ERROR: "))
        if _TELLING.match(text):
            self._tell(Progress(kind="output", text=text))


def _require_solution(finished: Finished, complaint: Sequence[str]) -> None:
    if finished.timed_out:
        raise NotRunError(
            f"pip-tools found no versions that go together within {_SECONDS / 60:.0f} minutes.",
            hint="Name the packages that may move: `envcap upgrade PACKAGE`.",
        )
    if finished.code == 0:
        return
    last = next((redact_text(line) for line in reversed(finished.tail) if line.strip()), "it said nothing")
    if UNHEARD in last:
        raise NotRunError(
            f"The lock's Python cannot be resolved for: {UNHEARD}.",
            hint="`pip install --upgrade pip pip-tools` in the environment of envcap.",
        )
    said = [*complaint, last.rpartition("exceptions.")[2]]
    shown = "\n".join(f"  {line}" for line in said if "for help visit" not in line)
    raise NotRunError(f"pip-tools found no versions that go together:\n{shown}", hint=_HINT)
