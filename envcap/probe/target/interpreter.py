"""The interpreter that runs this: who it is, what wheels it takes, and which flags bend its results."""

import _imp
import os
import sys

_LEVELS = {"alpha": "a", "beta": "b", "candidate": "rc"}
_IMPLEMENTATIONS = {"cpython": "CPython", "pypy": "PyPy", "graalpy": "GraalVM", "jython": "Jython"}

# Flags that change results or imports, with their defaults. `dont_write_bytecode` is the probe's own doing.
_DEFAULTS = {
    "optimize": (0,),
    "hash_randomization": (1,),  # 0 means PYTHONHASHSEED=0
    "utf8_mode": (0,),
    "dev_mode": (0,),
    "ignore_environment": (0,),
    "no_user_site": (0,),
    "no_site": (0,),
    "isolated": (0,),
    "safe_path": (0,),
    "bytes_warning": (0,),
    "warn_default_encoding": (0,),
    "int_max_str_digits": (-1, 4300),  # -1 is how versions before 3.12 say "not set"
    "gil": (1,),
}


def describe_interpreter() -> "dict[str, object]":
    """Give the table that `envcap.model.facts.Interpreter` describes."""
    abi = _abi()
    return {
        "implementation": sys.implementation.name,
        "version": version(),
        "build": " ".join(sys.version.split()[1:]),
        "abi": abi,
        "tag": wheel_tag(sys.implementation.name, sys.version_info[:2], abi, platform_tag()),
        "kind": kind(sys.prefix, base_prefix()),
        "flags": flags(),
    }


def marker_environment() -> "dict[str, str]":
    """Give the variables of environment markers (PEP 508, "Environment Markers") but for `extra`."""
    machine = os.uname()
    name = sys.implementation.name
    return {
        "implementation_name": name,
        "implementation_version": version(sys.implementation.version),
        "os_name": os.name,
        "platform_machine": machine.machine,
        # As platform.python_implementation() tells it, which reads sys.version with `re`.
        "platform_python_implementation": _IMPLEMENTATIONS.get(name, name),
        "platform_release": machine.release,
        "platform_system": machine.sysname,
        "platform_version": machine.version,
        "python_full_version": version(),
        "python_version": "{}.{}".format(*sys.version_info[:2]),
        "sys_platform": sys.platform,
    }


def version(info: "sys._version_info | None" = None) -> str:
    """Give the version as PEP 440 writes it, e.g. `3.14.0rc2`; by default that of the language."""
    info = info or sys.version_info
    text = "{}.{}.{}".format(*info[:3])
    return text if info.releaselevel == "final" else text + _LEVELS[info.releaselevel] + str(info.serial)


def base_prefix() -> str:
    """Give the prefix of the installation below a virtual environment. virtualenv before 20 says `real_prefix`."""
    return str(getattr(sys, "real_prefix", sys.base_prefix))


def kind(prefix: str, base: str) -> str:
    """Give `venv`, `conda`, `system` (the operating system's own Python) or `prefix`."""
    if prefix != base or os.path.exists(os.path.join(prefix, "pyvenv.cfg")):
        return "venv"
    if os.path.isdir(os.path.join(prefix, "conda-meta")):
        return "conda"
    return "system" if prefix == "/usr" else "prefix"


def flags() -> "dict[str, int]":
    """Give the flags that are not at their default, by name."""
    found = {}  # type: dict[str, int]
    for name, defaults in _DEFAULTS.items():
        value = getattr(sys.flags, name, defaults[0])
        if value is not None and value not in defaults:
            found[name] = int(value)
    return found


def wheel_tag(implementation: str, release: "tuple[int, ...]", abi: str, platform: str) -> str:
    """Give the most specific wheel tag (PEP 425), e.g. `cp36-cp36m-linux_x86_64`.

    `abi` is a SOABI. CPython's own holds the ABI flags, e.g. `cpython-313t-x86_64-linux-gnu`; that of PyPy is
    `pypy39-pp73-…`, whose first two words are the tag.
    """
    words = abi.split("-")
    digits = "{}{}".format(*release)
    if implementation == "cpython":
        return "cp{}-cp{}-{}".format(digits, words[1] if len(words) > 1 else digits, platform)
    short = {"pypy": "pp", "graalpy": "graalpy"}.get(implementation, implementation)
    return "{}{}-{}-{}".format(short, digits, "_".join(words[:2]), platform)


def platform_tag() -> str:
    """Give the platform part of a wheel tag, e.g. `linux_x86_64`; for 32-bit programs that of their own size."""
    machine = os.uname().machine
    if sys.maxsize < 1 << 32:
        machine = {"x86_64": "i686", "aarch64": "armv7l"}.get(machine, machine)
    return "{}_{}".format(sys.platform, machine)


def _abi() -> str:
    # sysconfig's SOABI is this suffix without its frame, and costs a dozen milliseconds to import.
    return _imp.extension_suffixes()[0][1:].rpartition(".so")[0]
