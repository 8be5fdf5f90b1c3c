"""Runs as `sitecustomize` in every Python of a watched run, and notes what that does. No import of ours reaches it.

Any Python can start it, so all of them can parse it; audit hooks (PEP 578) are there since 3.8. It leaves no trace but
PYTHONPATH: its folder is taken off sys.path, and the user's own sitecustomize is imported in its place. Each event is
one line, written at once by an open of its own: a killed process has told all it knew, and no file descriptor of the
program's is in the way.
"""

# mypy: ignore-errors
# ruff: noqa: UP032, UP036, PTH100, PTH109, PTH110, PTH118, PTH120
# Annotations and newer ways of writing would keep old interpreters from parsing it.

import os
import sys

_MOST = 200000  # events of one process; a run that opens more files than that repeats itself
_MOST_ANSWERS = 1000  # lists of addresses of one process
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_APPEND = os.O_WRONLY | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
# Variables that a program can set for itself before it imports a library, by what they begin with.
_VARIABLES = (
    "OMP_", "KMP_", "GOMP_", "MKL_", "OPENBLAS_", "BLIS_", "VECLIB_", "NUMEXPR_", "NPY_", "ATEN_", "ONEDNN_", "DNNL_",
    "CUDA_", "CUBLAS", "CUDNN_", "NCCL_", "NVIDIA_TF32_", "TORCH", "PYTORCH_", "TF_", "XLA_", "JAX_", "HIP_", "ROCR_",
    "HSA_", "MIOPEN_", "LOKY_", "PYTHONHASHSEED",
)  # fmt: skip
# What torch says of itself when the run ends: the function, or the attribute, of a module of its.
_TORCH = (
    ("torch threads", "torch", "get_num_threads"),
    ("torch threads between operations", "torch", "get_num_interop_threads"),
    ("torch deterministic algorithms", "torch", "are_deterministic_algorithms_enabled"),
    ("torch float32 precision", "torch", "get_float32_matmul_precision"),
    ("torch default type", "torch", "get_default_dtype"),
    ("torch seed", "torch", "initial_seed"),
    ("cudnn deterministic", "torch.backends.cudnn", "deterministic"),
    ("cudnn benchmark", "torch.backends.cudnn", "benchmark"),
)
_UNSEEDED = "67280421310721"  # what torch's generator begins with (c10/core/GeneratorImpl.h)


