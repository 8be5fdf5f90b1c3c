"""The reference evaluation, run for real with small programs that behave well and badly."""

import contextlib
import json
import math
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from envcap.errors import NotRunError, WrongUsageError
from envcap.evaluate.collect import collect_metrics
from envcap.evaluate.reference import portable_command, run_reference
from envcap.model.evaluation import Declaration, Run
from envcap.model.progress import Progress

INTERPRETER = Path(sys.executable)
WRITE = "import json; json.dump({}, open('metrics.json', 'w'))"


class Evaluation:
    """A project with one program, and what was told while it ran."""

    def __init__(self, project: Path) -> None:
        self.project = project
        self.told: list[Progress] = []

    def run(self, program: str, **changes: Any) -> list[Run]:
        (self.project / "evaluate.py").write_text(program, encoding="utf-8")
        declaration = Declaration(command=["python", "evaluate.py"], metrics="metrics.json", repeat=1, timeout=30.0)
        return run_reference(
            msgspec.structs.replace(declaration, **changes),
            project=self.project,
            env={"PATH": f"{INTERPRETER.parent}{os.pathsep}{os.environ['PATH']}"},
            interpreter=INTERPRETER,
            tell=self.told.append,
        )

    def fail(self, program: str, **changes: Any) -> str:
        with pytest.raises(NotRunError) as failed:
            self.run(program, **changes)
        return failed.value.message

    def put(self, name: str, text: str) -> None:
        path = self.project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        old = time.time() - 100
        os.utime(path, (old, old))


@pytest.fixture
def evaluation(tmp_path: Path) -> Evaluation:
    return Evaluation(tmp_path)


def test_each_run_is_a_fresh_process(evaluation: Evaluation) -> None:
    program = (
        "import json, os, random, sys\n"
        "print('working'); print('a warning', file=sys.stderr)\n"
        "open('out.csv', 'w').write('a\\n1\\n')\n"
        "json.dump({'pid': os.getpid(), 'accuracy': 0.5, 'nested': {'loss': [1, 2.5]}}, open('metrics.json', 'w'))\n"
    )
    runs = evaluation.run(program, repeat=3, artifacts=["out.csv"])
    assert len({run.metrics["pid"] for run in runs}) == 3
    for run in runs:
        assert list(run.metrics) == ["pid", "accuracy", "nested.loss.0", "nested.loss.1"]
        assert run.metrics["nested.loss.1"] == 2.5
        assert [(item.path, item.size) for item in run.artifacts] == [("out.csv", 4)]
        assert 0 < run.seconds < 30
        assert run.peak_memory is not None
        assert 1 << 20 < run.peak_memory < 1 << 30
    steps = [item.text for item in evaluation.told if item.kind == "step"]
    assert steps == [f"reference run {number} of 3: python evaluate.py" for number in (1, 2, 3)]
    assert sorted(item.text for item in evaluation.told if item.kind == "output") == 3 * ["a warning"] + 3 * ["working"]


def test_a_run_that_fails_shows_its_last_lines(evaluation: Evaluation) -> None:
    message = evaluation.fail("print('before'); raise ValueError('no such file: weights.bin')")
    assert "failed with exit code 1" in message
    assert "`python evaluate.py`" in message
    assert "ValueError: no such file: weights.bin" in message


def test_a_run_that_is_killed_says_so(evaluation: Evaluation) -> None:
    assert "was killed by signal 9" in evaluation.fail("import os; os.kill(os.getpid(), 9)")


def test_a_run_that_takes_too_long_is_stopped(evaluation: Evaluation) -> None:
    started = time.monotonic()
    message = evaluation.fail("import time; print('sleeping', flush=True); time.sleep(60)", timeout=0.5)
    assert "did not end within 0.5 s" in message
    assert "sleeping" in message
    assert time.monotonic() - started < 10


def test_a_program_that_is_not_there(evaluation: Evaluation) -> None:
    assert "`no-such-program`" in evaluation.fail("", command=["no-such-program"])


def test_a_failure_in_a_later_run_is_a_failure(evaluation: Evaluation) -> None:
    program = f"import os, sys\n{WRITE.format({'a': 1})}\nif os.path.exists('again'): sys.exit(3)\nopen('again', 'w')\n"
    assert "exit code 3" in evaluation.fail(program, repeat=2)


# Metrics


def test_metrics_that_were_not_written(evaluation: Evaluation) -> None:
    assert "there is no `metrics.json`" in evaluation.fail("pass")


def test_metrics_left_from_before_are_not_taken_for_new(evaluation: Evaluation) -> None:
    evaluation.put("metrics.json", '{"accuracy": 1.0}')
    assert "did not write `metrics.json`: the file is left from before" in evaluation.fail("pass")


def test_metrics_that_only_the_first_run_wrote(evaluation: Evaluation) -> None:
    program = f"import os\nif not os.path.exists('metrics.json'):\n    {WRITE.format({'a': 1})}"
    assert "left from before" in evaluation.fail(program, repeat=2)


