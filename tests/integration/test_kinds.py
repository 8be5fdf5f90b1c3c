"""Each kind of reference gets the verdict it deserves: a noisy training, an exact evaluation, a generation."""

import json
from typing import Any

import pytest

# Gradient descent on made-up data. Each run has another seed: the next one where the file of the count can be seen, one
# of five in a container. So a test that holds once holds always, which a draw at 99 % does not.
TRAINING = """
import json, os, pathlib, random, time
count, inside = pathlib.Path('COUNT'), not os.path.exists('.git')
if count.exists():
    seed = int(count.read_text())
    count.write_text(str(seed + 1))
else:
    seed = 200 + time.time_ns() // 1000 % 5
chance = random.Random(seed)
rows = [(x, 3 * x + 1 + chance.gauss(0, 0.3)) for x in (chance.uniform(-1, 1) for _ in range(400))]
slope, start = chance.gauss(0, 1), chance.gauss(0, 1)
for _ in range(300):
    errors = [(slope * x + start - y, x) for x, y in rows]
    slope -= 0.5 * sum(e * x for e, x in errors) / len(rows)
    start -= 0.5 * sum(e for e, _ in errors) / len(rows)
slope += SHIFT * inside  # whatever makes the real thing differ elsewhere
pathlib.Path('metrics.json').write_text(json.dumps({'slope': slope, 'epochs': 300}))
"""
GENERATION = """
import json, os, pathlib, random
texts = [f'the answer to question {number} is {random.Random(number).randint(0, 9)}' for number in range(40)]
if not os.path.exists('.git'):
    texts[:CHANGED] = [text.replace('is', 'is not') for text in texts[:CHANGED]]
pathlib.Path('texts.jsonl').write_text(''.join(json.dumps({'text': text}) + chr(10) for text in texts))
pathlib.Path('metrics.json').write_text(json.dumps({'texts': len(texts)}))
"""
PREDICTIONS = """
import json, pathlib, random
count = pathlib.Path('COUNT')
seed = int(count.read_text())
count.write_text(str(seed + 1))
chance = random.Random(seed)
rows = [(number, number % 3 if chance.random() > 0.1 else 9) for number in range(300)]
pathlib.Path('predictions.csv').write_text('id,prediction' + ''.join(f'{chr(10)}{a},{b}' for a, b in rows))
pathlib.Path('metrics.json').write_text(json.dumps({'samples': 300}))
"""
CONTAINER = [pytest.mark.engine, pytest.mark.network]
WHERE = [pytest.param("venv", id="venv"), pytest.param("docker", marks=CONTAINER, id="docker")]


def prepare(small: Any, program: str, configuration: str) -> None:
    count = small.project.parent / "count"
    count.write_text("0")
    (small.project / "evaluate.py").write_text(program.replace("COUNT", str(count)))
    (small.project / "envcap.toml").write_text(f'[evaluation]\ncommand = ["python", "evaluate.py"]\n{configuration}')


def verify(small: Any, engine: str, *words: str) -> Any:
    small.ok("build", "--engine", engine)
    result = small("verify", "--engine", engine, "--json", *words)
    assert result.out, result.err
    return result


def judged(document: Any, name: str) -> Any:
    return next(check for check in document["checks"] if check["name"] == name)


@pytest.mark.parametrize("engine", WHERE)
def test_a_noisy_training_is_equivalent(engine: str, small: Any) -> None:
    prepare(small, TRAINING.replace("SHIFT", "0.0"), 'repeat = 8\nkind = "retraining"\nprimary = "slope"\n')
    assert "not all equal" in small.ok("freeze").out
    result = verify(small, engine, "--repeat", "3")
    assert (result.code, result.document["verdict"]) == (0, "EQUIVALENT"), result.out
    assert result.document["claim"].startswith("the retraining cannot be told from the frozen ones")
    check = judged(result.document, "slope")
    assert "t interval over 8 frozen and 3 new runs" in check["origin"]
    measured = check["measured"]
    assert (len(measured["frozen"]), len(measured["observed"])) == (8, 3)
    assert 0 < measured["detectable"] < 1
    assert check["primary"]
    assert judged(result.document, "epochs")["verdict"] == "IDENTICAL"


