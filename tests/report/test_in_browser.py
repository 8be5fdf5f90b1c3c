"""The page in a real browser: in light and in dark, with nothing loaded and nothing run."""

import shutil
import subprocess
import zlib
from pathlib import Path

import pytest

from envcap.model.lock import Lock
from envcap.model.verdict import Check, Judgement, Measured, Verdict
from envcap.report.html import html_document

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
LIGHT, DARK = (0xFF, 0xFF, 0xFF), (0x14, 0x17, 0x1B)  # `--paper` of the template

JUDGEMENT = Judgement(
    verdict=Verdict.EQUIVALENT,
    reasons=["the one output is within tolerance"],
    checks=[
        Check(
            name="<script>document.title='run'</script>",
            kind="metric",
            frozen="0.93",
            observed="0.94",
            tolerance="±0.02",
            verdict=Verdict.EQUIVALENT,
            measured=Measured(frozen=[0.93, 0.931], observed=[0.94], low=0.91, high=0.95),
        )
    ],
    engine="docker",
    image="envcap/train:1",
    lock="9" * 64,
)


@pytest.fixture(scope="module")
def browser() -> str:
    programs = [shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome")]
    program = next(filter(None, programs), None)
    assert program is not None, "`make browser` installs Chromium"
    return program


@pytest.fixture
def page(tmp_path: Path, sample_lock: Lock) -> Path:
    path = tmp_path / "report.html"
    path.write_text(html_document(JUDGEMENT, sample_lock, name="train"), encoding="utf-8")
    return path


def start(browser: str, page: Path, *options: str) -> str:
    command = [browser, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={page.parent}/profile"]
    done = subprocess.run([*command, *options, page.as_uri()], capture_output=True, text=True, check=True, timeout=120)
    return done.stdout


def test_a_browser_reads_the_page_as_it_was_meant(browser: str, page: Path) -> None:
    tree = start(browser, page, "--dump-dom")
    assert "<title>EQUIVALENT: train verified by envcap</title>" in tree  # no name was run as a script
    assert tree.count("<circle") == 3
    assert tree.count("<rect") == 1
    assert "<script" not in tree


@pytest.mark.parametrize(("options", "paper"), [((), LIGHT), (("--force-dark-mode",), DARK)], ids=["light", "dark"])
def test_the_paper_follows_the_readers_choice(
    options: tuple[str, ...], paper: tuple[int, int, int], browser: str, page: Path
) -> None:
    picture = page.with_name("page.png")
    start(browser, page, *options, "--window-size=900,1400", f"--screenshot={picture}")
    assert first_pixel(picture.read_bytes()) == paper


def first_pixel(png: bytes) -> tuple[int, int, int]:
    """Give the colour in the upper left corner (PNG specification: no filter changes the first pixel)."""
    data, offset = b"", 8
    while offset < len(png):
        size, kind = int.from_bytes(png[offset : offset + 4], "big"), png[offset + 4 : offset + 8]
        data += png[offset + 8 : offset + 8 + size] if kind == b"IDAT" else b""
        offset += 12 + size
    red, green, blue = zlib.decompress(data)[1:4]
    return red, green, blue
