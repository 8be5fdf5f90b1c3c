"""`verify --report` on real runs: after a verdict, after a failure, and after being stopped."""

import json
from pathlib import Path
from typing import Any

FILES = ("verify.html", "verify.json", "verify.xml", "verify.jsonl")


def options(project: Path) -> list[str]:
    return [word for name in FILES for word in ("--report", str(project / name))]


def test_a_verdict_in_every_form(small: Any) -> None:
    small.ok("freeze")
    small.ok("build", "--engine", "venv")
    result = small.ok("verify", "--engine", "venv", "--json", *options(small.project))
    assert json.loads((small.project / "verify.json").read_text()) == result.document
    assert "<h1>IDENTICAL</h1>" in (small.project / "verify.html").read_text()
    assert 'failures="0"' in (small.project / "verify.xml").read_text()
    assert '"result": "PASSED"' in (small.project / "verify.jsonl").read_text()
    assert small("verify", "--engine", "venv", "--require", "identical").code == 0


def test_a_failure_is_reported_too(small: Any) -> None:
    small.ok("freeze")
    result = small("verify", "--engine", "venv", *options(small.project))
    assert result.code == 3
    document = json.loads((small.project / "verify.json").read_text())
    assert document["verdict"] == "NOT-RUN"
    assert "There is no image" in document["reasons"][0]
    assert "<h1>NOT-RUN</h1>" in (small.project / "verify.html").read_text()
    assert 'errors="1"' in (small.project / "verify.xml").read_text()


def test_a_refusal_is_reported_too(small: Any) -> None:
    small.ok("freeze")
    path = small.project / "pylock.envcap.toml"
    path.write_text(path.read_text().replace('name = "envcap"', 'name = "envcup"'))
    assert small("verify", "--engine", "venv", *options(small.project)).code == 5
    assert json.loads((small.project / "verify.json").read_text())["verdict"] == "REFUSED"


def test_being_stopped_is_reported_too(small: Any) -> None:
    program = small.project / "evaluate.py"
    program.write_text(
        "import os, time\nif 'envcap-run-' in os.getcwd():\n    print('inside', flush=True); time.sleep(60)\n"
        + program.read_text()
    )
    small.ok("freeze")
    small.ok("build", "--engine", "venv")
    stopped = small.stop_when("inside", "verify", "--engine", "venv", *options(small.project))
    assert stopped.code == 130
    document = json.loads((small.project / "verify.json").read_text())
    assert (document["verdict"], document["reasons"]) == ("NOT-RUN", ["it was interrupted"])


def test_a_report_that_cannot_be_written_is_told_before_the_run(small: Any) -> None:
    small.ok("freeze")
    small.ok("build", "--engine", "venv")
    kind = small("verify", "--engine", "venv", "--report", "report.pdf")
    assert (kind.code, kind.out) == (2, "")
    assert "`report.pdf` names no kind of report" in kind.err
    folder = small("verify", "--engine", "venv", "--report", "nowhere/report.html")
    assert folder.code == 2
    assert not (small.project / "nowhere").exists()
    assert small("verify", "--engine", "venv", "--require", "luck").code == 2