class Watch(object):  # noqa: UP004
    """Notes events in the file `log`; `folder` is the one that holds this hook."""

    def __init__(self, log, folder):
        from _thread import get_ident

        self.log = log
        self.folder = folder
        self.seen = set()
        self.busy = set()
        self.quick = set()  # opens that were noted as they stand: most programs open a few files over and over
        self.answers = []  # the lists in which `socket.getaddrinfo` is gathering, or has gathered, addresses
        self.identity = get_ident
        self.takers = {
            "open": self.take_open,
            "import": self.take_import,
            "os.chdir": lambda _: self.quick.clear(),
            "ctypes.dlopen": self.take_dlopen,
            "subprocess.Popen": lambda details: self.note_program(details[0], details[1], details[3]),
            "os.posix_spawn": lambda details: self.note_program(details[0], details[1], details[2]),
            "os.exec": self.take_exec,
            "os.system": self.take_system,
            "socket.connect": self.take_connect,
            "socket.getaddrinfo": self.take_lookup,
            "socket.gethostbyname": lambda details: self.note("lookup", text_of(details[0]) + "\n"),
            "sqlite3.connect": self.take_database,
        }

    def hook(self, event, details):
        """Take one audit event. Nothing that goes wrong here may reach the program."""
        take = self.takers.get(event)
        if take is None:
            return
        try:
            if details in self.quick:
                return
        except TypeError:  # a path of the program's own kind, which cannot be a member of a set
            pass
        identity = self.identity()
        if identity in self.busy:
            return
        self.busy.add(identity)
        try:
            take(details)
        except Exception:  # noqa: BLE001, S110
            pass
        finally:
            self.busy.discard(identity)

    def last(self):
        """Note, at the end of the process, what it has mapped, and the settings that it ran with."""
        self.busy.add(self.identity())
        self.note_maps()
        for name, value in settings():
            self.note("setting", name + "=" + value)

    def note(self, kind, text):
        """Write one event, once for each process."""
        if isinstance(text, int) or (kind, text) in self.seen or len(self.seen) > _MOST:
            return
        self.seen.add((kind, text))
        try:
            raw = text if isinstance(text, bytes) else os.fsencode(text)
            raw = raw.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\t", b"\\t")
            line = b"\t".join([kind.encode(), str(os.getpid()).encode(), raw]) + b"\n"
            handle = os.open(self.log, _APPEND)
            try:
                os.write(handle, line)
            finally:
                os.close(handle)
        except (OSError, UnicodeError, TypeError, ValueError):
            pass  # a full or unreachable log is no concern of the program's

    def note_maps(self):
        """Note every file that this process has mapped."""
        try:
            handle = os.open("/proc/self/maps", os.O_RDONLY)
        except OSError:
            return
        pieces = []
        try:
            while True:
                piece = os.read(handle, 1 << 16)
                if not piece:
                    break
                pieces.append(piece)
        except OSError:
            pass
        finally:
            os.close(handle)
        for line in b"".join(pieces).splitlines():
            at = line.find(b" /")
            if at > 0 and not line.endswith(b" (deleted)"):
                self.note("map", line[at + 1 :])

    def note_program(self, executable, words, environment):
        """Note a program that is about to be started, and shell text that it is given."""
        listed = isinstance(words, (list, tuple))
        name = executable if executable is not None else words[0] if listed else words
        name = find_program(text_of(name), environment)
        self.note("run", absolute(name))
        if not listed:
            self.note("shell", text_of(words))
            return
        texts = [text_of(word) for word in words]
        if name.endswith("sh"):
            if "-c" in texts[1:-1]:
                self.note("shell", texts[texts.index("-c", 1) + 1])
            else:
                self.note("script", "\n".join(texts[:2]))
        if name.endswith("/git"):
            self.note("git", next((text for text in texts[1:] if text[:1] != "-"), ""))
        if "python" in name.rpartition("/")[2]:
            self.note("python", "\n".join(texts[:12]))
            if environment is not None and self.folder not in str(environment.get("PYTHONPATH", "")):
                self.note("bare", name)

    def take_open(self, details):
        """`open`: path, mode, flags."""
        path, mode, flags = details
        if isinstance(path, int) or path is None:
            return
        is_write = bool(isinstance(flags, int) and flags & _WRITES)
        if mode is not None and not is_write:
            is_write = any(letter in mode for letter in "wax+")
        self.note("write" if is_write else "read", absolute(path))
        if type(path) is str and len(self.quick) < _MOST:
            self.quick.add(details)

    def take_import(self, details):
        """`import`: module, file name; the second only for an extension that is about to be mapped."""
        if details[1]:
            self.note("map", absolute(details[1]))

    def take_dlopen(self, details):
        """`ctypes.dlopen`: name."""
        if details[0]:
            self.note("dlopen", details[0])

    def take_exec(self, details):
        """`os.exec`: path, arguments, environment. The process is another one afterwards."""
        self.note_maps()
        self.note_program(details[0], details[1], details[2])

    def take_system(self, details):
        """`os.system`: command."""
        self.note("run", "/bin/sh")
        self.note("shell", text_of(details[0]))

    def take_connect(self, details):
        """`socket.connect`: socket, address. One that a lookup gave is `named`: the name is noted already."""
        address = details[1]
        if isinstance(address, tuple) and len(address) >= 2:
            named = any(answer[4][0] == address[0] for found in self.answers for answer in list(found))
            self.note("named" if named else "connect", "{}\n{}".format(address[0], address[1]))

    def take_lookup(self, details):
        """`socket.getaddrinfo`: host, port and more. The event comes before the answer, so the answer's list is kept.

        It is a variable of the function in `socket.py` that every library asks through.
        """
        if not details[0]:
            return
        port = "" if details[1] is None else text_of(details[1]) if isinstance(details[1], bytes) else details[1]
        self.note("lookup", "{}\n{}".format(text_of(details[0]), port))
        frame = sys._getframe(1)
        while frame is not None and frame.f_code.co_name != "getaddrinfo":
            frame = frame.f_back
        found = frame.f_locals.get("addrlist") if frame is not None else None
        if isinstance(found, list) and len(self.answers) < _MOST_ANSWERS:
            self.answers.append(found)

    def take_database(self, details):
        """`sqlite3.connect`: database. What is there already is read; its library opens it by itself."""
        path = text_of(details[0])
        if path[:5] == "file:":
            path = path[5:].partition("?")[0]
        if path and path[0] != ":" and os.path.exists(path):
            self.note("read", absolute(path))


def settings():
    """Give what decides about kernels, threads and order in this process, by name and value."""
    found = [(name, value) for name, value in os.environ.items() if name.startswith(_VARIABLES)]
    found.append(("hash randomisation", str(sys.flags.hash_randomization)))
    for name, module, attribute in _TORCH:
        try:
            value = getattr(sys.modules[module], attribute)
            value = str(value() if callable(value) else value)
        except Exception:  # noqa: BLE001, S112  (not imported, or of another age)
            continue
        if value != _UNSEEDED:
            found.append((name, value))
    return found


def text_of(word):
    """Give a path or a word as text."""
    return os.fsdecode(os.fspath(word) if hasattr(word, "__fspath__") else word)


def absolute(path):
    """Give a path from the root, not followed."""
    if isinstance(path, bytes):
        return path if path[:1] == b"/" else os.path.join(os.fsencode(os.getcwd()), path)
    text = text_of(path)
    return text if text[:1] == "/" else os.path.join(os.getcwd(), text)


def find_program(name, environment):
    """Give the program of that name on the PATH that it will be looked up on."""
    if "/" in name:
        return name
    path = environment.get("PATH") if environment is not None and hasattr(environment, "get") else None
    for place in (path or os.environ.get("PATH") or "/usr/bin:/bin").split(":"):
        candidate = place + "/" + name
        if os.access(candidate, os.X_OK):
            return candidate
    return name


def begin(log, folder):
    """Start watching this process."""
    import atexit

    watch = Watch(log, folder)
    watch.note("start", "{}.{}".format(sys.version_info[0], sys.version_info[1]))
    if hasattr(sys, "addaudithook"):
        sys.addaudithook(watch.hook)
    atexit.register(watch.last)


def give_way(folder):
    """Leave sys.path and the modules as they would be, and let the user's own sitecustomize run, if there is one."""
    if folder in sys.path:
        sys.path.remove(folder)
    sys.path_importer_cache.pop(folder, None)
    sys.modules.pop("sitecustomize", None)
    import sitecustomize  # noqa: F401  (when there is none, the error is what `site` expects)


if __name__ == "sitecustomize":
    _folder = os.path.dirname(os.path.abspath(__file__))
    if sys.version_info[0] > 2:
        begin(os.path.join(_folder, "events"), _folder)
    give_way(_folder)
