"""Compiles the sources of an archive to byte code. Runs elsewhere: under the interpreter that will read it.

Standard library only, Python 3.6 and newer. It reads `sources.tar`, whose members are named by their wheel and their
place in the image, fills `bytecode.tar` beside itself in the same way, and says which Python it is. Every source has a
member there; an empty one says that it is no Python of this version. Anything else that goes wrong, in whichever
process, ends the whole with another code than 0: what came of it until then is no byte code of these wheels.

Each portion of a wheel is compiled in a process of its own, branched off from one that has compiled nothing: what a
file becomes then depends on its wheel alone (objects that happen to be shared with other files are written in another
way).
"""

import importlib.machinery
import importlib.util
import io
import json
import os
import sys
import tarfile
import tempfile
import traceback
import warnings

TYPE_CHECKING = False  # as in `typing`, which is dear to import
if TYPE_CHECKING:
    from collections.abc import Iterator  # noqa: F401  (in a comment)


SETTINGS = {"PYTHONHASHSEED": "0"}  # the order of what is in a set of names, before Python 3.11
EXTERNAL = getattr(importlib, "_bootstrap_external")  # noqa: B009  (no type checker knows it)
PORTION = 64  # files
MARK = "envcap-python "
# What compiling raises for a source that this Python cannot read: packages ship files for other ones, and templates.
# Before 3.9 the parser also says that it has no memory when brackets are nested too deeply.
UNREADABLE = (SyntaxError, ValueError, RecursionError, OverflowError) + (
    (MemoryError,) if sys.version_info < (3, 9) else ()
)  # type: tuple[type[Exception], ...]


def compiled(path, content, mtime):  # type: (str, bytes, int) -> bytes
    """Give the byte code file of one source, which nothing checks against the source when it is read (PEP 552)."""
    warnings.simplefilter("ignore")
    code = importlib.machinery.SourceFileLoader("<compiled>", path).source_to_code(content, path)
    if sys.version_info < (3, 7):  # it knows no other check than time and size
        return bytes(EXTERNAL._code_to_bytecode(code, mtime, len(content)))
    return bytes(EXTERNAL._code_to_hash_pyc(code, importlib.util.source_hash(content), False))  # noqa: FBT003


def branch_off(sources, scratch):  # type: (list[tuple[str, bytes, int, str]], str) -> None
    """Compile some sources in a new process, each to the named file of `scratch`, empty for one that it cannot read.

    Whatever happens there, nothing of this process is unwound in it.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    if os.fork():
        return
    code = 1
    try:
        for path, content, mtime, target in sources:
            try:
                made = compiled(path, content, mtime)
            except UNREADABLE:
                made = b""
            with open(os.path.join(scratch, target), "wb") as file:
                file.write(made)
        code = 0
    except BaseException:  # noqa: BLE001  (its end is the one that counts)
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def await_one(failures):  # type: (list[str]) -> None
    """Wait until one of the processes has ended; add to `failures` how, unless it ended well."""
    status = os.wait()[1]
    if os.WIFSIGNALED(status):
        failures.append("it was ended by signal %d" % os.WTERMSIG(status))
    elif os.WEXITSTATUS(status):
        failures.append("it ended with code %d" % os.WEXITSTATUS(status))


def portions(archive):  # type: (tarfile.TarFile) -> Iterator[list[tarfile.TarInfo]]
    """Give the members in portions of one wheel. Which ones are together depends on that wheel alone."""
    portion = []  # type: list[tarfile.TarInfo]
    for member in archive:
        if portion and (len(portion) == PORTION or portion[0].name.split("/")[0] != member.name.split("/")[0]):
            yield portion
            portion = []
        portion.append(member)
    if portion:
        yield portion


def compile_all(archive, scratch):  # type: (tarfile.TarFile, str) -> list[tuple[str, int, str]]
    """Compile every member, some at a time; give name and time of each, and the file of its byte code.

    Ends the program when a process does not do its part.
    """
    made = []  # type: list[tuple[str, int, str]]
    failures = []  # type: list[str]
    running = 0
    for portion in portions(archive):
        sources = []
        for member in portion:
            stream = archive.extractfile(member)
            assert stream is not None  # noqa: S101  (envcap wrote the archive)
            wheel, _, path = member.name.partition("/")
            target = str(len(made))
            sources.append(("/" + path, stream.read(), int(member.mtime), target))
            made.append(
                (wheel + importlib.util.cache_from_source("/" + path, optimization=""), int(member.mtime), target)
            )
        if running == len(os.sched_getaffinity(0)):
            await_one(failures)
            running -= 1
        if failures:
            break
        branch_off(sources, scratch)
        running += 1
    for _ in range(running):
        await_one(failures)
    if failures:
        sys.exit("a process that compiles failed: %s" % failures[0])
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
                with open(os.path.join(scratch, target), "rb") as file:
                    content = file.read()
                member = tarfile.TarInfo(name)
                member.size, member.mtime = len(content), mtime
                archive.addfile(member, io.BytesIO(content))
    kind = {"alpha": "a", "beta": "b", "candidate": "rc", "final": ""}[sys.version_info[3]]
    version = "%d.%d.%d" % sys.version_info[:3] + (kind + str(sys.version_info[4]) if kind else "")
    print(MARK + json.dumps(version))


if __name__ == "__main__":
    main()
