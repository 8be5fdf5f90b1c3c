"""The look at code and variables inside: the real program, started in a folder as an engine would."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

from envcap.evaluate.inside import Inside, changed_inside, inside_task, read_inside
from envcap.model.image import Outcome


def look(folder: Path, paths: list[str]) -> Inside | None:
    task = inside_task(paths)
    for name, content in task.files.items():
        (folder / name).write_bytes(content)
    command = [sys.executable, *task.command[1:]]
    done = subprocess.run(command, cwd=folder, env={"SCALE": "3"}, capture_output=True, text=True, check=True)
    return read_inside(Outcome(code=0, seconds=0.1, stdout=f"a warning\n{done.stdout}", tail=[]))


def test_tells_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "run.py").write_bytes(b"x = 1\n")
    (tmp_path / "link.py").symlink_to("run.py")
    (tmp_path / "large.bin").write_bytes(b"not asked for")
    inside = look(tmp_path, ["run.py", "link.py", "gone.py"])
    assert inside is not None
    digest = hashlib.sha256(b"x = 1\n").hexdigest()
    assert inside.files == {"run.py": digest, "link.py": "link:run.py", "gone.py": None}
    assert inside.environment["SCALE"] == "3"
    frozen = {"run.py": "0" * 64, "link.py": "link:run.py", "gone.py": digest}
    assert changed_inside(frozen, inside.files) == ["`gone.py` is not there", "`run.py` is not the frozen one"]


def test_what_tells_nothing_is_no_answer() -> None:
    for stdout in ("", "no document", json.dumps({"files": 3}), os.devnull):
        assert read_inside(Outcome(code=1, seconds=0.1, stdout=stdout, tail=[])) is None
