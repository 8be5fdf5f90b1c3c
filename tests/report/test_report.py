"""What people and programs are shown: golden files that a reviewer reads, and no name that steers a terminal."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envcap.compare import number
from envcap.compare.causes import rank_causes, with_trials
from envcap.compare.clues import Clue
from envcap.compare.conclusion import conclude
from envcap.compare.decision import Setting
from envcap.compare.wording import claim_of
from envcap.errors import NotRunError
from envcap.model.cause import Trial
from envcap.model.evaluation import Metric, Tolerance
from envcap.model.gap import Gap
from envcap.model.image import Image
from envcap.model.lock import Lock
from envcap.model.progress import Progress
from envcap.model.verdict import Check, Finding, Judgement, Verdict
from envcap.render.context import render
from envcap.report.console import Talk, printable, show_result
from envcap.report.document import build_document, error_document, freeze_document, judgement_document
from envcap.report.text import describe_build, describe_freeze, describe_judgement

replace = msgspec.structs.replace
Golden = Callable[[str, str], None]
SHA256 = "9" * 64
ACCURACIES: list[Metric] = [0.9165, 0.9235, 0.92, 0.918, 0.9225]
LOSSES: list[Metric] = [0.21, 0.35, 0.26, 0.3, 0.24]
CAUSES = rank_causes(
    [
        Clue("blas", 50, "`libscipy_openblas64_` kernel: frozen SkylakeX, inside Haswell"),
        Clue("threads", 30, "hardware `cores`: frozen 8, inside 2"),
        Clue("hash seed", 20, "`train.py line 3` uses a set"),
        Clue("listing", 15, "`train.py line 9` uses listdir"),
    ]
)
TRIALS = [
    Trial(suspect="randomness", knob="nothing", outcome="no change", detail="the same run again gave the same", runs=1),
    Trial(suspect="blas", knob="k", outcome="not applied", detail="OPENBLAS_CORETYPE=SkylakeX has no effect", runs=0),
    Trial(
        suspect="threads", knob="t", outcome="confirmed", detail="with 8 threads the frozen outputs came back", runs=1
    ),
    Trial(suspect="hash seed", knob="h", outcome="no change", detail="PYTHONHASHSEED=0 and =1 agree", runs=2),
]
CAUSES = with_trials(CAUSES, TRIALS)
NOTE = "the operating-system layer was not rebuilt"


def judge_metric(name: str, frozen: list[Metric], observed: Metric | None, tolerance: Tolerance | None) -> Check:
    return number.judge_metric(name, frozen, [observed], tolerance)


def artifact_check(verdict: Verdict, detail: str = "", catches: str = "any change") -> Check:
    return Check(
        name="results/predictions.csv",
        kind="artifact",
        frozen="eeeeeeeeeeee… 42 bytes",
        observed="eeeeeeeeeeee… 42 bytes" if verdict is Verdict.IDENTICAL else "dddddddddddd… 43 bytes",
        tolerance="equal",
        verdict=verdict,
        detail=detail,
        catches=catches,
    )


def judgement(checks: list[Check], findings: list[Finding] | None = None, **more: Any) -> Judgement:
    verdict, reasons = conclude(checks, findings or [])
    return Judgement(
        verdict=verdict,
        reasons=reasons,
        claim=claim_of(more.get("kind", "fixed"), verdict),
        checks=checks,
        findings=findings or [],
        engine="docker",
        image="envcap/train:999999999999",
        lock=SHA256,
        seconds=12.345,
        **more,
    )


def judgements(lock: Lock) -> dict[str, Judgement]:
    seconds = judge_metric("seconds", [1.5, 1.25], 9.0, Tolerance(ignore=True))
    release = Finding(where="system", subject="release", frozen="debian 12", observed="debian 13")
    another = Finding(where="packages", subject="alpha", frozen="1.0", observed="1.1", fatal=True)
    return {
        "identical": judgement(
            [judge_metric("accuracy", [0.91, 0.91], 0.91, None), artifact_check(Verdict.IDENTICAL), seconds]
        ),
        "equivalent": judgement(
            [
                judge_metric("accuracy", [0.91, 0.91], 0.91, None),
                judge_metric("loss", [0.25], 0.250001, Tolerance(relative=1e-5)),
                artifact_check(Verdict.EQUIVALENT, "the bytes differ, every value is the same"),
            ],
            [release],
            gaps=lock.gaps,
            notes=[NOTE],
        ),
        "different": judgement(
            [
                judge_metric("accuracy", [0.91, 0.91], 0.87, None),
                judge_metric("loss", [0.25], math.nan, Tolerance(absolute=0.1)),
                judge_metric("new", [], 1, None),
                judge_metric("gone", ["yes"], None, None),
                artifact_check(
                    Verdict.DIFFERENT, "3 of 8 cells differ, by at most 0.5; first row 1, column value: 1.0 became 1.5"
                ),
            ],
            gaps=lock.gaps,
            causes=CAUSES,
            trials=TRIALS,
        ),
        "retrained": judgement(
            [
                number.judge_metric(
                    "accuracy", ACCURACIES, [0.9172, 0.9215], Tolerance(samples=2000), Setting(primary=True)
                ),
                number.judge_metric("loss", LOSSES, [0.272, 0.268], None, Setting(gates=False)),
                number.judge_metric("epochs", [20] * 5, [20, 20], None),
            ],
            kind="retraining",
            runs=2,
        ),
        "inconclusive": judgement(
            [judge_metric("accuracy", [0.91, 0.93], 0.92, None)],
            notes=[NOTE],
            causes=rank_causes([Clue("randomness", 45, "runs of one side differ among themselves in `accuracy`")]),
        ),
        "refused": judgement([judge_metric("accuracy", [0.91], 0.91, None)], [another]),
    }


CASES = ["identical", "equivalent", "retrained", "different", "inconclusive", "refused"]


# What a reviewer reads


@pytest.mark.parametrize("case", CASES)
def test_a_judgement_as_text(case: str, sample_lock: Lock, check_golden: Golden) -> None:
    check_golden(f"verify-{case}.txt", describe_judgement(judgements(sample_lock)[case], sample_lock) + "\n")


@pytest.mark.parametrize("case", ["identical", "retrained", "different"])
def test_a_judgement_as_a_document(case: str, sample_lock: Lock, check_golden: Golden) -> None:
    check_golden(f"verify-{case}.json", judgement_document(judgements(sample_lock)[case]) + "\n")


def test_a_freeze_as_text(sample_lock: Lock, check_golden: Golden) -> None:
    check_golden("freeze.txt", describe_freeze(sample_lock, Path("pylock.train.toml"), SHA256) + "\n")


def test_a_build_as_text(sample_lock: Lock, check_golden: Golden) -> None:
    context = render(sample_lock, lock_sha256=SHA256, needs_base=True)
    image = Image(engine="docker", reference=context.tag, identity="sha256:1", lock_sha256=SHA256, size=1_234_567_890)
    image = msgspec.structs.replace(image, pushed=f"registry.example.org/train@sha256:{SHA256}")
    built = describe_build(sample_lock, context, image, None)
    written = describe_build(sample_lock, context, None, Path("out"))
    check_golden("build.txt", f"{built}\n\n{written}\n")


def test_what_another_build_will_give_is_told_as_it_is_known(sample_lock: Lock) -> None:
    context = render(sample_lock, lock_sha256=SHA256, needs_base=True)
    image = Image(engine="docker", reference=context.tag, identity="sha256:1", lock_sha256=SHA256, builder="BuildKit")
    cases: list[tuple[dict[str, Any], str]] = [
        ({"promise": "bit for bit", "digest_of": "manifest"}, "bit for bit: sha256:1 (manifest) from BuildKit"),
        ({"promise": "same content"}, "in content: its layers, but not its date; built by BuildKit"),
        ({"unproven": ["the script of `x`", "y"]}, "not promised: the script of `x`, y ran; built by BuildKit"),
        ({"note": "install buildx"}, "note            install buildx"),
    ]
    for changes, words in cases:
        assert words in describe_build(sample_lock, context, msgspec.structs.replace(image, **changes), None)
    assert "the same again" not in describe_build(sample_lock, context, image, None)


# What programs read


@pytest.mark.parametrize("case", CASES)
def test_a_document_holds_what_the_text_says(case: str, sample_lock: Lock) -> None:
    judged = judgements(sample_lock)[case]
    document = json.loads(judgement_document(judged))
    assert document["format"] == 1
    assert document["verdict"] == judged.verdict.value
    assert document["exit-code"] == judged.verdict.exit_code
    assert [check["name"] for check in document["checks"]] == [check.name for check in judged.checks]
    assert document["lock"] == SHA256
    assert [gap["subject"] for gap in document["gaps"]] == [gap.subject for gap in judged.gaps]


def test_the_other_documents(sample_lock: Lock) -> None:
    frozen = json.loads(freeze_document(sample_lock, Path("/p/pylock.train.toml"), SHA256))
    assert frozen["lock"] == {"path": "/p/pylock.train.toml", "sha256": SHA256}
    assert [package["name"] for package in frozen["frozen"]["packages"]] == ["alpha", "beta-tools"]
    context = render(sample_lock, lock_sha256=SHA256, needs_base=True)
    built = json.loads(build_document(sample_lock, context, None, Path("/out")))
    assert built["written"]["folder"] == "/out"
    assert built["written"]["files"][0] == "Dockerfile"
    assert (built["image"], len(built["gaps"])) == (None, 1)
    failed = json.loads(error_document(NotRunError("It failed.", hint="Try again."), exit_code=3))
    assert failed == {"format": 1, "error": {"message": "It failed.", "hint": "Try again."}, "exit-code": 3}


def test_nan_and_infinities_are_told_in_a_document(sample_lock: Lock) -> None:
    metrics: dict[str, bool | int | float | str] = {"nan": math.nan, "up": math.inf, "down": -math.inf}
    lock = replace(sample_lock, runs=[replace(sample_lock.runs[0], metrics=metrics)])
    document = json.loads(freeze_document(lock, Path("x"), SHA256), parse_constant=pytest.fail)
    assert document["frozen"]["runs"][0]["metrics"] == {"nan": "nan", "up": "inf", "down": "-inf"}


# What strangers wrote

HOSTILE = "\x1b[2J\x07\r\x08\x9b31m\u202e\u2028\u2066\x85\x7fIDENTICAL\nIDENTICAL: all is well"
STEERING = set("\x1b\x07\r\x08\x9b\u202e\u2028\u2066\x85\x7f")


def hostile_lock(lock: Lock, text: str) -> Lock:
    """Give the lock with `text` in every place where a stranger's words may stand."""
    run = lock.runs[0]
    return replace(
        lock,
        gaps=[Gap(where=text, subject=text, reason=text, consequence=text)],
        hardware=replace(lock.hardware, cpu=text, gpus=[replace(lock.hardware.gpus[0], name=text)]),
        system=replace(lock.system, distribution=text, version=text, libc=text),
        python=replace(lock.python, kind=text, implementation=text),
        code=replace(lock.code, commit=text),
        data=[replace(lock.data[0], path=text)],
        runs=[replace(run, metrics={text: text, "accuracy": 0.91})],
    )


