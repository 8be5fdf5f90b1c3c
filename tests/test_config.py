"""What a user writes in either file becomes one checked declaration, and what cannot be meant is named."""

from pathlib import Path

import pytest

from envcap.config import (
    ConfigurationTable,
    EvaluationTable,
    Override,
    declare,
    parse_duration,
    parse_size,
    read_configuration,
)
from envcap.errors import WrongUsageError
from envcap.model.evaluation import Declaration, Tolerance

EVALUATION = """\
command = ["python", "evaluate.py"]
metrics = "results/metrics.json"
artifacts = ["b.csv", "a.csv"]
data = ["data"]
repeat = 5
timeout = "30m"
primary = "accuracy"
environment = ["RUN_LABEL"]
"""
WHOLE = f"[evaluation]\n{EVALUATION}\n[tolerance]\naccuracy = {{ absolute = 0.0 }}\nloss = {{ relative = 1e-5 }}\n"
IN_PYPROJECT = WHOLE.replace("[evaluation]", "[tool.envcap.evaluation]").replace(
    "[tolerance]", "[tool.envcap.tolerance]"
)
DECLARED = Declaration(
    command=["python", "evaluate.py"],
    metrics="results/metrics.json",
    artifacts=["a.csv", "b.csv"],
    data=["data"],
    repeat=5,
    timeout=1800.0,
    primary="accuracy",
    environment=["RUN_LABEL"],
    tolerance={"accuracy": Tolerance(absolute=0.0), "loss": Tolerance(relative=1e-5)},
)


def write(project: Path, name: str, text: str) -> Path:
    (project / name).write_text(text, encoding="utf-8")
    return project


def with_command(**changes: object) -> ConfigurationTable:
    return ConfigurationTable(evaluation=EvaluationTable(command=["true"], **changes))  # type: ignore[arg-type]


def test_both_files_say_the_same(tmp_path: Path) -> None:
    own = declare(read_configuration(write(tmp_path, "envcap.toml", WHOLE)), Override())
    (tmp_path / "envcap.toml").unlink()
    shared = declare(read_configuration(write(tmp_path, "pyproject.toml", IN_PYPROJECT)), Override())
    assert own == shared == DECLARED


def test_the_own_file_wins_whole(tmp_path: Path) -> None:
    write(tmp_path, "pyproject.toml", IN_PYPROJECT)
    write(tmp_path, "envcap.toml", '[evaluation]\ncommand = ["true"]\n')
    assert declare(read_configuration(tmp_path), Override()) == Declaration(command=["true"], metrics="metrics.json")


@pytest.mark.parametrize("text", ["", "[project]\nname = 'x'\n", "[tool.other]\nx = 1\n", "tool = 3\n"])
def test_a_project_that_says_nothing_is_no_error(text: str, tmp_path: Path) -> None:
    assert read_configuration(tmp_path) == ConfigurationTable()
    assert read_configuration(write(tmp_path, "pyproject.toml", text)) == ConfigurationTable()


def test_without_a_command_an_example_is_shown() -> None:
    with pytest.raises(WrongUsageError) as wrong:
        declare(ConfigurationTable(), Override())
    assert "envcap freeze -- python evaluate.py" in wrong.value.hint
    assert wrong.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[evaluation]\ncomand = ['x']\n", "comand"),
        ("[tolerance]\nloss = { absolut = 1 }\n", "tolerance"),
        ("[tolerance]\nloss = 0.1\n", "tolerance"),
        ("[evaluation]\ncommand = 'python x.py'\n", "evaluation.command"),
        ("[evaluation]\nrepeat = '3'\n", "evaluation.repeat"),
        ("[evaluation]\nrepeat = true\n", "evaluation.repeat"),
        ("[evaluation]\ntimeout = true\n", "evaluation.timeout"),
        ("[evaluation]\nartifacts = 'x'\n", "evaluation.artifacts"),
        ("colour = 1\n", "colour"),
        ("evaluation = 1\n", "evaluation"),
    ],
)
def test_a_wrong_key_or_type_is_named_with_its_file(text: str, named: str, tmp_path: Path) -> None:
    with pytest.raises(WrongUsageError) as wrong:
        read_configuration(write(tmp_path, "envcap.toml", text))
    assert named in wrong.value.message
    assert "`envcap.toml`" in wrong.value.message


def test_in_pyproject_the_whole_name_of_the_key_is_given(tmp_path: Path) -> None:
    write(tmp_path, "pyproject.toml", "[tool.envcap.evaluation]\nrepeat = 'x'\n")
    with pytest.raises(WrongUsageError, match=r"`tool\.envcap\.evaluation\.repeat`"):
        read_configuration(tmp_path)
    write(tmp_path, "pyproject.toml", "[tool]\nenvcap = 5\n")
    with pytest.raises(WrongUsageError, match=r"`tool\.envcap`"):
        read_configuration(tmp_path)


