"""`verify --report` on real runs: after a verdict, after a failure, and after being stopped."""

import hashlib
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
    document = json.loads((small.project / "verify.json").read_text())
    assert (document["verdict"], document["lock"]) == ("REFUSED", hashlib.sha256(path.read_bytes()).hexdigest())
    assert "REFUSED" in (small.project / "verify.jsonl").read_text()
    path.unlink()
    nothing = small("verify", "--engine", "venv", *options(small.project))
    assert nothing.code == 2
    assert "there is no statement in the `.jsonl` report" in nothing.err
    assert (small.project / "verify.jsonl").read_text() == ""
    assert json.loads((small.project / "verify.json").read_text())["verdict"] == "NOT-RUN"


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


def test_what_was_finished_before_is_in_the_report(small: Any) -> None:
    """The second run is stopped: lock, environment, hardware and the first run are known, a statement is about them."""
    program = small.project / "evaluate.py"
    counter = small.project.parent / "counter"
    program.write_text(
        "import os, pathlib, time\n"
        f"counter = pathlib.Path({str(counter)!r})\n"
        "if 'envcap-run-' in os.getcwd():\n"
        "    counter.write_text(counter.read_text() + 'x' if counter.exists() else 'x')\n"
        "    if counter.read_text() == 'xx': print('second', flush=True); time.sleep(60)\n" + program.read_text()
    )
    small.ok("freeze")
    small.ok("build", "--engine", "venv")
    for name in FILES:
        (small.project / name).write_text("PASSED by an earlier run")
    stopped = small.stop_when("second", "verify", "--engine", "venv", "--repeat", "3", *options(small.project))
    assert stopped.code == 130
    document = json.loads((small.project / "verify.json").read_text())
    assert document["reasons"] == ["it was interrupted", "until then 1 runs had ended, and are judged below"]
    assert [check["verdict"] for check in document["checks"]] == ["IDENTICAL"] * 3
    assert (document["runs"], document["hardware"]["cores"] > 0, len(document["lock"])) == (1, True, 64)
    assert document["options"] == ["--engine", "venv", "--repeat", "3"]
    for line in (small.project / "verify.jsonl").read_text().splitlines():
        assert json.loads(line)["subject"][0]["digest"]["sha256"] == document["lock"]
    assert '"result": "FAILED"' in (small.project / "verify.jsonl").read_text()
    page = (small.project / "verify.html").read_text()
    assert "none was read" not in page
    assert "envcap verify --engine venv --repeat 3" in page


def test_a_report_that_becomes_unwritable_does_not_cost_the_verdict(small: Any) -> None:
    folder = small.project.parent / "reports"
    folder.mkdir()
    program = small.project / "evaluate.py"
    program.write_text(
        "import os, shutil\n"
        f"if 'envcap-run-' in os.getcwd(): shutil.rmtree({str(folder)!r}); open({str(folder)!r}, 'w').close()\n"
        + program.read_text()
    )
    small.ok("freeze")
    small.ok("build", "--engine", "venv")
    result = small("verify", "--engine", "venv", "--json", "--report", str(folder / "verify.json"))
    assert (result.code, result.document["verdict"]) == (3, "IDENTICAL")
    assert "The report cannot be written" in result.err


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