def hostile_judgement(text: str) -> Judgement:
    check = Check(
        name=text,
        kind=text,
        frozen=text,
        observed=text,
        tolerance=text,
        verdict=Verdict.EQUIVALENT,
        detail=text,
        catches=text,
    )
    return Judgement(
        verdict=Verdict.EQUIVALENT,
        reasons=[text, text],
        checks=[check],
        findings=[Finding(where=text, subject=text, frozen=text, observed=text)],
        gaps=[Gap(where=text, subject=text, reason=text, consequence=text)],
        notes=[text],
        engine=text,
        image=text,
        lock=text,
    )


def all_texts(lock: Lock, text: str) -> list[str]:
    hostile = hostile_lock(lock, text)
    context = render(lock, lock_sha256=SHA256, needs_base=True)
    image = Image(engine=text, reference=text, identity=text, lock_sha256=SHA256)
    return [
        describe_freeze(hostile, Path("x"), SHA256),
        describe_build(hostile, context, image, None),
        describe_build(hostile, context, None, Path("x")),
        describe_judgement(hostile_judgement(text), hostile),
    ]


def all_documents(lock: Lock, text: str) -> list[str]:
    hostile = hostile_lock(lock, text)
    context = render(lock, lock_sha256=SHA256, needs_base=True)
    image = Image(engine=text, reference=text, identity=text, lock_sha256=SHA256)
    return [
        freeze_document(hostile, Path("x"), SHA256),
        build_document(hostile, context, image, None),
        judgement_document(hostile_judgement(text)),
        error_document(NotRunError(text, hint=text), exit_code=3),
    ]


