"""The deep look, asked for with `--deep`: strace around the run, for what compiled code opens and starts by itself.

strace stops a process at the calls that are asked for alone (`--seccomp-bpf`, since 5.3). Format: strace(1).
"""

import os
import re
import shutil
from pathlib import Path

from envcap.errors import NotRunError
from envcap.process import capture

_OPTIONS = ["-f", "--seccomp-bpf", "-qq", "-y", "-e", "trace=execve,open,openat,creat,connect", "-e", "signal=none"]
_TEXT = r'"(?P<{}>(?:[^"\\]|\\.)*)"'
_EXECUTE = re.compile(rf"execve\({_TEXT.format('path')}.*(= 0|<unfinished \.\.\.>)$")
_OPEN = re.compile(
    rf"(?:open|openat|creat)\((?:(?:AT_FDCWD|[0-9]+)(?:<(?P<folder>(?:[^>\\]|\\.)*)>)?, )?{_TEXT.format('path')}"
    r"(?:, (?P<flags>[A-Z_0-9x|]+))?.*( = [0-9]+(<.*>)?|<unfinished \.\.\.>)$"
)
_CONNECT = re.compile(r'sin6?_port=htons\((?P<port>[0-9]+)\).*(?:inet_addr\(|inet_pton\(AF_INET6, )"(?P<host>[^"]+)"')
_WRITES = ("O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND")
_SHARED = re.compile(r"\.so(\.[0-9.]+)?$")
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|[ntrvf\\\"])")
_NAMED = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"v": b"\v", b"f": b"\f", b"\\": b"\\", b'"': b'"'}
_NAME_SERVICE = "53"


def deep_prefix(log: Path) -> list[str]:
    """Give the words before the command. Raises NotRunError where strace is missing, too old or not allowed."""
    if shutil.which("strace") is None:
        raise NotRunError("`--deep` needs strace, which is not here.", hint="`apt-get install strace`, or go without.")
    try:
        capture(["strace", *_OPTIONS, "-o", os.devnull, "true"], purpose="Trying strace")
    except NotRunError as error:
        raise NotRunError(
            f"`--deep` needs strace, and it cannot work here. {error.message}",
            hint="Containers often forbid it (`--cap-add SYS_PTRACE` allows it); leave `--deep` out.",
        ) from error
    return ["strace", *_OPTIONS, "-o", str(log), "-A", "--"]


def parse_strace(text: str, *, cwd: str) -> set[tuple[str, str]]:
    """Give the events in the words of the hook: `run`, `read`, `write`, `map`, `connect`.

    `cwd` is the folder of the run: an strace before 5.13 does not tell where a process is that opens a relative path.
    """
    found: set[tuple[str, str]] = set()
    for line in text.splitlines():
        call = line.lstrip("0123456789 ")
        execution, opening = _EXECUTE.match(call), _OPEN.match(call)
        if execution:
            found.add(("run", _plain(execution["path"])))
        elif opening:
            path = os.path.join(_plain(opening["folder"] or cwd), _plain(opening["path"]))  # noqa: PTH118
            flags = (opening["flags"] or "O_CREAT").split("|")
            kind = "write" if any(flag in _WRITES for flag in flags) else "map" if _SHARED.search(path) else "read"
            if "O_DIRECTORY" not in flags:
                found.add((kind, path))
        elif call.startswith("connect("):
            address = _CONNECT.search(call)
            if address and address["port"] != _NAME_SERVICE:
                found.add(("connect", f"{address['host']}\n{address['port']}"))
    return found


def _plain(text: str) -> str:
    """Undo strace's escapes, which are those of C."""
    content = text.encode("utf-8", "surrogateescape")
    return os.fsdecode(_ESCAPE.sub(lambda match: _NAMED.get(match[1]) or bytes([int(match[1], 8) & 255]), content))
