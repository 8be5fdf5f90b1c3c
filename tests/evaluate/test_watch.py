"""The watched run: everything it does is seen, and it does not notice."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from envcap.errors import NotRunError
from envcap.evaluate.observe import parse_events
from envcap.evaluate.watch import watching
from envcap.model.layout import HOOK_EVENTS
from envcap.model.observed import Observed
from envcap.process import Finished, run_live
from tests.pythons import Python, pythons


def run(
    source: str, folder: Path, *, python: Path | None = None, env: dict[str, str] | None = None
) -> tuple[Finished, Observed]:
    (folder / "program.py").write_text(source)
    plain = {"PATH": os.defpath, "HOME": str(folder), **(env or {})}
    with watching(plain, cwd=folder) as watch:
        command = [str(python or sys.executable), "program.py"]
        done = run_live(command, cwd=folder, env=watch.env, timeout=60, on_line=lambda _: None)
        return done, watch.observed()


LOOK = "import sys; print(sys.path, 'sitecustomize' in sys.modules, sorted(set(sys.modules) - {'atexit'}), sys.argv)\n"


@pytest.mark.parametrize("python", [*(one.path for one in pythons()), Path(sys.executable)], ids=str)
def test_the_program_does_not_notice(python: Path, tmp_path: Path) -> None:
    done, observed = run(LOOK, tmp_path, python=python)
    plain = subprocess.run(
        [python, "program.py"],
        cwd=tmp_path,
        env={"PATH": os.defpath, "HOME": str(tmp_path)},
        capture_output=True,
        check=True,
    )
    assert done.stdout == plain.stdout.decode()
    assert done.tail == plain.stdout.decode().splitlines()
    assert observed.watched
    assert any("libc.so" in path for path in observed.mapped)


def test_the_users_own_sitecustomize_runs(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text("import builtins\nbuiltins.MARK = __file__\n")
    source = "import sys, sitecustomize; print(MARK, sitecustomize.__file__, sys.path.count(" + repr(str(own)) + "))\n"
    done, _ = run(source, tmp_path, env={"PYTHONPATH": str(own)})
    file = str(own / "sitecustomize.py")
    assert done.stdout.split() == [file, file, "1"]


def test_a_failing_sitecustomize_fails_as_it_would_alone(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text("raise ValueError('mine')\n")
    done, observed = run("print('went on')\n", tmp_path, env={"PYTHONPATH": str(own)})
    assert done.stdout == "went on\n"
    assert any("mine" in line for line in done.tail)
    assert observed.watched


FORKED = """\
import ctypes, os, signal, subprocess, sys
open("written.txt", "w").write("x")
if os.fork() == 0:
    open("killed.txt").read()
    os.kill(os.getpid(), signal.SIGKILL)