def test_no_hostile_text_steers_a_terminal_or_forges_a_line(sample_lock: Lock) -> None:
    plain = all_texts(sample_lock, "x" * len(HOSTILE))
    for shown, expected in zip(all_texts(sample_lock, HOSTILE), plain, strict=True):
        assert STEERING.isdisjoint(shown)
        assert not any(line.startswith("IDENTICAL") for line in shown.splitlines())
        assert len(shown.splitlines()) <= len(expected.splitlines()) + 2  # a table may fold at other places


@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_any_text_is_shown_in_printable_lines(text: str, sample_lock: Lock) -> None:
    for shown in all_texts(sample_lock, text):
        assert all(character.isprintable() or character == "\n" for character in shown)


@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_any_text_comes_back_from_a_document_that_is_printable(text: str, sample_lock: Lock) -> None:
    for document in all_documents(sample_lock, text):
        assert all(character.isprintable() or character == "\n" for character in document)
        assert json.dumps(text)[1:-1] in json.dumps(json.loads(document))


def test_markup_is_shown_as_it_is(sample_lock: Lock) -> None:
    for text in ("[bold]x[/bold]", "[/]", ":smile:", "[link=https://example.org]x[/link]", "\\[x]"):
        assert text in describe_judgement(hostile_judgement(text), sample_lock)


