"""What `verify --report` writes: the page, JUnit and in-toto, from judgements of every kind."""

import json
from collections.abc import Callable
from html.parser import HTMLParser
from xml.etree import ElementTree

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envcap.model.evaluation import Metric
from envcap.model.gap import Gap
from envcap.model.lock import Lock
from envcap.model.stress import Stressed
from envcap.model.verdict import Check, Finding, Judgement, Measured, Verdict
from envcap.report.html import html_document
from envcap.report.junit import junit_document
from envcap.report.plot import WIDTH, strip_of
from envcap.report.statement import statement_lines

replace = msgspec.structs.replace
Golden = Callable[[str, str], None]


def check(name: str, verdict: Verdict, **more: object) -> Check:
    common = {"kind": "metric", "frozen": "0.93", "observed": "0.94", "tolerance": "±0.01"}
    return Check(name=name, verdict=verdict, **{**common, **more})  # type: ignore[arg-type]


ACCURACY = Measured(frozen=[0.931, 0.937, 0.934], observed=[0.9344], low=0.927, high=0.941)
SAMPLE = Judgement(
    verdict=Verdict.DIFFERENT,
    reasons=["metric `loss`: 0.04 higher than frozen"],
    claim="the retraining cannot be told from the frozen ones",
    checks=[
        check("accuracy", Verdict.EQUIVALENT, primary=True, catches="0.0102", measured=ACCURACY),
        check("loss", Verdict.DIFFERENT, detail="0.04 higher than frozen"),
        check("spread", Verdict.INCONCLUSIVE, detail="too few runs"),
        check("seconds", Verdict.DIFFERENT, judged=False),
        check("samples", Verdict.IDENTICAL),
    ],
    findings=[Finding(where="system", subject="libc", frozen="glibc 2.36", observed="glibc 2.41")],
    gaps=[Gap(where="packages", subject="<script>alert(1)</script>", reason="it was `edited`", consequence="it is so")],
    notes=["the operating system was not rebuilt"],
    engine="docker",
    image="envcap/train:0123456789ab",
    image_digest="sha256:" + "a" * 64,
    lock="9" * 64,
    seconds=12.3,
)
BEFORE_ANY_RUN = Judgement(verdict=Verdict.REFUSED, reasons=["The lock `x` was changed."])


_VOID = {"meta", "br"}  # they have no end