os.wait()
subprocess.run([sys.executable, "-c", "open('child.txt').read()"], check=True)
subprocess.run([sys.executable, "-I", "-c", "pass"], check=True)
subprocess.run(["true"], check=True)
os.system("ls program.py > /dev/null")
"""


def test_children_and_killed_workers_count(tmp_path: Path) -> None:
    for name in ("killed.txt", "child.txt"):
        (tmp_path / name).touch()
    done, observed = run(FORKED, tmp_path)
    assert done.code == 0
    read = {Path(path).name for path in observed.read if path.startswith(str(tmp_path.resolve()))}
    assert read >= {"killed.txt", "child.txt"}
    assert str(tmp_path.resolve() / "written.txt") in observed.written
    assert {"true", "ls", "sh"} <= {Path(path).name for path in observed.started}
    assert len(observed.unwatched) == 1
    assert observed.unwatched[0].startswith(f"{Path(sys.executable).name} -I")


def test_closing_every_file_descriptor_does_not_blind_it(tmp_path: Path) -> None:
    (tmp_path / "after.txt").touch()
    source = (
        "import os\nos.closerange(3, 256)\nother = os.open('other.txt', os.O_RDWR | os.O_CREAT)\nopen('after.txt')\n"
    )
    done, observed = run(source, tmp_path)
    assert done.code == 0
    assert str(tmp_path.resolve() / "after.txt") in observed.read
    assert (tmp_path / "other.txt").read_bytes() == b""


def test_a_program_that_is_no_python_is_looked_at_from_outside(tmp_path: Path) -> None:
    (tmp_path / "held.txt").touch()
    with watching({"PATH": os.defpath}, cwd=tmp_path) as watch:
        command = ["sh", "-c", "exec 5< held.txt; sleep 2"]
        run_live(command, cwd=tmp_path, env=watch.env, timeout=60, on_line=lambda _: None)
        observed = watch.observed()
    assert not observed.watched
    assert str(tmp_path.resolve() / "held.txt") in observed.read
    assert any("libc.so" in path for path in observed.mapped)


RESOLVED = """\
import socket, sqlite3
server = socket.socket()
server.bind(("127.0.0.1", 0))
server.listen(9)
port = server.getsockname()[1]
socket.create_connection(("localhost", port)).close()
socket.create_connection(("127.0.0.1", port)).close()
plain = socket.socket()
plain.connect_ex(("127.0.0.2", port))
sqlite3.connect("there.db").close()
sqlite3.connect("new.db").execute("create table t (a)")
"""


@pytest.mark.parametrize("python", pythons(), ids=lambda one: one.version)
def test_an_address_is_told_from_one_that_a_lookup_gave(python: Python, tmp_path: Path) -> None:
    (tmp_path / "there.db").touch()
    (tmp_path / "program.py").write_text(RESOLVED)
    with watching({"PATH": os.defpath, "HOME": str(tmp_path)}, cwd=tmp_path) as watch:
        folder = Path(watch.env["PYTHONPATH"])
        done = run_live(
            [str(python.path), "program.py"], cwd=tmp_path, env=watch.env, timeout=60, on_line=lambda _: None
        )
        modes = [stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / HOOK_EVENTS)]
        events = parse_events((folder / HOOK_EVENTS).read_bytes())
    assert (done.code, modes) == (0, [0o700, 0o600])
    if not events["start"] <= {"3.6", "3.7"}:
        assert {text.split("\n")[0] for text in events["named"]} <= {"127.0.0.1", "::1"}
        assert len(events["named"]) >= 1
        assert {text.split("\n")[0] for text in events["connect"]} == {"127.0.0.2"}
        databases = {Path(path).name for path in events["read"] if path.endswith(".db")}
        assert databases == ({"there.db"} if events["start"] != {"3.8"} else databases)


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    run("pass", tmp_path)
    assert list(scratch.iterdir()) == []


def test_the_deep_look_sees_what_no_hook_sees(tmp_path: Path) -> None:
    (tmp_path / "quick é.txt").touch()
    source = "import subprocess, sys\nsubprocess.run([sys.executable, '-I', 'isolated.py'], check=True)\n"
    (tmp_path / "isolated.py").write_text("open('quick é.txt').close(); open('out.txt', 'w').close()\n")
    (tmp_path / "program.py").write_text(source)
    with watching({"PATH": os.defpath}, cwd=tmp_path, deep=True) as watch:
        command = [*watch.prefix, sys.executable, "program.py"]
        done = run_live(command, cwd=tmp_path, env=watch.env, timeout=60, on_line=lambda _: None)
        observed = watch.observed()
    assert done.code == 0
    assert done.tail == []
    assert observed.deep
    assert str(tmp_path.resolve() / "quick é.txt") in observed.read
    assert str(tmp_path.resolve() / "out.txt") in observed.written
    assert not any("strace" in path for path in [*observed.mapped, *observed.started])


def test_without_strace_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotRunError, match="needs strace"), watching({}, cwd=tmp_path, deep=True):
        pass
