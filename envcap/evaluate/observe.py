"""From the lines that a watched run left to what it did. Looks at the file system only to follow links."""

import os
import re
import shlex
import shutil
from collections import defaultdict
from collections.abc import Iterable, Mapping

from envcap.evaluate.environment import recordable
from envcap.model.observed import Observed
from envcap.redact import holds_credentials
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
    started = {*events.get("run", ()), *_by_shell(events.get("shell", ()), env=env, cwd=cwd)}
    written = _real(events.get("write", ()))
    libraries: set[str] = set()
    other: set[str] = set()
    for path in _real(events.get("map", ())):
        (libraries if _is_elf(path) else other).add(path)
    return Observed(
        mapped=sorted(libraries),
        opened=sorted(events.get("dlopen", ())),
        started=sorted(path for path in started if os.path.isfile(path)),  # noqa: PTH113
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
    for name in events.get("bare", ()):
        yield f"{os.path.basename(name)}: it was started with an environment of its own"  # noqa: PTH119


def _connections(events: Mapping[str, set[str]]) -> Iterable[str]:
    """Give hosts by the names that were looked up, connected or not; addresses only where no name was."""
    names = {tuple(text.split("\n", 1)) for text in events.get("lookup", ())}
    connected = {tuple(text.split("\n", 1)) for text in events.get("connect", ())}
    far = {pair for pair in connected if len(pair) == 2 and not _LOCAL.match(pair[0])}
    by_name = {
        pair for pair in names if len(pair) == 2 and not _LOCAL.match(pair[0]) and pair[0] != os.uname().nodename
    }
    ports = {port for _, port in by_name}
    plain = {pair for pair in far if pair[1] not in ports}
    return {f"{host}:{port}" for host, port in {*by_name, *plain}}


def _by_shell(texts: Iterable[str], *, env: Mapping[str, str], cwd: str) -> set[str]:
    """Give the programs that shell text names first in each command, as far as that can be read without a shell."""
    found = set()
    for text in texts:
        for command in _SEPARATORS.split(text):
            try:
                words = shlex.split(command)
            except ValueError:
                continue
            words = [word for word in words if not _ASSIGNMENT.match(word)]
            if not words:
                continue
            path = shutil.which(words[0], path=env.get("PATH"))
            if path:
                found.add(os.path.join(cwd, path))  # noqa: PTH118
    return found


def _real(paths: Iterable[str]) -> set[str]:
    found = set()
    for path in paths:
        real = os.path.realpath(path)
        if os.path.isfile(real) or not os.path.exists(real):  # noqa: PTH110, PTH113
            found.add(real)
    return {path for path in found if not path.startswith(("/proc/", "/sys/", "/dev/"))}


def _is_elf(path: str) -> bool:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        return os.read(handle, 4) == b"\x7fELF"
    except OSError:
        return False
    finally:
        os.close(handle)