def test_the_table_names_of_the_other_file_are_hinted_at(tmp_path: Path) -> None:
    with pytest.raises(WrongUsageError) as wrong:
        read_configuration(write(tmp_path, "envcap.toml", IN_PYPROJECT))
    assert "without `tool.envcap`" in wrong.value.hint


@pytest.mark.parametrize("content", [b"= 1", b"\xff\xfe", b"x = " + b"[" * 50_000, b"x = " + b"1" * 5_000])
def test_what_is_no_toml_is_said_so(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "envcap.toml").write_bytes(content)
    with pytest.raises(WrongUsageError, match="is not valid TOML"):
        read_configuration(tmp_path)


def test_the_command_line_wins(tmp_path: Path) -> None:
    configuration = read_configuration(write(tmp_path, "envcap.toml", WHOLE))
    override = Override(
        command=["python", "other.py"],
        metrics="stdout-json",
        artifacts=["c.csv"],
        data=["more"],
        repeat=1,
        timeout="2h",
    )
    declared = declare(configuration, override)
    assert declared == Declaration(
        command=["python", "other.py"],
        metrics="stdout-json",
        artifacts=["c.csv"],
        data=["more"],
        repeat=1,
        timeout=7200.0,
        primary="accuracy",
        environment=["RUN_LABEL"],
        tolerance=DECLARED.tolerance,
    )


def test_outputs_are_named_as_they_will_be_found() -> None:
    declared = declare(
        ConfigurationTable(), Override(command=["true"], artifacts=["./b.csv", "out/", "a//c.csv", "b.csv"])
    )
    assert declared.artifacts == ["a/c.csv", "b.csv", "out"]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("30m", 1800), ("2h", 7200), ("1d", 86400), ("1.5h", 5400), (" 5 m ", 300), ("0.5", 0.5)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


def test_a_duration_may_be_a_number() -> None:
    assert declare(with_command(timeout=90), Override()).timeout == 90.0
    assert declare(with_command(timeout=0.5), Override()).timeout == 0.5


@pytest.mark.parametrize("text", ["", "x", "-1", "0", "0s", "1w", "1h30m", "nan", "inf", "1e9", "५", "1\n1", "9" * 400])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(WrongUsageError, match="is not a duration") as wrong:
        parse_duration(text)
    assert "30m" in wrong.value.hint


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1000", 1000),
        ("1K", 1024),
        ("512M", 512 << 20),
        ("8G", 8 << 30),
        ("1.5GiB", 3 << 29),
        ("2TB", 2 << 40),
        (" 1 b", 1),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "x", "-1", "0", "1X", "G", "nan", "1 2", "५G", "9" * 400])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(WrongUsageError, match="is not a size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"metrics": "/etc/metrics.json"}, "/etc/metrics.json"),
        ({"metrics": "../metrics.json"}, r"\.\./metrics\.json"),
        ({"metrics": ""}, "output ``"),
        ({"metrics": "."}, r"output `\.`"),
        ({"artifacts": ["a/../../b"]}, r"a/\.\./\.\./b"),
        ({"artifacts": [""]}, "output ``"),
        ({"artifacts": ["a\0b"]}, "output"),
        ({"data": [""]}, "cannot name data"),
        ({"repeat": 0}, "repeat"),
        ({"repeat": -3}, "repeat"),
    ],
)
def test_what_cannot_be_meant_is_named(changes: dict[str, object], named: str) -> None:
    with pytest.raises(WrongUsageError, match=named):
        declare(with_command(**changes), Override())


@pytest.mark.parametrize("bound", [-1.0, float("nan"), float("inf")])
def test_a_tolerance_is_a_finite_number(bound: float) -> None:
    for tolerance in (Tolerance(absolute=bound), Tolerance(relative=bound)):
        configuration = ConfigurationTable(evaluation=EvaluationTable(command=["true"]), tolerance={"loss": tolerance})
        with pytest.raises(WrongUsageError, match="tolerance of `loss`"):
            declare(configuration, Override())


def test_a_command_without_words() -> None:
    with pytest.raises(WrongUsageError, match="no first word"):
        declare(ConfigurationTable(), Override(command=[""]))
    with pytest.raises(WrongUsageError, match="NUL"):
        declare(ConfigurationTable(), Override(command=["echo", "\0"]))


@pytest.mark.parametrize(
    "word",
    ["https://user:s3cr3t@example.org/", "x = read('https://example.org/a?token=s3cr3t')", "--from=ftp://s3cr3t@h/"],
)
def test_a_command_with_credentials_is_refused_and_not_shown(word: str) -> None:
    with pytest.raises(WrongUsageError, match="holds an address with credentials") as caught:
        declare(ConfigurationTable(), Override(command=["python", "evaluate.py", word]))
    assert "s3cr3t" not in caught.value.message + caught.value.hint


def test_a_plain_address_in_a_command_is_kept() -> None:
    command = ["python", "evaluate.py", "--data", "https://example.org/data?page=1", "--max-tokens=5"]
    assert declare(ConfigurationTable(), Override(command=command)).command == command
