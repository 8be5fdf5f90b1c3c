"""Every bad input gets a clear answer with the documented exit code, and leaves nothing half made."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

LOCK = "pylock.envcap.toml"


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if ".git/" not in f"{path}/"}


@pytest.fixture
def frozen(small: Any) -> Any:
    """Give a project that is frozen already."""
    small.ok("freeze")
    return small


# What is wrong, the words and variables that make it so, the exit code, and what the answer must hold.
WRONG_FREEZES = {
    "no environment": ([], {"VIRTUAL_ENV": "", "PATH": "/nowhere"}, 2, ["--python"]),
    "missing interpreter": (["--python", "absent/bin/python"], {}, 2, ["`absent/bin/python`"]),
    "not an interpreter": (["--python", "evaluate.py"], {}, 3, ["evaluate.py"]),
    "crashing interpreter": (["--python", "broken/bin/python"], {}, 3, ["broken/bin/python"]),
    "failing evaluation": (["--", "python", "-c", "print('half way'); raise SystemExit(9)"], {}, 3, ["9", "half way"]),
    "crashing evaluation": (["--", "python", "-c", "import os; os.kill(os.getpid(), 11)"], {}, 3, ["signal 11"]),
    "slow evaluation": (["--timeout", "1s", "--", "python", "-c", "import time; time.sleep(60)"], {}, 3, ["--timeout"]),
    "no metrics": (["--", "python", "-c", "pass"], {}, 3, ["metrics.json", "stdout-json"]),
    "metrics that are no JSON": (
        ["--", "python", "-c", "open('metrics.json', 'w').write('0.5')"],
        {},
        3,
        ["metrics.json"],
    ),
    "missing artifact": (["--artifact", "absent.csv"], {}, 3, ["`absent.csv`"]),
    "missing data": (["--data", "absent"], {}, 2, ["`absent`"]),
    "unknown program": (["--", "no-such-program"], {}, 3, ["no-such-program"]),
    "another interpreter": (["--", sys.executable, "evaluate.py"], {}, 2, ["--python"]),
    "bad lock name": (["--name", "a.b"], {}, 2, ["`a.b`"]),
    "bad repeat": (["--repeat", "0"], {}, 2, ["repeat", "`0`"]),
    "bad duration": (["--timeout", "soon"], {}, 2, ["`soon`", "30m"]),
    "unknown base": (["--base", "127.0.0.1:1/nothing:here"], {"DOCKER_HOST": "unix:///nowhere"}, 3, ["nothing:here"]),
    "missing project": (["--project", "absent"], {}, 2, ["`absent`"]),
}


@pytest.mark.parametrize("wrong", WRONG_FREEZES)
def test_a_freeze_that_cannot_work(wrong: str, small: Any) -> None:
    words, env, code, expected = WRONG_FREEZES[wrong]
    broken = small.project / "broken" / "bin"
    broken.mkdir(parents=True)
    (broken / "python").write_text("#!/bin/sh\nexit 70\n")
    (broken / "python").chmod(0o755)
    before = files(small.project)
    result = small("freeze", *words, env=env)
    assert result.code == code, result.err
    assert "error: " in result.err
    assert [text for text in expected if text not in result.err] == []
    assert result.out == ""
    assert files(small.project) - before <= {"metrics.json", "table.csv"}
    assert list((small.project.parent / "scratch").iterdir()) == []


def test_no_evaluation_declared(small: Any) -> None:
    (small.project / "envcap.toml").unlink()
    result = small("freeze")
    assert (result.code, "envcap freeze -- python evaluate.py" in result.err) == (2, True)


def test_unknown_key_in_the_configuration(small: Any) -> None:
    (small.project / "envcap.toml").write_text('[evaluation]\ncomand = ["python"]\n')
    result = small("freeze")
    assert (result.code, "`comand`" in result.err, "envcap.toml" in result.err) == (2, True, True)


def test_stale_outputs_are_not_taken_for_new_ones(small: Any) -> None:
    (small.project / "metrics.json").write_text('{"score": 1.0}')
    result = small("freeze", "--", "python", "-c", "pass")
    assert (result.code, "left from before" in result.err) == (3, True)
    assert not (small.project / LOCK).exists()


def test_unreachable_index(digits: Any) -> None:
    """Without its index every package would silently become a gap: that is an error, not a lock."""
    address = "http://user:secret-canary@127.0.0.1:1/simple"
    result = digits("freeze", env={"PIP_INDEX_URL": address, "PIP_RETRIES": "0", "PIP_CONFIG_FILE": os.devnull})
    assert result.code == 3, result.err
    assert "127.0.0.1:1" in result.err
    assert "secret-canary" not in result.err
    assert files(digits.project) & {LOCK, ".envcap"} == set()


def test_errors_as_json(small: Any) -> None:
    result = small("freeze", "--json", "--timeout", "soon")
    assert result.document["exit-code"] == result.code == 2
    assert "`soon`" in result.document["error"]["message"]


def test_wrong_options(small: Any) -> None:
    assert small("freeze", "--no-such-option").code == 2
    assert small("thaw").code == 2
    assert small("build", "--engine", "steam").code == 2


def test_no_lock_yet(small: Any) -> None:
    for verb in ("build", "verify"):
        result = small(verb)
        assert (result.code, "envcap freeze" in result.err) == (2, True)


def test_a_lock_with_one_byte_changed(frozen: Any) -> None:
    lock = frozen.project / LOCK
    lock.write_bytes(lock.read_bytes().replace(b"score = 1.5", b"score = 1.6", 1))
    for verb in ("build", "verify"):
        result = frozen(verb, "--engine", "venv")
        assert result.code == 5
        assert "was changed after envcap wrote it" in result.err


def test_a_lock_from_a_newer_version(frozen: Any) -> None:
    lock = frozen.project / LOCK
    lock.write_text(lock.read_text().replace("format = 1", "format = 2"))
    result = frozen("verify", "--engine", "venv")
    assert (result.code, "newer envcap" in result.err) == (5, True)


def test_a_lock_without_its_store(frozen: Any) -> None:
    for path in (frozen.project / ".envcap" / "store").glob("*/code.tar"):
        path.unlink()
    result = frozen("build", "--engine", "venv")
    assert (result.code, "code.tar" in result.err) == (5, True)


def test_engine_not_running(frozen: Any) -> None:
    for verb in ("build", "verify"):
        result = frozen(verb, "--engine", "docker", env={"DOCKER_HOST": "unix:///nowhere/docker.sock"})
        assert result.code == 3
        assert "No Docker engine answers" in result.err
        assert "--engine venv" in result.err


def test_verify_before_build(frozen: Any) -> None:
    result = frozen("verify", "--engine", "venv")
    assert (result.code, "envcap build --engine venv" in result.err) == (3, True)


def test_output_folder_in_use(frozen: Any) -> None:
    result = frozen("build", "--output", ".")
    assert (result.code, "`.`" in result.err) == (2, True)


def test_strict_names_the_gaps_and_writes_nothing(small: Any) -> None:
    result = small("freeze", "--strict", env={"DOCKER_HOST": "unix:///nowhere", "http_proxy": "http://127.0.0.1:1"})
    assert (result.code, "base" in result.err) == (3, True)
    assert not (small.project / LOCK).exists()
    assert not (small.project / ".envcap").exists()


def test_a_full_disk_leaves_the_old_lock(frozen: Any, tmp_path: Path) -> None:
    """RLIMIT_FSIZE lets a write fail at a chosen size, on any machine and without being root."""
    old = (frozen.project / LOCK).read_bytes()
    (frozen.project / "evaluate.py").write_text((frozen.project / "evaluate.py").read_text() + "# " + "x" * 9000)
    before = files(frozen.project)
    limited = (
        "import resource, signal, sys, runpy; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192));"
        "sys.argv = ['envcap', 'freeze']; runpy.run_module('envcap', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", limited],
        cwd=frozen.project,
        env=frozen.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    assert (frozen.project / LOCK).read_bytes() == old
    assert files(frozen.project) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_a_freeze_leaves_nothing(small: Any, number: int) -> None:
    before = files(small.project)
    program = "import os, time; print('pid', os.getpid(), flush=True); time.sleep(60)"
    result = small.stop_when("pid", "freeze", "--", "python", "-c", program, number=number)
    assert result.code == 128 + number
    assert files(small.project) == before
    assert list((small.project.parent / "scratch").iterdir()) == []
    found = re.search(r"pid (\d+)", result.err)
    assert found is not None
    assert not Path("/proc", found[1]).exists()  # the evaluation was ended too


def test_stopping_a_build_or_a_verify_in_the_venv_engine(small: Any) -> None:
    program = small.project / "evaluate.py"
    program.write_text(
        "import os, time\nif 'envcap-run-' in os.getcwd():\n    print('inside', flush=True); time.sleep(60)\n"
        + program.read_text()
    )
    small.ok("freeze")
    stopped = small.stop_when("making an environment", "build", "--engine", "venv", pause=0.0)
    assert stopped.code == 130
    assert list((small.project / ".envcap" / "venv").glob("*")) == []
    small.ok("build", "--engine", "venv")
    stopped = small.stop_when("inside", "verify", "--engine", "venv")
    assert stopped.code == 130
    assert list((small.project.parent / "scratch").iterdir()) == []


def test_gpus_that_are_none(small: Any) -> None:
    small.ok("freeze")
    small.ok("build", "--engine", "venv")
    wrong = small("verify", "--engine", "venv", "--gpus", "the big one")
    assert wrong.code == 2
    assert "`the big one` names no GPUs" in wrong.err
    small.ok("verify", "--engine", "venv", "--gpus", "none")