@pytest.mark.parametrize("engine", WHERE)
def test_a_noisy_training_with_a_real_shift_is_different(engine: str, small: Any) -> None:
    prepare(small, TRAINING.replace("SHIFT", "0.5"), 'repeat = 8\nkind = "retraining"\nprimary = "slope"\n')
    small.ok("freeze")
    result = verify(small, engine)
    assert (result.code, result.document["verdict"]) == (1, "DIFFERENT"), result.out
    check = judged(result.document, "slope")
    assert check["measured"]["p_value"] < 0.01
    assert "such runs stay within" in check["detail"]


@pytest.mark.parametrize("runs", [1, 2])
def test_too_few_runs_of_a_training_are_inconclusive(runs: int, small: Any) -> None:
    prepare(small, TRAINING.replace("SHIFT", "0.0"), f'repeat = {runs}\nkind = "retraining"\n')
    small.ok("freeze")
    result = verify(small, "venv")
    assert (result.code, result.document["verdict"]) == (4, "INCONCLUSIVE"), result.out
    assert "--repeat" in judged(result.document, "slope")["detail"]


@pytest.mark.parametrize("engine", WHERE)
def test_an_exact_evaluation_is_identical_and_says_what_that_proves(engine: str, small: Any) -> None:
    (small.project / "envcap.toml").write_text(
        '[evaluation]\ncommand = ["python", "evaluate.py"]\nartifacts = ["table.csv"]\nrepeat = 3\nkind = "fixed"\n'
    )
    small.ok("freeze")
    result = verify(small, engine, "--repeat", "2")
    assert (result.code, result.document["verdict"], result.document["runs"]) == (0, "IDENTICAL", 2)
    assert "3 frozen runs were equal, which does not prove" in judged(result.document, "score")["origin"]


STATED = '[tolerance]\n"texts.jsonl" = { agreement = 0.9 }\n'


@pytest.mark.parametrize(
    ("engine", "changed", "tolerance", "verdict"),
    [
        ("venv", 0, "", "IDENTICAL"),
        ("venv", 2, "", "DIFFERENT"),
        ("venv", 2, STATED, "EQUIVALENT"),
        pytest.param("docker", 2, STATED, "EQUIVALENT", marks=CONTAINER),
    ],
)
def test_a_generation(engine: str, changed: int, tolerance: str, verdict: str, small: Any) -> None:
    configuration = 'artifacts = ["texts.jsonl"]\nrepeat = 2\nkind = "generation"\n'
    prepare(small, GENERATION.replace("CHANGED", str(changed)), configuration + tolerance)
    small.ok("freeze")
    result = verify(small, engine)
    assert result.document["verdict"] == verdict, result.out
    assert "the generation" in result.document["claim"]
    if changed:
        assert "38 of 40 texts are equal" in judged(result.document, "texts.jsonl")["detail"]


def test_retrained_predictions_are_judged_by_how_they_agree(small: Any) -> None:
    prepare(small, PREDICTIONS, 'artifacts = ["predictions.csv"]\nrepeat = 8\nkind = "retraining"\n')
    small.ok("freeze")
    check = judged(verify(small, "venv").document, "predictions.csv")
    assert (check["mode"], check["verdict"]) == ("samples", "EQUIVALENT"), json.dumps(check)
    assert len(check["measured"]["frozen"]) == 8


def test_an_unknown_mode_is_refused_by_name(small: Any) -> None:
    (small.project / "envcap.toml").write_text(
        '[evaluation]\ncommand = ["python", "evaluate.py"]\n[tolerance]\nscore = { mode = "close" }\n'
    )
    refused = small("freeze")
    assert refused.code == 2
    assert "tool.envcap" not in refused.err
    assert "tolerance" in refused.err
    assert "close" in refused.err
