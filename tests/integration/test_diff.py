"""diff on real locks, the live environment and what the venv engine built, as a user starts it."""

from typing import Any


def subjects(document: Any) -> set[tuple[str, str]]:
    return {(one["area"], one["subject"]) for one in document["differences"]}


def test_a_lock_against_the_live_environment_and_another_lock(small: Any) -> None:
    small.ok("freeze", env={"OMP_NUM_THREADS": "1"})
    same = small("diff", "envcap", "live", "--json", env={"OMP_NUM_THREADS": "1"})
    assert (same.code, subjects(same.document)) == (0, set())
    threads = small("diff", "envcap", env={"OMP_NUM_THREADS": "2"})
    assert threads.code == 1
    assert "settings OMP_NUM_THREADS" in threads.out
    program = small.project / "evaluate.py"
    program.write_text(program.read_text() + "\n")
    small.ok("freeze", "--name", "later", env={"OMP_NUM_THREADS": "1"})
    code = small("diff", "envcap", "later", "--json")
    assert (code.code, subjects(code.document)) == (1, {("code", "archive")})


def test_a_lock_against_what_was_built_from_it(small: Any) -> None:
    small.ok("freeze")
    built = small.ok("build", "--engine", "venv", "--tag", "envcap/diff:1", "--json").document
    assert built["image"]["engine"] == "venv"
    result = small("diff", "envcap", "envcap/diff:1", "--engine", "venv", "--json")
    assert result.code in {0, 1}
    assert {area for area, _ in subjects(result.document)} <= {"system", "python"}
    assert "code" in result.document["not_compared"]


def test_a_side_that_cannot_be_meant(small: Any) -> None:
    small.ok("freeze")
    unknown = small("diff", "envcap", "envcap/nowhere:1", "--engine", "venv")
    assert (unknown.code, unknown.out) == (2, "")
    assert "`envcap/nowhere:1` is neither a lock here nor an image" in unknown.err
    assert small("diff", "absent.toml").code == 2
    assert small("diff").code == 2