def test_many_gaps_are_cut_and_counted(sample_lock: Lock) -> None:
    gaps = [Gap(where="code", subject=f"file {number}", reason="r", consequence="c") for number in range(30)]
    text = describe_freeze(replace(sample_lock, gaps=gaps), Path("x"), SHA256)
    assert "Gaps: 30 things" in text
    assert "and 18 more" in text
    assert "Gaps: none" in describe_freeze(replace(sample_lock, gaps=[]), Path("x"), SHA256)


# The console


def test_results_go_to_one_stream_and_talk_to_the_other(capsys: pytest.CaptureFixture[str]) -> None:
    with Talk() as talk:
        talk.tell(Progress(kind="step", text="a step"))
        talk.tell(Progress(kind="output", text="\x1b[31mred [bold]"))
        talk.tell(Progress(kind="notice", text="look"))
        talk.tell(Progress(kind="count", text="counting", done=3, total=3))
        talk.error(NotRunError("It failed.\n  the last line", hint="Try again."))
    show_result("the result")
    said = capsys.readouterr()
    assert said.out == "the result\n"
    assert said.err.splitlines() == [
        "• a step",
        "  │  [31mred [bold]",
        "! look",
        "  counting (3/3)",
        "error: It failed.",
        "  the last line",
        "",
        "hint: Try again.",
    ]


def test_a_quiet_console_says_errors_only(capsys: pytest.CaptureFixture[str]) -> None:
    with Talk(quiet=True) as talk:
        talk.tell(Progress(kind="step", text="a step"))
        talk.error(NotRunError("It failed."))
    assert capsys.readouterr().err == "error: It failed.\n"


@given(text=st.text())
def test_printable_text_steers_no_terminal(text: str) -> None:
    shown = printable(text)
    assert len(shown) == len(text)
    assert all(character.isprintable() or character in "\n\t" for character in shown)
