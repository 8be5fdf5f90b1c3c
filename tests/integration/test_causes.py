"""One thing is changed at a time, for real, and the first cause that verify names must be the right one."""

import io
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from envcap.consent import Consent
from envcap.engines import ENGINES
from envcap.engines.venv import VenvEngine
from envcap.evaluate.inside import INSIDE_FILE
from envcap.model.image import Image, Outcome, Task
from envcap.model.progress import Tell, say_nothing
from envcap.model.verdict import Judgement, Verdict
from envcap.verify import VerifyRequest, verify
from tests.pythons import others

NUMERIC = """\
import json, time
import numpy as np
REGULARISATION = 0.5
draw = np.random.RandomState(0)
features = draw.standard_normal((400, 400))
long = draw.standard_normal(3_000_000)
scores = np.dot(features, features.T)
np.savetxt("scores.csv", np.column_stack([np.log(np.abs(features[0])), scores[0]]), "%.17g", ",", header="log,product")
names = open("names.txt", errors="replace").read().split()
metrics = {
    "loss": float(np.dot(long, long)) * REGULARISATION,
    "product": float(np.abs(scores).sum()),
    "entropy": float(np.log(np.abs(features)).sum()),
    "day": time.strftime("%Y-%m-%d %H:%M", time.localtime(1700000000)),
    "longest": max(names, key=len),
}
json.dump(metrics, open("metrics.json", "w"))
"""
PLAIN = {
    "hash seed": "rows = [name for name in {f'sample-{n}' for n in range(60)}]\nscore = len(rows)\n",
    "variable": "rows = [1, 2]\nscore = 0.25 * float(os.environ.get('SCORE_SCALE', '1'))\n",
    "randomness": "rows = [1]\nscore = 0.9 + random.gauss(0, 0.01)\n",
    "data": "import scaling\nrows = open('ROWS').read().split()\n"
    "score = sum([0.1] * 10) + scaling.FACTOR * sum(map(float, rows))\n",
}
WRITING = (
    "import datetime, json, os, random\n"
    "{body}"
    "json.dump({{'score': score}}, open('metrics.json', 'w'))\n"
    "open('rows.csv', 'w').write('row\\n' + ''.join(str(row) + '\\n' for row in rows))\n"
)
CONFIRMED = ("blas", "timezone", "locale")  # by a rerun with that one thing set back


class OtherMachine(VenvEngine):
    """The same environment on a machine that differs in what `variables` and `cpus` make it differ in.

    What masks a processor's abilities is hidden from the look at the variables: of another processor that would not
    show it either. `shown` variables are really other ones.
    """

    variables: Mapping[str, str] = {}
    cpus: int | None = None
    shown = False

    def run(self, image: Image, task: Task, *, results: Path, tell: Tell) -> Outcome:
        """Run it as that machine would; what the task asks for itself goes first."""
        variables = {} if INSIDE_FILE in task.files and not self.shown else self.variables
        here = replace(task, environment={**variables, **task.environment}, cpus=task.cpus or self.cpus)
        return super().run(image, here, results=results, tell=tell)


