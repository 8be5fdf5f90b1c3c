"""From the lines that a watched run left to what it did. Looks at the file system only to follow links."""

import os
import re
import shlex
import shutil
from collections import defaultdict
from collections.abc import Iterable, Mapping

from envcap.evaluate.environment import recordable
from envcap.evaluate.opaque import opaque_readers
from envcap.model.observed import Observed
from envcap.redact import holds_credentials
from envcap.regular import is_elf
from envcap.trust.forms import has_control_characters

_SEPARATORS = re.compile(r"\|\||&&|[;|&\n]")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_LOCAL = re.compile(r"127\.|::1$|localhost$|::ffff:127\.|0\.0\.0\.0$|::$")
_DISABLING = re.compile(r"-[A-Za-z]*[IES][A-Za-z]*")
_SHARED = re.compile(r"\.so(\.[0-9.]+)?$")
_OLD = re.compile(r"3\.[67]")


def parse_events(content: bytes) -> dict[str, set[str]]:
    """Give the texts of each kind of event; a line that is not whole, as a full disk leaves one, is left out."""
    events: dict[str, set[str]] = defaultdict(set)
    for line in content.split(b"\n"):
        parts = line.split(b"\t")
        if len(parts) == 3 and parts[1].isdigit():
            events[parts[0].decode(errors="replace")].add(os.fsdecode(_unescape(parts[2])))
    return events


def _unescape(text: bytes) -> bytes:
    words = {b"n": b"\n", b"t": b"\t", b"\\": b"\\"}
    return re.sub(rb"\\(.)", lambda match: words.get(match[1], match[0]), text)


def describe_events(
    events: Mapping[str, set[str]], *, env: Mapping[str, str], cwd: str, deep: bool = False
) -> Observed:
    """Say what the events mean. `env` and `cwd` are those of the run: shell text names programs by them."""
    commands = list(_commands(events.get("shell", ())))
    started = {*events.get("run", ()), *_by_shell(commands, env=env, cwd=cwd)}
    written = _real(events.get("write", ()))
    libraries: set[str] = set()
    other: set[str] = set()
    for path in _real(events.get("map", ())):
        (libraries if is_elf(path) else other).add(path)
    return Observed(
        mapped=sorted(libraries),
        opened=sorted(events.get("dlopen", ())),
        started=sorted(path for path in started if os.path.isfile(path)),  # noqa: PTH113
        opaque=opaque_readers(
            (path for path in started if os.path.isfile(path)),  # noqa: PTH113
            libraries,
            scripts=events.get("script", ()),
            git={*events.get("git", ()), *(words[1] for words in commands if words[0] == "git" and len(words) > 1)},
        ),
        read=sorted((_real(events.get("read", ())) | other) - written),
        written=sorted(written),
        connections=sorted(_connections(events)),
        unwatched=sorted(set(_unwatched(events))),
        old=sorted(version for version in events.get("start", ()) if _OLD.fullmatch(version)),
        settings=sorted(events.get("setting", ())),
        watched=bool(events.get("start")),
        deep=deep,
    )


def mapped_libraries(content: bytes) -> list[str]:
    """Give the paths of the shared objects that a run mapped, by name alone: they may be of another machine."""
    paths = parse_events(content).get("map", set())
    return sorted(path for path in paths if _SHARED.search(path))


def inner_settings(texts: Iterable[str]) -> dict[str, str]:
    """Give the settings that processes ended with, sorted by name; those that differed between them with commas.

    A variable that may not be recorded (`recordable`) is left out, and so is any value with credentials or a token.
    """
    values: dict[str, set[str]] = defaultdict(set)
    for text in texts:
        name, found, value = text.partition("=")
        if not found or has_control_characters(text) or holds_credentials(value):
            continue
        if " " in name or recordable({name: value}, named=())[0]:
            values[name].add(value)
    return {name: ", ".join(sorted(told)) for name, told in sorted(values.items())}


def disables_hook(words: Iterable[str]) -> bool:
    """Tell whether a Python started with these words takes no part in the watching (`-I`, `-E`, `-S`)."""
    for word in list(words)[1:]:
        if not word.startswith("-") or word in ("-", "--") or word[:2] in ("-c", "-m"):
            return False
        if word[:2] not in ("-X", "-W", "--") and _DISABLING.fullmatch(word):
            return True
    return False


def _unwatched(events: Mapping[str, set[str]]) -> Iterable[str]:
    for text in events.get("python", ()):
        words = text.split("\n")
        if disables_hook(words):
            command = f"{os.path.basename(words[0])} {' '.join(filter(None, words[1:3]))}"  # noqa: PTH119
            yield f"{command}: its options leave out site customisation"
    for name in events.get("foreign", ()):
        yield f"{name}: it ran as another user"
    for name in events.get("bare", ()):
        yield f"{os.path.basename(name)}: it was started with an environment of its own"  # noqa: PTH119


def _connections(events: Mapping[str, set[str]]) -> Iterable[str]:
    """Give the hosts whose names were looked up, connected or not, and the addresses that are of no such name."""
    looked_up, named, connected = (
        {(host, port) for host, _, port in (text.partition("\n") for text in events.get(kind, ()))}
        for kind in ("lookup", "named", "connect")
    )
    for host, port in {*looked_up, *(connected - named)}:
        if not _LOCAL.match(host) and host != os.uname().nodename:
            yield f"{host}:{port}" if port else host


def _commands(texts: Iterable[str]) -> Iterable[list[str]]:
    """Give the words of each command of shell text, as far as that can be read without a shell."""
    for text in texts:
        for command in _SEPARATORS.split(text):
            try:
                words = shlex.split(command)
            except ValueError:
                continue
            while words and _ASSIGNMENT.match(words[0]):
                del words[0]
            if words:
                yield words


def _by_shell(commands: Iterable[list[str]], *, env: Mapping[str, str], cwd: str) -> set[str]:
    """Give the programs that commands name first."""
    found = (shutil.which(words[0], path=env.get("PATH")) for words in commands)
    return {os.path.join(cwd, path) for path in found if path}  # noqa: PTH118


def _real(paths: Iterable[str]) -> set[str]:
    found = set()
    for path in paths:
        real = os.path.realpath(path)
        if os.path.isfile(real) or not os.path.exists(real):  # noqa: PTH110, PTH113
            found.add(real)
    return {path for path in found if not path.startswith(("/proc/", "/sys/", "/dev/"))}
