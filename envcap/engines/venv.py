"""The embedded engine: the Python layer rebuilt from the lock in an environment that can be thrown away.

It needs no container engine, and covers less: `not_rebuilt` says what, and every verdict repeats it.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import platform
import secrets
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from envcap.archives import Pieces, fingerprints, unpack
from envcap.atomic import write_bytes
from envcap.engines.engine import Engine
from envcap.engines.interpreters import find_interpreter
from envcap.engines.scratch import bring_back, link_inputs
from envcap.errors import NotRunError, RefusedError
from envcap.model.image import Context, Image, Layer, Outcome, Task
from envcap.model.layout import CODE_ARCHIVE, CODE_FOLDER, HOOK_EVENTS, HOOK_FILE
from envcap.model.lock import Base
from envcap.model.progress import Progress, Tell
from envcap.oci import Parts
from envcap.places import own_images
from envcap.process import capture, run_live
from envcap.store import file_sha256
from envcap.trust.known import forget, is_known, remember

_PLATFORMS = {"x86_64": "linux/amd64", "aarch64": "linux/arm64"}
_MARK = "envcap.json"  # written last: an environment without it is not finished


class VenvEngine:
    """Environments below one folder, each named by the lock it was built from.

    Only those count that this user built there: one that came with a project is a stranger's program. `own` is the
    folder that remembers which; without one all count.
    """

    name = "venv"
    not_rebuilt: list[str] = [
        "the operating system, its libraries and the driver were not rebuilt: they are this machine's own",
        "the run was not isolated: it could use the network and write to the declared data",
    ]

    def __init__(self, root: Path, *, own: Path | None = None) -> None:
        self._root = root
        self._own = own
        self._built: set[str] = set()

    @property
    def platform(self) -> str:
        """What this machine is."""
        return _PLATFORMS.get(platform.machine(), f"linux/{platform.machine()}")

    def find(self, reference: str) -> Image | None:
        """Give the finished environment of that tag, or None; one that somebody else built is none."""
        folder = self._folder(reference)
        try:
            mark = json.loads((folder / _MARK).read_bytes())
            secret = str(mark["secret"])
        except (OSError, ValueError, LookupError, TypeError):
            return None
        if not self._is_own(_key(folder, secret)):
            return None
        return Image(
            engine=self.name, reference=str(folder), identity=folder.name, lock_sha256=str(mark.get("lock_sha256", ""))
        )

    def pull(self, reference: str, *, platform: str) -> Image | None:
        """Give nothing: there are no images here."""
        del reference, platform
        return None

    def read(self, reference: str, paths: Iterable[str]) -> dict[str, bytes]:
        """Give nothing, as above."""
        del reference, paths
        return {}

    def fingerprints(self, image: Image, folder: str, *, most: int) -> dict[str, str]:
        """Give what the files of the code are. Other folders are not those of an image: there are none."""
        if folder != f"/{CODE_FOLDER}":
            return {}
        too_large = RefusedError(f"The code in `{image.reference}` has more than {most:,} bytes: not what was frozen.")
        with Path(image.reference, CODE_ARCHIVE).open("rb") as archive:
            return fingerprints(Pieces(iter(lambda: archive.read(1 << 20), b""), most=most, too_large=too_large))

    def save_base(self, base: Base, folder: Path) -> bool:
        """Have none of it."""
        del base, folder
        return False

    def load_base(self, base: Base, parts: Parts, folder: Path) -> str | None:
        """Take no base image: it is this machine."""
        del base, parts, folder
        return None

    def build(self, context: Context, folder: Path, *, tag: str, use_cache: bool, tell: Tell) -> Image:
        """Make the environment; every wheel is checked against the lock's sha256 before it is unpacked.

        Builds of one project wait for each other: an environment cannot be made aside and moved, it knows its path.
        """
        self._root.mkdir(parents=True, exist_ok=True)
        turn = os.open(self._root, os.O_RDONLY)  # the folder itself is what they queue for: no file is left behind
        try:
            fcntl.flock(turn, fcntl.LOCK_EX)
            return self._build(context, folder, tag=tag, use_cache=use_cache, tell=tell)
        finally:
            os.close(turn)

    def _build(self, context: Context, folder: Path, *, tag: str, use_cache: bool, tell: Tell) -> Image:
        image = self.find(tag)
        if use_cache and image is not None and image.lock_sha256 == context.lock_sha256:
            tell(Progress(kind="step", text="the environment is there already"))
            return image
        python = find_interpreter(context.python, os.environ)
        target = self._folder(tag)
        shutil.rmtree(target, ignore_errors=True)
        try:
            self._fill(target, context, folder, python=python, tell=tell)
        except BaseException:
            shutil.rmtree(target, ignore_errors=True)
            raise
        image = self.find(tag)
        if image is None:
            raise NotRunError(f"The environment `{target}` cannot be read back.")
        return image

    def _fill(self, target: Path, context: Context, folder: Path, *, python: Path, tell: Tell) -> None:
        tell(Progress(kind="step", text=f"making an environment with Python {context.python}"))
        capture([python, "-m", "venv", "--without-pip", target / "env"], purpose="Making the environment")
        wheels = [file for file in context.files if file.path.startswith("wheels/")]
        scheme = _scheme(target / "env")
        for number, file in enumerate(wheels, 1):
            tell(Progress(kind="count", text=f"installing {Path(file.path).name}", done=number, total=len(wheels)))
            _install(folder / file.path, str(file.sha256), scheme=scheme, python=target / "env" / "bin" / "python")
        tell(Progress(kind="step", text="compiling bytecode"))
        capture(
            [target / "env" / "bin" / "python", "-m", "compileall", "-q", "-j", "0", scheme["purelib"]],
            purpose="Compiling bytecode",
            timeout=1800,
            check=False,  # packages ship files for other Python versions, which do not compile
        )
        shutil.copyfile(folder / CODE_ARCHIVE, target / CODE_ARCHIVE)
        secret = secrets.token_hex(16)  # in the folder and, hashed with its place, in this user's state
        mark = {"lock_sha256": context.lock_sha256, "environment": context.environment, "secret": secret}
        self._built.add(_key(target, secret))
        if self._own is not None and not remember(_key(target, secret), how="built", folder=self._own):
            text = f"`{self._own}` cannot be written: the next command will not take this environment for yours"
            tell(Progress(kind="notice", text=text))
        write_bytes(target / _MARK, json.dumps(mark, indent=1).encode())

    def push(self, reference: str, *, tell: Tell) -> str:
        """Raise NotRunError: there is no image that a registry could take."""
        del tell
        raise NotRunError(f"`{reference}` cannot be pushed: the engine `{self.name}` makes no images.")

    def layers(self, image: Image) -> list[Layer]:
        """Give nothing: an environment is one folder."""
        del image
        return []

    def run(self, image: Image, task: Task, *, results: Path, tell: Tell) -> Outcome:
        """Run in a scratch copy of the frozen code, with the recorded variables and none of the host's."""
        folder = Path(image.reference)
        recorded = json.loads((folder / _MARK).read_bytes())["environment"]
        with tempfile.TemporaryDirectory(prefix="envcap-run-") as name:
            scratch = Path(name)
            with (folder / CODE_ARCHIVE).open("rb") as archive:
                unpack(archive, scratch, links=True)
            work = scratch / CODE_FOLDER
            for path, content in task.files.items():
                (work / path).parent.mkdir(parents=True, exist_ok=True)
                (work / path).write_bytes(content)
            link_inputs(task, work)
            (scratch / "home").mkdir()
            hook = scratch / "hook"
            if task.hook is not None:
                hook.mkdir()
                (hook / HOOK_FILE).write_bytes(task.hook)
                (hook / HOOK_EVENTS).touch()
            finished = run_live(
                task.command,
                cwd=work,
                env={
                    **recorded,
                    **_surrounding(folder / "env", scratch),
                    **task.environment,
                    **({} if task.hook is None else {"PYTHONPATH": str(hook)}),
                },
                timeout=task.timeout,
                cpus=task.cpus,
                on_line=lambda line: tell(Progress(kind="output", text=line)),
            )
            bring_back(task, work, results)
            events = b"" if task.hook is None else (hook / HOOK_EVENTS).read_bytes()
        return Outcome(
            code=finished.code,
            seconds=finished.seconds,
            stdout=finished.stdout,
            tail=finished.tail,
            timed_out=finished.timed_out,
            events=events,
        )

    def remove(self, image: Image) -> None:
        """Remove the environment."""
        folder = Path(image.reference)
        if self._own is not None:
            with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
                forget(_key(folder, str(json.loads((folder / _MARK).read_bytes())["secret"])), folder=self._own)
        shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Nothing is held open."""

    def _is_own(self, key: str) -> bool:
        return self._own is None or key in self._built or is_known(key, folder=self._own)

    def _folder(self, reference: str) -> Path:
        return self._root / reference.replace("/", "-").replace(":", "-")


def open_engine(project: Path) -> Engine:
    """Give the engine of a project: its environments are in `.envcap/venv`. Every machine has it."""
    return VenvEngine(project / ".envcap" / "venv", own=own_images(os.environ))


def _key(folder: Path, secret: str) -> str:
    """Name an environment for who remembers it: moved or copied from elsewhere it is another one."""
    return hashlib.sha256(f"{folder.resolve()}\n{secret}".encode()).hexdigest()


def _scheme(environment: Path) -> dict[str, str]:
    """Ask the new environment where files of each kind go (sysconfig's installation paths)."""
    done = capture(
        [
            environment / "bin" / "python",
            "-I",
            "-c",
            "import json, sysconfig; print(json.dumps(sysconfig.get_paths()))",
        ],
        purpose="Asking the new environment for its folders",
    )
    paths: dict[str, str] = json.loads(done.stdout)
    paths["headers"] = str(environment / "include" / "site")
    return paths


def _install(wheel: Path, sha256: str, *, scheme: dict[str, str], python: Path) -> None:
    """Unpack one wheel. Raises RefusedError when its bytes are not what the lock says."""
    from installer import install
    from installer.destinations import SchemeDictionaryDestination
    from installer.exceptions import InstallerError
    from installer.sources import WheelFile

    if file_sha256(wheel) != sha256:
        raise RefusedError(f"`{wheel.name}` does not have the sha256 that the lock names, `{sha256}`.")
    # Packages of one namespace bring the same file, and pip lets the last one win.
    destination = SchemeDictionaryDestination(
        scheme, interpreter=str(python), script_kind="posix", overwrite_existing=True
    )
    try:
        with WheelFile.open(wheel) as source:
            install(source, destination, additional_metadata={"INSTALLER": b"envcap\n"})
    except (InstallerError, FileExistsError, ValueError) as error:
        raise NotRunError(f"`{wheel.name}` cannot be installed: {error}.") from error


def _surrounding(environment: Path, scratch: Path) -> dict[str, str]:
    return {
        "PATH": f"{environment / 'bin'}{os.pathsep}{os.defpath}",
        "HOME": str(scratch / "home"),
        "TMPDIR": str(scratch),
        "VIRTUAL_ENV": str(environment),
    }
