"""The README must not drift from the program: its help is the real help, its options exist."""

import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
HELP = ROOT / "envcap" / "help.txt"

VERBS = ("freeze", "build", "verify", "diff", "bisect", "upgrade", "show", "export", "pack", "cache", "doctor")


@cache
def help_of(*words: str) -> str:
    environ = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb"}
    command = [sys.executable, "-m", "envcap", *words, "--help"]
    text = subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout
    # Started as a module, the program is called `python -m envcap`.
    return "\n".join(line.rstrip() for line in text.strip().splitlines()).replace("python -m envcap", "envcap")


def test_the_help_in_the_readme_is_the_help() -> None:
    assert f"$ envcap --help\n{help_of()}\n```" in README


def test_the_help_that_is_kept_is_the_parsers(request: pytest.FixtureRequest) -> None:
    """It is shown without the parser, which takes longer to import than all else takes."""
    script = "import sys; sys.argv = ['envcap', '--help']; from envcap import cli; cli.main()"
    environ = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb"}
    said = subprocess.run(
        [sys.executable, "-c", script], env=environ, capture_output=True, text=True, check=True
    ).stdout
    text = "\n".join(line.rstrip() for line in said.strip().splitlines())
    if request.config.getoption("--update-golden"):
        HELP.write_text(text)
    assert HELP.read_text() == text
    assert help_of() == text


def test_every_option_that_is_documented_exists() -> None:
    known = set(re.findall(r"--[a-z-]+", help_of() + "".join(map(help_of, VERBS))))
    # those of pip, of uv, of docker, and of the bench
    elsewhere = {
        "--no-deps",
        "--require-hashes",
        "--generate-hashes",
        "--offline",
        "--init",
        "--slow",
        "--cold",
        "--size",
        "--rounds",
        "--group",
    }
    told = "\n".join([README, *(path.read_text() for path in sorted((ROOT / "docs").glob("*.md")))])
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", told)) - known - elsewhere == set()
    linked = set(re.findall(r"\]\((docs/[^)#]+)", README))
    assert {path for path in linked if not (ROOT / path).exists()} == set()


def test_every_option_names_its_variable() -> None:
    for verb in VERBS:
        text = " ".join(help_of(verb).split())
        for option in set(re.findall(r" (--[a-z-]+) ", text)) - {"--help"}:
            assert f"ENVCAP_{option[2:].replace('-', '_').upper()}" in text, (verb, option)


def test_every_exit_code_is_documented() -> None:
    text = " ".join(help_of().split())
    for code in (0, 1, 2, 3, 4, 5, 70, 130):
        assert re.search(rf"\| {code} \|", README)
        assert re.search(rf"\b{code} [a-z]", text)
