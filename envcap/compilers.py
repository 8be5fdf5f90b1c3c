"""Who makes byte code for an image: its own interpreter where an engine runs, else one of that version from here."""

from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path

from envcap.assemble.bytecode import BYTECODE, PROGRAM, Compiler
from envcap.engines import open_container_engine
from envcap.engines.engine import Engine
from envcap.engines.interpreters import find_interpreter
from envcap.errors import NotRunError
from envcap.model.image import Context, Task
from envcap.model.lock import Lock
from envcap.model.progress import Progress, Tell, say_nothing
from envcap.process import capture

_SECONDS = 1800.0


def is_compiled_before(context: Context, lock: Lock) -> bool:
    """Tell whether the layers come with byte code: in a conda image its own interpreter makes it, as a step."""
    return context.installation is not None and lock.conda_prefix is None


def inside(engine: Engine, base: str, *, locked: str, platform: str) -> Compiler:
    """Compile with the `python3` of a base image, run as an evaluation is: no network, no privileges.

    `locked` is what the lock calls the image, with its digest; `base` is what the engine may have to be told instead.
    What it gives raises NotRunError when the image cannot be had or its interpreter fails.
    """

    def compile_there(files: Mapping[str, bytes], results: Path) -> str:
        image = engine.pull(base, platform=platform)
        if image is None:
            raise NotRunError(f"The engine `{engine.name}` does not give the base image `{base}`.")
        task = Task(command=["python3", PROGRAM], files=dict(files), outputs=[BYTECODE], timeout=_SECONDS)
        outcome = engine.run(image, task, results=results, tell=say_nothing)
        if outcome.code != 0:
            said = "\n".join(f"  {line}" for line in outcome.tail[-8:])
            raise NotRunError(f"Compiling byte code in `{base}` ended with code {outcome.code}.\n{said}")
        return outcome.stdout

    return Compiler(name=locked, run=compile_there)


def on_this_machine(version: str, environ: Mapping[str, str]) -> Compiler:
    """Compile with an interpreter of this machine. Raises NotRunError when there is none of exactly that version."""
    python = find_interpreter(version, environ)

    def compile_here(files: Mapping[str, bytes], results: Path) -> str:
        for name, content in files.items():
            (results / name).write_bytes(content)
        done = capture([python, PROGRAM], purpose="Compiling byte code", cwd=results, env=environ, timeout=_SECONDS)
        return done.stdout.decode(errors="replace")

    return Compiler(name="this machine", run=compile_here)


def without_building(
    context: Context, base: str, *, trusted: bool, environ: Mapping[str, str], stack: ExitStack, tell: Tell
) -> Compiler | None:
    """Give who compiles for a folder that is only written: an engine that has the base, this machine, or nobody.

    The base's own interpreter is a program of the lock: it is run only for one that is `trusted`. The engine is closed
    with `stack`.
    """
    if trusted:
        try:
            engine = stack.enter_context(closing(open_container_engine(Path())))
            if engine.pull(base, platform=context.platform) is not None:
                return inside(engine, base, locked=base, platform=context.platform)
        except NotRunError:
            pass  # an engine is not needed to write a folder
    else:
        text = (
            "the lock was not written on this machine: nothing of it is run, its base image neither, without `--trust`"
        )
        tell(Progress(kind="notice", text=text))
    try:
        return on_this_machine(context.python, environ)
    except NotRunError as error:
        text = f"The layers come without byte code, and programs in the image start slower. {error.message}"
        tell(Progress(kind="notice", text=text))
        return None