Ask = Callable[..., Judgement]


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Give what verifies a project on another machine."""

    def on_machine(
        project: Path,
        variables: Mapping[str, str] = {},
        *,
        cpus: int | None = None,
        shown: bool = False,
        **more: Any,
    ) -> Judgement:
        def opened(folder: Path) -> OtherMachine:
            engine = OtherMachine(folder / ".envcap" / "venv")
            engine.variables, engine.cpus, engine.shown = variables, cpus, shown
            return engine

        monkeypatch.setitem(ENGINES, "venv", opened)
        request = VerifyRequest(project=project, engine="venv", consent=Consent(trusted=True), **more)
        judgement, _ = verify(request, environ=os.environ, tell=say_nothing)
        return judgement

    return on_machine


NO_ENGINE = {"DOCKER_HOST": "unix:///nowhere/docker.sock", "CONTAINER_HOST": "unix:///nowhere/podman.sock"}


@pytest.fixture
def numeric(digits: Any, make_environment: Any) -> Any:
    """Give a frozen and built evaluation that computes with numpy, and formats and reads text besides."""
    (digits.project / "evaluate.py").write_text(NUMERIC)
    (digits.project / "names.txt").write_text("Zoë\nJosé-Ángel\nAda\n")
    configuration = 'command = ["python", "evaluate.py"]\nartifacts = ["scores.csv"]\nrepeat = 2\n'
    (digits.project / "envcap.toml").write_text(f"[evaluation]\n{configuration}")
    environment = make_environment("numpy==2.4.6")
    digits.environ.update(VIRTUAL_ENV=str(environment), **NO_ENGINE, TZ="Europe/Berlin", LC_ALL="C.UTF-8")
    digits.ok("freeze")
    digits.ok("build", "--engine", "venv")
    return digits


@pytest.fixture
def plain(small: Any) -> Callable[..., Any]:
    """Give what freezes and builds an evaluation of that kind, which needs little but the interpreter."""

    def frozen(kind: str, *, recorded: str = "", **environ: str) -> Any:
        (small.project.parent / "rows.txt").write_text("1 2 3\n")
        body = PLAIN[kind].replace("ROWS", str(small.project.parent / "rows.txt"))
        (small.project / "evaluate.py").write_text(WRITING.format(body=body))
        configuration = 'command = ["python", "evaluate.py"]\nartifacts = ["rows.csv"]\nrepeat = 1\n'
        configuration += f'environment = ["{recorded}"]\n' if recorded else ""
        (small.project / "envcap.toml").write_text(f"[evaluation]\n{configuration}")
        small.environ |= NO_ENGINE
        small.ok("freeze", "--offline", env=environ)
        small.ok("build", "--engine", "venv")
        return small

    return frozen


def add_package(environment: Path, version: str, factor: float) -> None:
    """Make an environment whose one package is `scaling`, or put another version of it into one that is there."""
    if not environment.exists():
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    (packages,) = environment.glob("lib/python3.*/site-packages")
    for old in packages.glob("scaling-*"):
        shutil.rmtree(old)
    (packages / "scaling.py").write_text(f"FACTOR = {factor}\n")
    info = packages / f"scaling-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: scaling\nVersion: {version}\n")
    (info / "WHEEL").write_text("Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    (info / "RECORD").write_text(
        "".join(
            f"{name},,\n" for name in ("scaling.py", *(f"{info.name}/{one}" for one in ("METADATA", "WHEEL", "RECORD")))
        )
    )


def first_of(judgement: Judgement) -> str:
    return judgement.causes[0].key if judgement.causes else "nothing"


def built(project: Path) -> Path:
    (folder,) = (item for item in (project / ".envcap" / "venv").iterdir() if item.is_dir())
    return folder


def change_code(project: Path, before: str, after: str) -> None:
    """Change the code inside what was built, as somebody would in a container."""
    path = built(project) / "code.tar"
    members = {}
    with tarfile.open(path) as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.isfile() else None
            members[member.name] = (member, stream.read() if stream else b"")
    with tarfile.open(path, "w") as archive:
        for member, content in members.values():
            changed = content.replace(before.encode(), after.encode())
            member.size = len(changed)
            archive.addfile(member, io.BytesIO(changed) if member.isfile() else None)


def dispatchable(python: Path) -> str:
    """Name the instruction sets that numpy chooses kernels by on this processor, and could do without."""
    code = (
        "from numpy._core import _multiarray_umath as u;"
        "print(' '.join(name for name in u.__cpu_dispatch__ if u.__cpu_features__[name]))"
    )
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.network
@pytest.mark.xdist_group("digits")
def test_the_first_cause_of_another_number_is_the_right_one(numeric: Any, ask: Ask, digits_environment: Path) -> None:
    masked = dispatchable(digits_environment / "bin" / "python")
    machines: dict[str, tuple[dict[str, str], int | None]] = {
        "blas": ({"OPENBLAS_CORETYPE": "Prescott"}, None),
        "simd": ({"NPY_DISABLE_CPU_FEATURES": masked}, None),
        "threads": ({}, 1),
        "timezone": ({"TZ": "Asia/Tokyo"}, None),
        "locale": ({"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, None),
    }
    assert ask(numeric.project).verdict is Verdict.IDENTICAL
    judged = {
        right: ask(numeric.project, each, cpus=cpus, explain=right in CONFIRMED)
        for right, (each, cpus) in machines.items()
    }
    named = {right: first_of(judgement) for right, judgement in judged.items()}
    assert {right: judged[right].causes[0].strength for right in CONFIRMED} == dict.fromkeys(CONFIRMED, "confirmed")
    assert "with OPENBLAS_CORETYPE=" in judged["blas"].trials[-1].detail
    assert "the frozen outputs came back: IDENTICAL" in judged["blas"].trials[-1].detail
    change_code(numeric.project, "REGULARISATION = 0.5", "REGULARISATION = 0.6")
    named["code"] = first_of(ask(numeric.project, frozen_code=True))
    assert named == {right: right for right in named}


def test_the_first_cause_is_the_right_one_without_numbers_to_go_by(plain: Callable[..., Any], ask: Ask) -> None:
    named = {}
    for right, environ in (("hash seed", {}), ("variable", {"SCORE_SCALE": "3"}), ("randomness", {})):
        small = plain(right, **environ)
        judgement = ask(small.project, explain=right != "variable")
        named[right] = first_of(judgement)
        assert judgement.causes[0].strength == ("likely" if right == "variable" else "confirmed")
        shutil.rmtree(small.project / ".envcap" / "venv")
    environment = small.project.parent / "environment"
    add_package(environment, "1.0", 2.0)
    small = plain("data", VIRTUAL_ENV=str(environment))
    rows = small.project.parent / "rows.txt"
    rows.write_text("1 2 4\n")
    named["data"] = first_of(ask(small.project))
    rows.write_text("1 2 3\n")
    add_package(built(small.project) / "env", "1.1", 2.5)
    named["packages"] = first_of(ask(small.project))
    for another in [one for one in others() if one.minor > (3, 9)][-1:]:  # a machine may have none
        shutil.rmtree(built(small.project) / "env")
        subprocess.run([another.path, "-m", "venv", "--without-pip", built(small.project) / "env"], check=True)
        add_package(built(small.project) / "env", "1.0", 2.0)
        named["interpreter"] = first_of(ask(small.project))
    assert named == {right: right for right in named}


def test_a_recorded_variable_that_is_another_one_is_confirmed(plain: Callable[..., Any], ask: Ask) -> None:
    small = plain("variable", recorded="SCORE_SCALE", SCORE_SCALE="3")
    judgement = ask(small.project, {"SCORE_SCALE": "5"}, shown=True, explain=True)
    assert (first_of(judgement), judgement.causes[0].strength) == ("variable", "confirmed")
    assert judgement.trials[-1].detail == "with SCORE_SCALE as recorded the frozen outputs came back: IDENTICAL"