def test_metrics_written_again_with_the_same_text_are_new(evaluation: Evaluation) -> None:
    evaluation.put("metrics.json", '{"a": 1}')
    runs = evaluation.run("open('metrics.json', 'w').write('{\"a\": 1}')", repeat=2)
    assert [run.metrics for run in runs] == [{"a": 1}, {"a": 1}]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not valid JSON"),
        ("{", "not valid JSON"),
        ("[1, 2]", "holds a list"),
        ("0.5", "holds a float"),
        ("null", "holds a NoneType"),
        ("{}", "holds no metric"),
        ('{"a": null, "b": {}}', "holds no metric"),
        ('{"a.b": 1, "a": {"b": 2}}', "name `a.b` twice"),
        ('{"a": "\\ud800"}', "no Unicode"),
        ('{"\\udcff": 1}', "no Unicode"),
        (json.dumps({"a": list(range(10_001))}), "more than 10,000 values"),
        ('{"a": ' + "9" * 5_000 + "}", "not valid JSON"),
        ("\udcff", "not valid JSON"),
    ],
    ids=range(13),
)
def test_metrics_that_are_none(text: str, said: str, evaluation: Evaluation) -> None:
    (evaluation.project / "text").write_bytes(text.encode(errors="surrogateescape"))
    assert said in evaluation.fail("import shutil; shutil.copyfile('text', 'metrics.json')")


