"""What indexes said, remembered: correct when files are damaged, clocks are wrong, and several processes write."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envcap.pins.answers import Answer, Answers
from envcap.pins.pages import Offer, Wanted
from envcap.store import Store

DEMO = Wanted(name="demo", version="1.0")
INDEX = "https://i.example.org/simple/"
WHEEL = Offer(
    filename="demo-1.0-py3-none-any.whl", url="https://f.example.org/d/demo-1.0-py3-none-any.whl", sha256="a" * 64
)
DAY = 86400.0


def said(*offers: Offer, ago: float = 0.0, status: int = 200) -> Answer:
    return Answer(offers=list(offers), status=status, asked_at=time.time() - ago)


@pytest.fixture
def answers(tmp_path: Path) -> Answers:
    return Answers(tmp_path / "answers")


def test_an_answer_is_recalled_for_its_index_and_release_alone(answers: Answers) -> None:
    assert answers.recall(INDEX, DEMO) is None
    answer = said(WHEEL)
    answers.remember(INDEX, DEMO, answer)
    assert answers.recall(INDEX.rstrip("/"), DEMO) == answer
    assert answers.recall("https://user:c4n4ry@i.example.org/simple", DEMO, within=DAY) == answer
    assert answers.recall("https://other.example.org/simple", DEMO) is None
    assert answers.recall(INDEX, Wanted(name="demo", version="1.0.0")) is None
    assert answers.recall(INDEX, Wanted(name="demo2", version="1.0")) is None


@pytest.mark.parametrize(
    ("ago", "within", "believed"), [(5, 10, True), (15, 10, False), (15, None, True), (-15, 10, False)]
)
def test_an_answer_is_believed_as_long_as_the_caller_wants(
    answers: Answers, ago: float, within: float | None, *, believed: bool
) -> None:
    answers.remember(INDEX, DEMO, said(WHEEL, ago=ago))
    assert (answers.recall(INDEX, DEMO, within=within) is not None) is believed


def test_that_there_is_no_such_project_is_an_answer_too(answers: Answers) -> None:
    answers.remember(INDEX, DEMO, said(status=404))
    held = answers.recall(INDEX, DEMO)
    assert held is not None
    assert (held.status, held.offers) == (404, [])


@given(position=st.integers(min_value=0), value=st.integers(0, 255), cut=st.booleans())
def test_a_damaged_file_says_nothing(
    tmp_path_factory: pytest.TempPathFactory, position: int, value: int, *, cut: bool
) -> None:
    folder = tmp_path_factory.mktemp("answers")
    answers = Answers(folder)
    answer = said(WHEEL)
    answers.remember(INDEX, DEMO, answer)
    (file,) = folder.iterdir()
    content = bytearray(file.read_bytes())
    position %= len(content)
    changed = bytes(content[:position]) if cut else bytes([*content[:position], value, *content[position + 1 :]])
    file.write_bytes(changed)
    assert answers.recall(INDEX, DEMO) == (answer if changed == bytes(content) else None)


@pytest.mark.parametrize("content", [b"", b"x" * 200])
def test_what_another_version_wrote_says_nothing(answers: Answers, tmp_path: Path, content: bytes) -> None:
    import hashlib

    answers.remember(INDEX, DEMO, said(WHEEL))
    (file,) = (tmp_path / "answers").iterdir()
    for body in (content, b'{"index":"x"}', b"\xff"):
        file.write_bytes(hashlib.sha256(body).hexdigest().encode() + body)
        assert answers.recall(INDEX, DEMO) is None


def test_an_answer_with_a_secret_is_not_kept(answers: Answers, tmp_path: Path) -> None:
    for url in (
        "https://u:c4n4ry@f.example.org/x.whl",
        "https://f.example.org/x.whl?sig=c4n4ry",
        "https://f.example.org/t/c4n4ry/x.whl",
        "https://f.example.org/x7Qpc4n4ry9Zk2Wd4Rt8/x.whl",
    ):
        answers.remember(INDEX, DEMO, said(Offer(filename="x.whl", url=url)))
    assert not (tmp_path / "answers").exists()
    answers.remember("https://u:c4n4ry@i.example.org/simple", DEMO, said(WHEEL))
    (file,) = (tmp_path / "answers").iterdir()
    assert b"c4n4ry" not in file.read_bytes()
    assert file.stat().st_mode & 0o077 == 0


def test_what_cannot_be_written_is_not_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    answers = Answers(tmp_path / "file" / "answers")
    answers.remember(INDEX, DEMO, said(WHEEL))
    assert answers.recall(INDEX, DEMO) is None


def test_it_lies_beside_the_downloaded_files(tmp_path: Path) -> None:
    Answers.beside(Store(tmp_path / "files")).remember(INDEX, DEMO, said(WHEEL))
    assert len(list((tmp_path / "answers").iterdir())) == 1


WRITER = """
import sys, time
from pathlib import Path
from envcap.pins.answers import Answer, Answers
from envcap.pins.pages import Offer, Wanted
answers = Answers(Path(sys.argv[1]))
release = Wanted(name="demo", version="1.0")
for number in range(300):
    offers = [Offer(filename=f"{sys.argv[2]}{number}.whl", url="https://f.example.org/x.whl")] * (number % 7 + 1)
    answers.remember("https://i.example.org/simple", release, Answer(offers=offers, asked_at=time.time()))
    held = answers.recall("https://i.example.org/simple", release)
    assert held is not None and len({offer.filename for offer in held.offers}) == 1
"""


def test_two_processes_write_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path / "answers")]
    writers = [subprocess.Popen([*command, name], stderr=subprocess.PIPE) for name in "ab"]
    assert [writer.communicate()[1] for writer in writers] == [b"", b""]
    assert len(list((tmp_path / "answers").iterdir())) == 1  # and nothing half-written is left
