"""What is installed or lies on PYTHONPATH must neither fool nor break the probe."""

import os
import subprocess
import sys
from pathlib import Path

from envcap.probe.handover import decode, pack, probe_host
from envcap.probe.target.isolation import is_standard, standard_paths

# What the interpreter, the probe or the binding imports after start-up.
_SHADOWED = """
    ctypes enum envcap_probe functools importlib json locale platform pynvml re runpy string struct threading time
    types typing urllib warnings zipimport
"""


def _shadow(folder: Path) -> None:
    folder.mkdir()
    for name in _SHADOWED.split():
        (folder / f"{name}.py").write_text(f"raise RuntimeError('{name} was imported')\n")


def test_modules_on_pythonpath_do_not_shadow_the_standard_library(interpreter: Path, tmp_path: Path) -> None:
    _shadow(tmp_path / "shadow")
    facts = probe_host(interpreter, env={"PYTHONPATH": str(tmp_path / "shadow")})
    assert facts.paths[0] == str(tmp_path / "shadow")


def test_a_shadow_that_was_imported_already_is_not_used(environment: Path, site: Path, tmp_path: Path) -> None:
    shadow = tmp_path / "shadow"
    shadow.mkdir()
    (shadow / "json.py").write_text("dumps = lambda *_, **__: 'fooled'\n")
    (site / "sitecustomize.py").write_text("import json\n")
    facts = probe_host(environment / "bin" / "python", env={"PYTHONPATH": str(shadow)})
    assert facts.paths[0] == str(shadow)


def test_import_hooks_of_the_environment_are_not_asked(environment: Path, site: Path) -> None:
    (site / "hook.pth").write_text("import hook\n")
    (site / "hook.py").write_text(
        "import sys\n"
        "class Hook:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'json': raise RuntimeError('the hook was asked')\n"
        "sys.meta_path.insert(0, Hook())\n"
    )
    assert probe_host(environment / "bin" / "python").paths


def test_the_environment_has_its_own_again_when_the_interpreter_ends(environment: Path, site: Path) -> None:
    (site / "sitecustomize.py").write_text(
        "import atexit, sys, late\n"
        "def end():\n"
        "    import later\n"
        "    assert sys.modules['late'] is late\n"
        "    sys.stderr.write('ended well')\n"
        "atexit.register(end)\n"
    )
    (site / "late.py").touch()
    (site / "later.py").touch()
    program = environment / "probe.py"
    program.write_bytes(pack())
    done = subprocess.run([environment / "bin" / "python", program], capture_output=True, check=True)
    assert done.stderr == b"ended well"
    assert decode(done.stdout).paths


def test_output_of_the_environment_around_the_document_is_ignored(environment: Path, site: Path) -> None:
    (site / "noise.pth").write_text("import sys; sys.stdout.write('{\"format\": 1}')\n")
    (site / "sitecustomize.py").write_text(
        "import atexit, io, sys\n"
        "print('-----BEGIN ENVCAP FACTS-----')\n"
        "atexit.register(sys.__stdout__.write, 'bye')\n"
        "sys.stdout = io.StringIO()\n"
    )
    assert probe_host(environment / "bin" / "python").prefix == str(environment)


def test_an_exit_handler_that_fails_does_not_cost_the_facts(environment: Path, site: Path) -> None:
    (site / "sitecustomize.py").write_text("import atexit, os\natexit.register(os._exit, 7)\n")
    assert probe_host(environment / "bin" / "python").prefix == str(environment)


def test_warnings_that_the_user_made_errors_do_not_stop_the_probe() -> None:
    env = {"PYTHONWARNINGS": "error", "PYTHONDEVMODE": "1"}
    assert probe_host(Path(sys.executable), env=env).interpreter.flags["dev_mode"] == 1


def test_paths_are_those_of_the_users_programs(environment: Path, site: Path, tmp_path: Path) -> None:
    (tmp_path / "library").mkdir()
    (tmp_path / "linked").mkdir()
    (site / "linked.pth").write_text(f"{tmp_path / 'linked'}\n")
    env = {"PYTHONPATH": "library", "PYTHONSAFEPATH": "1"}
    facts = probe_host(environment / "bin" / "python", env=env, cwd=tmp_path)
    assert facts.paths[0] == str(tmp_path / "library")
    assert facts.paths[-2:] == [str(site), str(tmp_path / "linked")]
    assert not any("probe" in Path(path).name for path in facts.paths)


def test_nothing_of_the_process_environment_is_in_the_document(tmp_path: Path) -> None:
    program = tmp_path / "probe.py"
    program.write_bytes(pack())
    env = {**os.environ, "API_TOKEN": "hunter2hunter2", "TZ": "hunter2 is no zone"}
    done = subprocess.run([sys.executable, program], env=env, capture_output=True, check=True)
    assert decode(done.stdout).system.environment == {}
    assert b"hunter2" not in done.stdout


def test_a_folder_whose_name_is_not_utf8_is_a_gap(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(folder)  # noqa: PTH102  (bytes)
    facts = probe_host(Path(sys.executable), env={"PYTHONPATH": os.fsdecode(folder)})
    assert facts.paths[0].endswith("/caf?")
    assert "not UTF-8" in facts.gaps[0].reason


def test_the_standard_library_does_not_include_what_is_installed_below_it() -> None:
    standard = standard_paths(sys.path)
    assert is_standard(os.__file__, standard)
    assert not is_standard(f"{standard[0]}/site-packages/json.py", standard)
    assert not is_standard(f"{standard[0]}/dist-packages/json.py", standard)
    assert not is_standard("/somewhere/json.py", standard)