@pytest.mark.parametrize("depth", [800, 900, 930, 950, 970, 990, 1_100, 5_000, 20_000, 100_000])
def test_metrics_nested_deeply_are_read_or_refused(depth: int, tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text('{"a": ' + "[" * depth + "1" + "]" * depth + "}", encoding="utf-8")
    declaration = Declaration(command=["true"], metrics="metrics.json")
    with contextlib.suppress(NotRunError):
        assert len(collect_metrics(tmp_path, declaration, stdout="")) == 1


def test_a_folder_in_the_place_of_the_metrics(evaluation: Evaluation) -> None:
    assert "cannot be read" in evaluation.fail("import os; os.mkdir('metrics.json')")


def test_nan_infinity_and_every_kind_of_value(evaluation: Evaluation) -> None:
    program = (
        "import json; json.dump({'nan': float('nan'), 'inf': float('inf'), 'int': 3, 'float': 3.0, 'bool': True,"
        " 'text': 'é', 'none': None, 'large': 2**70}, open('metrics.json', 'w'))"
    )
    metrics = evaluation.run(program)[0].metrics
    assert repr({name: value for name, value in metrics.items() if name != "nan"}) == repr(
        {"inf": math.inf, "int": 3, "float": 3.0, "bool": True, "text": "é", "large": str(2**70)}
    )
    assert math.isnan(float(metrics["nan"]))


def test_the_last_object_printed(evaluation: Evaluation) -> None:
    program = (
        "print('{\"a\": 1}'); print('50%', end='\\r'); print('{\\n \"a\": {\\n  \"b\": 2\\n }\\n}'); print('done')"
    )
    assert evaluation.run(program, metrics="stdout-json")[0].metrics == {"a.b": 2}


def test_no_object_printed(evaluation: Evaluation) -> None:
    program = "import sys; print('nothing'); print('{\"a\": 1}', file=sys.stderr)"
    assert "printed no JSON object" in evaluation.fail(program, metrics="stdout-json")


# Artifacts


def test_artifacts_in_folders_are_listed_sorted(evaluation: Evaluation) -> None:
    program = (
        f"import os\n{WRITE.format({'a': 1})}\nos.makedirs('out/deep')\n"
        "for name in ('out/b', 'out/deep/a', 'out/a', 'single'): open(name, 'w').write(name)"
    )
    artifacts = evaluation.run(program, artifacts=["out", "single"])[0].artifacts
    assert [(item.path, item.size) for item in artifacts] == [
        ("out/a", 5),
        ("out/b", 5),
        ("out/deep/a", 10),
        ("single", 6),
    ]
    assert len({item.sha256 for item in artifacts}) == 4


def test_an_artifact_that_was_not_written(evaluation: Evaluation) -> None:
    program = WRITE.format({"a": 1})
    assert "declared artifact `out.csv`" in evaluation.fail(program, artifacts=["out.csv"])
    assert "declared artifact `out`" in evaluation.fail(
        f"import os; os.makedirs('out', exist_ok=True)\n{program}", artifacts=["out"]
    )


def test_an_artifact_left_from_before(evaluation: Evaluation) -> None:
    evaluation.put("out/a", "old")
    assert "did not write `out/a`" in evaluation.fail(WRITE.format({"a": 1}), artifacts=["out"])


def test_an_artifact_whose_name_is_no_unicode(evaluation: Evaluation) -> None:
    program = f"import os\n{WRITE.format({'a': 1})}\nos.makedirs(b'out'); open(b'out/caf\\xe9', 'w')"
    assert "no Unicode" in evaluation.fail(program, artifacts=["out"])


# The command, as it will be called in the image


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """Make a folder of programs like an environment's: one interpreter by three names, another one, and two tools."""
    programs = tmp_path / "env" / "bin"
    programs.mkdir(parents=True)
    base = tmp_path / "base" / "python3.11"
    other = tmp_path / "base" / "python3.9"
    base.parent.mkdir()
    for path in (base, other, programs / "train", programs / "python-config"):
        path.write_text("#!/bin/sh\n", encoding="utf-8")
        path.chmod(0o755)
    (programs / "python").symlink_to(base)
    (programs / "python3").symlink_to("python")
    (programs / "python3.11").symlink_to("python")
    (programs / "python3.9").symlink_to(other)
    return programs


def portable(words: list[str], programs: Path, *, path: str = "") -> list[str]:
    return portable_command(words, env={"PATH": f"{programs}{os.pathsep}{path}"}, interpreter=programs / "python3")


def test_every_name_of_the_frozen_interpreter_becomes_python(environment: Path) -> None:
    for word in ("python", "python3", "python3.11", str(environment / "python"), str(environment / "python3.11")):
        assert portable([word, "-X", "dev", "x.py"], environment) == ["python", "-X", "dev", "x.py"]


def test_programs_beside_the_interpreter_lose_their_folder(environment: Path) -> None:
    assert portable([str(environment / "train"), "--fast"], environment) == ["train", "--fast"]
    assert portable(["train"], environment) == ["train"]
    assert portable(["python-config"], environment) == ["python-config"]


def test_other_programs_stay_as_they_are(environment: Path) -> None:
    for word in ("bash", "./run.sh", "/usr/bin/env", "pythonic"):
        assert portable([word, "x"], environment) == [word, "x"]


def test_the_interpreter_that_was_asked_for_runs_even_beside_another(environment: Path) -> None:
    """`--python /usr/bin/python3.9` with a `python3` beside it that is another version."""
    nine = environment / "python3.9"
    command = portable_command(["python3.9", "x.py"], env={"PATH": str(environment)}, interpreter=nine)
    assert command == ["python", "x.py"]
    with pytest.raises(WrongUsageError):
        portable_command(["python3", "x.py"], env={"PATH": str(environment)}, interpreter=nine)


@pytest.mark.parametrize("word", ["python3.9", "../base/python3.11", "../base/python3.9"])
def test_another_interpreter_is_wrong_usage(word: str, environment: Path) -> None:
    first = str((environment.parent / word).resolve()) if "/" in word else word
    with pytest.raises(WrongUsageError) as wrong:
        portable([first, "x.py"], environment)
    assert "which is being frozen" in wrong.value.message
    assert "--python" in wrong.value.hint


def test_an_interpreter_that_is_not_there_is_wrong_usage(environment: Path) -> None:
    with pytest.raises(WrongUsageError, match="does not have") as wrong:
        portable(["python3.14", "x.py"], environment)
    assert "python3.11" in wrong.value.hint


def test_the_interpreter_of_the_path_is_another_one(environment: Path) -> None:
    elsewhere = environment.parent.parent / "base"
    shutil.copy(elsewhere / "python3.11", elsewhere / "python")
    with pytest.raises(WrongUsageError, match="which is being frozen"):
        portable_command(["python", "x.py"], env={"PATH": str(elsewhere)}, interpreter=environment / "python")


def test_a_system_without_a_plain_python(tmp_path: Path, evaluation: Evaluation) -> None:
    programs = tmp_path / "usr" / "bin"
    programs.mkdir(parents=True)
    (programs / "python3").symlink_to(sys.executable)
    assert portable(["python3", "x.py"], programs) == ["python", "x.py"]
    (evaluation.project / "x.py").write_text(WRITE.format({"a": 1}), encoding="utf-8")
    runs = run_reference(
        Declaration(command=["python", "x.py"], metrics="metrics.json", repeat=1),
        project=evaluation.project,
        env={"PATH": str(programs)},
        interpreter=programs / "python3",
        tell=evaluation.told.append,
    )
    assert runs[0].metrics == {"a": 1}


def test_outputs_that_come_and_go_cannot_be_frozen(evaluation: Evaluation) -> None:
    program = (
        "import json, pathlib\n"
        "count = pathlib.Path('count'); turn = int(count.read_text()) + 1 if count.exists() else 1\n"
        "count.write_text(str(turn))\n"
        "json.dump({'a': 1, **({'late': 2} if turn > 1 else {})}, open('metrics.json', 'w'))\n"
    )
    message = evaluation.fail(program, repeat=3)
    assert "only run 2 of 1 and 2 gave `late`" in message


def test_text_metrics_lose_their_credentials(tmp_path: Path) -> None:
    document = {"source": "https://user:s3cr3t@example.org/x", "note": "plain", "https://s3cr3t@example.org/": 1}
    (tmp_path / "metrics.json").write_text(json.dumps(document))
    declaration = Declaration(command=["python"], metrics="metrics.json")
    metrics = collect_metrics(tmp_path, declaration, stdout="")
    assert metrics["source"] == "https://***@example.org/x"
    assert metrics["note"] == "plain"
    assert "s3cr3t" not in repr(metrics)
