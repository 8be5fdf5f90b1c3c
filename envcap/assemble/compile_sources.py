"""Compiles the sources of an archive to byte code. Runs elsewhere: under the interpreter that will read it.

Standard library only, Python 3.6 and newer. It reads `sources.tar`, whose members are named by their wheel and their
place in the image, fills `bytecode.tar` beside itself in the same way, and says which Python it is. Each file is
compiled in a process of its own, branched off from one that has compiled nothing: what a file becomes then depends on
that file alone (objects that happen to be shared with others are written in another way).
"""

import importlib.machinery
import importlib.util
import io
import json
import os
import sys
import tarfile
import tempfile
import warnings

SETTINGS = {"PYTHONHASHSEED": "0"}  # the order of what is in a set of names, before Python 3.11
EXTERNAL = getattr(importlib, "_bootstrap_external")  # noqa: B009  (no type checker knows it)
MARK = "envcap-python "


def compiled(path, content, mtime):  # type: (str, bytes, int) -> bytes
    """Give the byte code file of one source, which nothing checks against the source when it is read (PEP 552)."""
    warnings.simplefilter("ignore")
    code = importlib.machinery.SourceFileLoader("<compiled>", path).source_to_code(content, path)
    if sys.version_info < (3, 7):  # it knows no other check than time and size
        return bytes(EXTERNAL._code_to_bytecode(code, mtime, len(content)))
    return bytes(EXTERNAL._code_to_hash_pyc(code, importlib.util.source_hash(content), False))  # noqa: FBT003


def branch_off(path, content, mtime, target):  # type: (str, bytes, int, str) -> int
    """Compile in a new process and give its number; `target` is there when it succeeded."""
    number = os.fork()
    if number:
        return number
    code = 1
    try:
        made = compiled(path, content, mtime)
        with open(target + ".part", "wb") as file:
            file.write(made)
        os.rename(target + ".part", target)
        code = 0
    except BaseException:  # noqa: BLE001, S110  (packages ship files for other Pythons, and templates)
        pass
    os._exit(code)


def compile_all(sources, scratch):  # type: (tarfile.TarFile, str) -> list[tuple[str, int, str]]
    """Compile every member, some at a time; give name and time of each, and where its byte code is if it has any."""
    made, running = [], 0
    most = len(os.sched_getaffinity(0))
    for count, member in enumerate(sources):
        stream = sources.extractfile(member)
        assert stream is not None  # noqa: S101  (envcap wrote the archive)
        number, _, path = member.name.partition("/")
        path = "/" + path
        target = os.path.join(scratch, str(count))
        name = number + importlib.util.cache_from_source(path, optimization="")
        if running == most:
            os.wait()
            running -= 1
        branch_off(path, stream.read(), int(member.mtime), target)
        running += 1
        made.append((name, int(member.mtime), target))
    for _ in range(running):
        os.wait()
    return made


def main():  # type: () -> None
    """Compile, and tell the version as the lock spells it."""
    here = os.path.dirname(os.path.abspath(sys.argv[0]))
    settings = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    settings.update(SETTINGS)
    if dict(os.environ) != settings:
        os.execve(sys.executable, [sys.executable, "-B", "-s", "-S", os.path.abspath(sys.argv[0])], settings)  # noqa: S606
    with tempfile.TemporaryDirectory() as scratch:
        with tarfile.open(os.path.join(here, "sources.tar")) as sources:
            made = compile_all(sources, scratch)
        # Into the file that is there: the folder may be somebody else's.
        with tarfile.open(os.path.join(here, "bytecode.tar"), "w") as archive:
            for name, mtime, target in made:
                if os.path.exists(target):
                    with open(target, "rb") as file:
                        content = file.read()
                    member = tarfile.TarInfo(name)
                    member.size, member.mtime = len(content), mtime
                    archive.addfile(member, io.BytesIO(content))
    kind = {"alpha": "a", "beta": "b", "candidate": "rc", "final": ""}[sys.version_info[3]]
    version = "%d.%d.%d" % sys.version_info[:3] + (kind + str(sys.version_info[4]) if kind else "")
    print(MARK + json.dumps(version))


if __name__ == "__main__":
    main()
