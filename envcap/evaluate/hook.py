"""Runs as `sitecustomize` in every Python of a watched run, and notes what that does. No import of ours reaches it.

Any Python can start it, so all of them can parse it; audit hooks (PEP 578) are there since 3.8. It leaves no
trace but PYTHONPATH: its folder is taken off sys.path, and the user's own sitecustomize is imported in its place.
Each event is one line, written at once by an open of its own: a killed process has told all it knew, and no file
descriptor of the program's is in the way.
"""

import os
import sys

_MOST = 200000  # events of one process; a run that opens more files than that repeats itself


def _watch(log, folder):
    from _thread import get_ident as get_identity

    opening = os.open
    writing = os.write
    closing = os.close
    flags = os.O_WRONLY | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
    write_flags = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    seen = set()
    busy = set()
    get_folder = os.getcwd
    get_process = os.getpid
    encode = os.fsencode

    def note(kind, text):
        if isinstance(text, int) or (kind, text) in seen or len(seen) > _MOST:
            return
        seen.add((kind, text))
        try:
            raw = text if isinstance(text, bytes) else encode(text)
            raw = raw.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\t", b"\\t")
            handle = opening(log, flags)
            try:
                writing(handle, b"\t".join([kind.encode(), str(get_process()).encode(), raw]) + b"\n")
            finally:
                closing(handle)
        except (OSError, UnicodeError, TypeError, ValueError):
            pass  # a full or unreachable log is no concern of the program's

    def absolute(path):
        if isinstance(path, bytes):
            return path if path[:1] == b"/" else encode(get_folder()) + b"/" + path
        path = os.fspath(path) if hasattr(path, "__fspath__") else path
        return path if path[:1] in ("/", b"/") else get_folder() + "/" + path

    def maps():
        try:
            handle = opening("/proc/self/maps", os.O_RDONLY)
            try:
                pieces = []
                while True:
                    piece = os.read(handle, 1 << 16)
                    if not piece:
                        break
                    pieces.append(piece)
            finally:
                closing(handle)
        except OSError:
            return
        for line in b"".join(pieces).splitlines():
            at = line.find(b" /")
            if at > 0:
                note("map", line[at + 1 :])

    def program(executable, words, environment):
        name = executable if executable is not None else words[0] if isinstance(words, (list, tuple)) else words
        name = os.fsdecode(os.fspath(name) if hasattr(name, "__fspath__") else name)
        if "/" not in name:
            path = None
            if environment is not None and hasattr(environment, "get"):
                path = environment.get("PATH")
            for place in (path or os.environ.get("PATH") or "/usr/bin:/bin").split(":"):
                candidate = place + "/" + name
                if os.access(candidate, os.X_OK):
                    name = candidate
                    break
        note("run", absolute(name))
        if isinstance(words, (str, bytes)):
            note("shell", os.fsdecode(words))
            return
        texts = [os.fsdecode(os.fspath(word) if hasattr(word, "__fspath__") else word) for word in words]
        if "-c" in texts[1:-1] and name.endswith("sh"):
            note("shell", texts[texts.index("-c", 1) + 1])
        if "python" in name.rpartition("/")[2]:
            note("python", "\n".join(texts[:12]))
            if environment is not None and folder not in str(environment.get("PYTHONPATH", "")):
                note("bare", name)

    def take(event, details):
        if event == "open":
            path, mode, given = details
            if isinstance(path, int) or path is None:
                return
            is_write = bool(isinstance(given, int) and given & write_flags)
            if mode is not None and not is_write:
                is_write = any(letter in mode for letter in "wax+")
            note("write" if is_write else "read", absolute(path))
        elif event == "import":
            if details[1]:
                note("map", absolute(details[1]))
        elif event == "ctypes.dlopen":
            if details[0]:
                note("dlopen", details[0])
        elif event == "subprocess.Popen":
            program(details[0], details[1], details[3])
        elif event == "os.posix_spawn":
            program(details[0], details[1], details[2])
        elif event == "os.exec":
            maps()
            program(details[0], details[1], details[2])
        elif event == "os.system":
            note("run", "/bin/sh")
            note("shell", os.fsdecode(details[0]))
        elif event == "socket.connect":
            address = details[1]
            if isinstance(address, tuple) and len(address) >= 2:
                note("connect", "{}\n{}".format(address[0], address[1]))
        elif event == "socket.getaddrinfo" and details[0]:
            host = details[0]
            note("lookup", "{}\n{}".format(host.decode() if isinstance(host, bytes) else host, details[1]))

    taken = frozenset(
        [
            "open",
            "import",
            "ctypes.dlopen",
            "subprocess.Popen",
            "os.posix_spawn",
            "os.exec",
            "os.system",
            "socket.connect",
            "socket.getaddrinfo",
        ]
    )

    def hook(event, details):
        if event not in taken:
            return
        identity = get_identity()
        if identity in busy:
            return
        busy.add(identity)
        try:
            take(event, details)
        except Exception:  # noqa: BLE001, S110  (whatever it is, it is ours and not the program's)
            pass
        finally:
            busy.discard(identity)

    def last():
        busy.add(get_identity())
        maps()

    note("start", "{}.{}".format(sys.version_info[0], sys.version_info[1]))
    if hasattr(sys, "addaudithook"):
        sys.addaudithook(hook)
    import atexit

    atexit.register(last)


def _give_way(folder):
    """Leave sys.path and the modules as they would be, and let the user's own sitecustomize run, if there is one."""
    if folder in sys.path:
        sys.path.remove(folder)
    sys.path_importer_cache.pop(folder, None)
    sys.modules.pop("sitecustomize", None)
    import sitecustomize  # noqa: F401  (when there is none, the error is what `site` expects)


if __name__ == "sitecustomize":
    _folder = os.path.dirname(os.path.abspath(__file__))
    if sys.version_info[0] > 2:
        _watch(os.path.join(_folder, "events"), _folder)
    _give_way(_folder)