class Page(HTMLParser):
    """Collects what a browser would load or run, and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.loads += [tag for name, _ in attributes if name in {"src", "href", "onload", "onclick", "style"}]
        if tag in {"script", "iframe", "object", "link"}:
            self.loads.append(tag)
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: str) -> Page:
    reader = Page()
    reader.feed(page)
    assert reader.open == []
    return reader


def test_the_page(sample_lock: Lock, check_golden: Golden) -> None:
    page = html_document(SAMPLE, sample_lock, name="train")
    reader = read(page)
    assert reader.loads == []
    assert "DIFFERENT" in reader.text
    assert "<script>alert(1)</script>" in reader.text  # as text
    assert "<code>loss</code>" in page
    assert "pylock.train.toml" in reader.text
    check_golden("report.html", page)


def test_the_page_of_what_never_ran() -> None:
    reader = read(html_document(BEFORE_ANY_RUN, None, name="envcap"))
    assert "REFUSED" in reader.text
    assert "the run did not come that far" in reader.text


@given(st.text(), st.text())
def test_no_name_becomes_markup(name: str, reason: str) -> None:
    judgement = replace(SAMPLE, reasons=[reason], checks=[check(name, Verdict.DIFFERENT, detail=reason, frozen=name)])
    assert read(html_document(judgement, None, name="envcap")).loads == []


def test_junit(check_golden: Golden) -> None:
    text = junit_document(SAMPLE, name="train")
    suite = ElementTree.fromstring(text).find("testsuite")  # noqa: S314  (our own text)
    assert suite is not None
    counts = {word: suite.get(word) for word in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "5", "failures": "1", "errors": "0", "skipped": "1"}
    check_golden("report.xml", text)


def test_junit_of_what_never_ran() -> None:
    suite = ElementTree.fromstring(junit_document(BEFORE_ANY_RUN, name="envcap")).find("testsuite")  # noqa: S314
    assert suite is not None
    assert (suite.get("tests"), suite.get("errors")) == ("1", "1")


def test_junit_tells_what_stress_showed() -> None:
    stressed = [
        Stressed(name="hash seed", setting="4242", outcome="changes the result", detail="`loss`: 0.1 higher"),
        Stressed(name="locale", setting="tr_TR.UTF-8", outcome="no change", detail=""),
        Stressed(name="user", setting="", outcome="not exercised", detail="the engine cannot"),
    ]
    judgement = replace(SAMPLE, checks=[SAMPLE.checks[0]], stressed=stressed)
    suite = ElementTree.fromstring(junit_document(judgement, name="train")).find("testsuite")  # noqa: S314
    assert suite is not None
    cases = {case.get("name"): [child.tag for child in case] for case in suite.findall("testcase")}
    assert cases == {
        "accuracy": ["system-out"],
        "stress: hash seed": ["failure", "system-out"],
        "stress: locale": ["system-out"],
        "stress: user": ["skipped", "system-out"],
    }
    assert suite.findtext("testcase[@name='stress: locale']/system-out") == "set to tr_TR.UTF-8; no change"


@given(st.text(), st.text())
def test_junit_stays_xml(name: str, detail: str) -> None:
    judgement = replace(SAMPLE, checks=[check(name, Verdict.DIFFERENT, detail=detail)])
    ElementTree.fromstring(junit_document(judgement, name="envcap"))  # noqa: S314


def test_statements(sample_lock: Lock) -> None:
    portable, own = map(json.loads, statement_lines(SAMPLE, sample_lock).splitlines())
    subject = [{"name": "envcap/train:0123456789ab", "digest": {"sha256": "a" * 64}}]
    assert portable["subject"] == own["subject"] == subject
    assert portable["predicate"]["result"] == "FAILED"
    assert portable["predicate"]["passedTests"] == ["accuracy", "samples"]
    assert portable["predicate"]["warnedTests"] == ["spread"]
    assert portable["predicate"]["failedTests"] == ["loss"]
    assert own["predicate"]["judgement"]["lock"] == "9" * 64
    assert own["predicate"]["frozenHardware"]["cpu"] == sample_lock.hardware.cpu
    assert own["predicate"]["verifierHardware"] is None
    elsewhere = replace(SAMPLE, hardware=sample_lock.hardware, started="2026-01-02T03:04:05Z", verifier="envcap 1")
    told = json.loads(statement_lines(elsewhere, sample_lock).splitlines()[1])["predicate"]
    assert (told["verifierHardware"]["cpu"], told["verifiedOn"]) == (sample_lock.hardware.cpu, "2026-01-02T03:04:05Z")


def test_a_statement_is_about_something() -> None:
    assert statement_lines(BEFORE_ANY_RUN, None) == ""
    by_lock = json.loads(statement_lines(replace(SAMPLE, image_digest="an-environment"), None).splitlines()[0])
    assert by_lock["subject"] == [{"name": "pylock", "digest": {"sha256": "9" * 64}}]


def test_an_undecided_result_has_not_passed() -> None:
    line = statement_lines(replace(SAMPLE, verdict=Verdict.INCONCLUSIVE), None).splitlines()[0]
    assert json.loads(line)["predicate"]["result"] == "FAILED"


NUMBERS = st.floats() | st.integers() | st.booleans() | st.text(max_size=3)


@given(st.lists(NUMBERS, max_size=6), st.lists(NUMBERS, max_size=3), st.none() | st.floats(), st.none() | st.floats())
def test_every_dot_is_on_the_drawing(
    frozen: list[Metric], observed: list[Metric], low: float | None, high: float | None
) -> None:
    strip = strip_of("x", Measured(frozen=frozen, observed=observed, low=low, high=high))
    if strip is None:
        return
    for dot in strip.dots:
        assert 0 <= dot.x <= WIDTH
        assert 0 <= dot.y <= 48


@pytest.mark.parametrize(
    ("low", "high", "open_ends", "bounds"),
    [(0.9, 0.95, "", 2), (0.9, None, "right", 1), (None, 0.95, "left", 1), (1.0, 1.0, "", 1)],
)
def test_a_tolerance_is_drawn_to_the_edge_where_it_has_no_end(
    low: float | None, high: float | None, open_ends: str, bounds: int
) -> None:
    strip = strip_of("x", Measured(frozen=[0.93], observed=[0.94], low=low, high=high))
    assert strip is not None
    assert strip.band is not None
    left, width = strip.band
    assert (left == 0, left + width == WIDTH) == (open_ends == "left", open_ends == "right")
    assert len(strip.bounds) == bounds
    assert "tolerance " in strip.summary


def test_without_a_bound_there_is_no_band() -> None:
    strip = strip_of("x", Measured(frozen=[0.93], observed=[0.94]))
    assert strip is not None
    assert (strip.band, strip.bounds) == (None, [])


def test_equal_runs_can_be_counted() -> None:
    strip = strip_of("x", Measured(frozen=[1, 1, 1], observed=[1]))
    assert strip is not None
    assert len({(dot.x, dot.y) for dot in strip.dots}) == 4
    assert strip.high_label == ""
