"""Real environments, real projects, and the command line as a user starts it."""

import base64
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import docker
import pytest

from envcap.model.layout import LOCK_LABEL

REPOSITORY = Path(__file__).resolve().parents[2]
KEPT = REPOSITORY / "build" / "tests"  # environments and downloads that the next test run can use again


class Result(NamedTuple):
    """What a command gave."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on standard output."""
        return json.loads(self.out)


class Envcap:
    """The command line, started in a project with a chosen environment around it."""

    def __init__(self, project: Path, environ: Mapping[str, str]) -> None:
        self.project = project
        self.environ = dict(environ)

    def __call__(self, *words: str, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Result:
        done = subprocess.run(
            [sys.executable, "-m", "envcap", *words],
            cwd=cwd or self.project,
            env={**self.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Result(done.returncode, done.stdout, done.stderr)

    def ok(self, *words: str, env: Mapping[str, str] | None = None) -> Result:
        """Start it and expect it to succeed."""
        result = self(*words, env=env)
        assert result.code == 0, result.err
        return result

    def stop_when(
        self, sign: str, *words: str, number: int = signal.SIGINT, pause: float = 0.3, times: int = 1
    ) -> Result:
        """Start it, send a signal as soon as `sign` stands in what it says, and give how it ended."""

        def send(child: subprocess.Popen[str]) -> None:
            time.sleep(pause)
            for _ in range(times):
                child.send_signal(number)
                time.sleep(0.1)

        return self.act_when(sign, send, *words)

    def act_when(self, sign: str, act: Callable[[subprocess.Popen[str]], None], *words: str) -> Result:
        """Start it, do something as soon as `sign` stands in what it says, and give how it ended."""
        child = subprocess.Popen(
            [sys.executable, "-m", "envcap", *words],
            cwd=self.project,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert child.stderr is not None
        said = ""
        for line in child.stderr:
            said += line
            if sign in line:
                act(child)
                break
        out, rest = child.communicate(timeout=60)
        assert sign in said, said
        assert "Traceback" not in said + rest, said + rest
        return Result(child.returncode, out, said + rest)


def kept_environment(*requirements: str, options: tuple[str, ...] = ()) -> Path:
    """Make an environment with pip, as a user would, or take the one that an earlier test made."""
    key = hashlib.sha256("\n".join((sys.version, *requirements, *options)).encode()).hexdigest()[:12]
    folder = KEPT / "environments" / key
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{key}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in several processes
        if not (folder / ".finished").exists():
            shutil.rmtree(folder, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", folder], check=True)
            if requirements:
                pip = [
                    str(folder / "bin" / "python"),
                    # The evaluation compiles the few modules that it imports.
                    *["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"],
                ]
                subprocess.run([*pip, *options, *requirements], check=True)
            (folder / ".finished").touch()
    return folder


@pytest.fixture(scope="session")
def make_environment() -> Callable[..., Path]:
    """Give the function that makes an environment or takes a kept one."""
    return kept_environment


def make_repository(folder: Path) -> None:
    """Make a folder a git repository with everything in it committed."""
    identity = ["-c", "user.name=Tester", "-c", "user.email=tester@example.org"]
    for words in (["init", "--quiet", "--initial-branch", "main"], ["add", "--all"], ["commit", "--quiet", "-m", "x"]):
        subprocess.run(["git", *identity, *words], cwd=folder, check=True)


@pytest.fixture
def clean_environ(tmp_path: Path) -> dict[str, str]:
    """Give the test's own environment, with scratch and caches where the test can look into them."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("ENVCAP_", "VIRTUAL_ENV"))}
    environ.update(
        TMPDIR=str(scratch),
        ENVCAP_CACHE=str(tmp_path / "cache"),
        ENVCAP_STATE=str(tmp_path / "state"),
        PYTHONPATH=str(REPOSITORY),
        GIT_CONFIG_GLOBAL=os.devnull,
    )
    return environ


@pytest.fixture(scope="session")
def bare_environment() -> Path:
    """Make an environment with nothing in it, not even pip."""
    folder = KEPT / "environments" / f"bare-{hashlib.sha256(sys.version.encode()).hexdigest()[:12]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "bare.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "bin" / "python").exists():
            subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    return folder


@pytest.fixture
def small(tmp_path: Path, clean_environ: dict[str, str], bare_environment: Path) -> Envcap:
    """Give a project whose evaluation needs nothing but the interpreter, with its environment active."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "evaluate.py").write_text(
        "import json, pathlib\n"
        "FACTOR = 3\n"
        "pathlib.Path('metrics.json').write_text(json.dumps({'score': 0.5 * FACTOR, 'count': 12}))\n"
        "pathlib.Path('table.csv').write_text('id,value\\n1,0.25\\n2,0.5\\n')\n"
    )
    (project / "envcap.toml").write_text(
        '[evaluation]\ncommand = ["python", "evaluate.py"]\nartifacts = ["table.csv"]\nrepeat = 1\n'
    )
    make_repository(project)
    return Envcap(project, {**clean_environ, "VIRTUAL_ENV": str(bare_environment)})


@pytest.fixture(scope="session")
def digits_environment() -> Path:
    """Make the environment of examples/digits."""
    return kept_environment(*(REPOSITORY / "examples" / "digits" / "requirements.txt").read_text().split())


@pytest.fixture
def digits(tmp_path: Path, clean_environ: dict[str, str], digits_environment: Path) -> Envcap:
    """Give a copy of examples/digits in a repository of its own, with its environment active."""
    project = tmp_path / "digits"
    names = shutil.ignore_patterns(".*", "pylock*", "metrics.json", "predictions.csv")
    shutil.copytree(REPOSITORY / "examples" / "digits", project, ignore=names)
    make_repository(project)
    return Envcap(
        project,
        {**clean_environ, "VIRTUAL_ENV": str(digits_environment), "ENVCAP_CACHE": str(KEPT / "cache")},
    )


@pytest.fixture
def demonstrate(digits: Envcap, digits_environment: Path) -> Callable[[], Result]:
    """Give a function that runs the example's own script, as `make demo` does, on the copy and its environment."""
    (digits_environment / ".installed").touch()
    (digits.project / ".venv").symlink_to(digits_environment)
    (digits.project / ".git" / "info" / "exclude").write_text("/.venv\n")
    program = Path(sys.executable).with_name("envcap")

    def run() -> Result:
        done = subprocess.run(
            ["sh", digits.project / "demo.sh"],
            cwd=digits.project.parent,
            env={**digits.environ, "ENVCAP": str(program)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    return run


class Shelf:
    """An index on loopback whose clients may keep what they get; its wheels are made when they are put there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.url = ""

    @property
    def simple(self) -> str:
        return f"{self.url}/simple/"

    @property
    def pip(self) -> dict[str, str]:
        """The variables with which pip asks this index alone."""
        return {"PIP_INDEX_URL": self.simple, "PIP_CONFIG_FILE": os.devnull, "PIP_TRUSTED_HOST": self.url[7:]}

    def put(
        self,
        name: str,
        version: str,
        *requires: str,
        tag: str = "py3-none-any",
        python: str = ">=3.6",
        data: str = "",
        code: str = "",
    ) -> str:
        """Offer a wheel with one module, which holds `data` and ends with `code`; give its sha256."""
        info, stem = f"{name}-{version}.dist-info", f"{name}-{version}-{tag}.whl"
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", f"Requires-Python: {python}"]
        content = {
            f"{name}.py": f"VERSION = {version!r}\nDATA = {data!r}\n{code}",
            f"{info}/METADATA": "\n".join([*lines, *(f"Requires-Dist: {one}" for one in requires)]) + "\n",
            f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: {tag}\n",
        }
        rows = ""
        files = self._folder / "files"
        files.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(files / stem, "w") as archive:
            for path, text in content.items():
                digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
                rows += f"{path},sha256={digest},{len(text)}\n"
                archive.writestr(path, text)
            archive.writestr(f"{info}/RECORD", f"{rows}{info}/RECORD,,\n")
        sha256 = hashlib.sha256((files / stem).read_bytes()).hexdigest()
        page = self._folder / "simple" / name / "index.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        with page.open("a") as file:
            needs = python.replace(">", "&gt;").replace("<", "&lt;")
            file.write(f'<a href="/files/{stem}#sha256={sha256}" data-requires-python="{needs}">{stem}</a><br>\n')
        return sha256


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    """Give an empty index."""
    with serve_shelf(tmp_path / "shelf") as made:
        yield made


@pytest.fixture
def second_shelf(tmp_path: Path) -> Iterator[Shelf]:
    """Give another empty index."""
    with serve_shelf(tmp_path / "second-shelf") as made:
        yield made


@contextmanager
def serve_shelf(folder: Path) -> Iterator[Shelf]:
    folder.mkdir()

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *positional: Any) -> None:
            super().__init__(*positional, directory=str(folder))

        def end_headers(self) -> None:
            self.send_header("Cache-Control", "max-age=600")
            super().end_headers()

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    made = Shelf(folder)
    made.url = f"http://127.0.0.1:{server.server_port}"
    yield made
    server.shutdown()
    server.server_close()


# A module with byte code beside it, and a library of the system that the base lacks.
SHELVED_PROGRAM = """\
import ctypes, importlib.util, json, pathlib
import shelved
ctypes.CDLL("libgomp.so.1")
cached = pathlib.Path(importlib.util.cache_from_source(shelved.__file__))
pathlib.Path("metrics.json").write_text(json.dumps({"version": shelved.VERSION, "cached": int(cached.exists())}))
"""


@pytest.fixture
def shelved(small: Envcap, shelf: Shelf, tmp_path: Path) -> Envcap:
    """Give a project that is frozen with a wheel from an index and a library from the system's archive."""
    shelf.put("shelved", "1.0")
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(environment / "bin" / "python")]
    install = [*pip, "install", "--quiet", "--no-cache-dir", "shelved"]
    subprocess.run(install, check=True, env={**small.environ, **shelf.pip})
    small.environ |= {"VIRTUAL_ENV": str(environment), **shelf.pip}
    (small.project / "evaluate.py").write_text(SHELVED_PROGRAM)
    (small.project / "envcap.toml").write_text('[evaluation]\ncommand = ["python", "evaluate.py"]\nrepeat = 1\n')
    assert small.ok("freeze", "--json").document["frozen"]["runs"][0]["metrics"]["cached"] == 1
    return small


class EngineState:
    """What an engine holds that envcap may leave behind. Tests on other workers use the same engine meanwhile."""

    def __init__(self, client: docker.DockerClient, folder: Path) -> None:
        self._client = client
        self._folder = folder

    def look(self) -> set[str]:
        """List containers, volumes and the tags that were made of the locks in the test's folder."""
        containers = {f"container {item['Id']}" for item in self._client.api.containers(all=True)}
        volumes = {f"volume {item['Name']}" for item in self._client.api.volumes()["Volumes"] or []}
        locks = {hashlib.sha256(path.read_bytes()).hexdigest() for path in self._folder.rglob("pylock.*.toml")}
        tags = {
            f"tag {tag}"
            for image in self._client.api.images("envcap/*")
            if (image.get("Labels") or {}).get(LOCK_LABEL) in locks
            for tag in image.get("RepoTags") or []
        }
        return containers | volumes | tags

    def left_since(self, before: set[str], *, tags: bool = False) -> set[str]:
        """List what is there now and was not before, tags if asked. Only what stays counts: others' come and go."""
        left = self.look() - before
        if not tags:
            left = {item for item in left if not item.startswith("tag ")}
        deadline = time.monotonic() + 300  # no other test keeps a container for so long
        while left and time.monotonic() < deadline:
            time.sleep(0.5)
            left &= self.look()
        return left


@pytest.fixture
def engine_client(clean_environ: dict[str, str]) -> Iterator[docker.DockerClient]:
    """Give the engine that the commands find."""
    client = docker.from_env(environment=clean_environ)
    yield client
    client.close()


@pytest.fixture
def engine_state(engine_client: docker.DockerClient, tmp_path: Path) -> EngineState:
    """Give a look into the engine."""
    return EngineState(engine_client, tmp_path)
