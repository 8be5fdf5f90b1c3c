"""The look at the variables inside: the real program, started in a folder as an engine would."""

import json
import os
import subprocess
import sys
from pathlib import Path

from envcap.evaluate.inside import inside_task, read_inside
from envcap.model.image import Outcome


def test_tells_what_is_there(tmp_path: Path) -> None:
    task = inside_task()
    for name, content in task.files.items():
        (tmp_path / name).write_bytes(content)
    command = [sys.executable, *task.command[1:]]
    done = subprocess.run(command, cwd=tmp_path, env={"SCALE": "3"}, capture_output=True, text=True, check=True)
    inside = read_inside(Outcome(code=0, seconds=0.1, stdout=f"a warning\n{done.stdout}", tail=[]))
    assert inside is not None
    assert inside.environment["SCALE"] == "3"


def test_what_tells_nothing_is_no_answer() -> None:
    for stdout in ("", "no document", json.dumps({"environment": 3}), os.devnull):
        assert read_inside(Outcome(code=1, seconds=0.1, stdout=stdout, tail=[])) is None
