"""The page in a real browser: in light and in dark, wide and narrow, with nothing loaded and nothing run."""

import html
import json
import re
import shutil
import subprocess
import zlib
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from envcap.compare.causes import rank_causes
from envcap.compare.clues import Clue
from envcap.model.cause import Trial
from envcap.model.lock import Lock
from envcap.model.stress import Stressed
from envcap.model.verdict import Check, Finding, Judgement, Measured, Verdict
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
LONG = "/dev/null/home/.cache/" + "a-name-without-a-space-" * 6
FULL = replace(
    JUDGEMENT,
    verdict=Verdict.DIFFERENT,
    checks=[
        *JUDGEMENT.checks,
        Check(
            name="outputs/predictions.csv",
            kind="artifact",
            frozen="eeeeeeeeeeee… 42 bytes",
            observed="dddddddddddd… 42 bytes",
            tolerance="equal",
            verdict=Verdict.DIFFERENT,
            detail=f"5 of 404 cells differ: `{LONG}`",
            catches="any change",
            origin="every value must be equal",
            measured=Measured(frozen=[1.0, 1.0, 1.0], observed=[0.95], low=1.0, high=1.0),
        ),
        Check(
            name="f1",
            kind="metric",
            frozen="0.9",
            observed="0.88",
            tolerance="≥0.89",
            verdict=Verdict.INCONCLUSIVE,
            measured=Measured(frozen=[0.9], observed=[0.88], low=0.89),
        ),
    ],
    findings=[Finding(where="hardware", subject="instruction sets", frozen="avx " * 30, observed="avx", fatal=True)],
    causes=rank_causes([Clue("blas", 70, f"`{LONG}`"), Clue("threads", 40, "cores"), Clue("locale", 20, "LANG")]),
    trials=[Trial(suspect="randomness", knob="", outcome="no change", detail="the same run again", runs=1)],
    stressed=[
        Stressed(name=outcome, setting="one", outcome=outcome, detail=LONG)
        for outcome in ("no change", "within tolerance", "changes the result", "fails", "not exercised", "not told")
    ],
    gaps=[],
    notes=[LONG],
)
# In a frame of its own width beside a program that looks at it: the page itself has none, and loads none.
FRAME = '<iframe width="{}" height="900" srcdoc="{}"></iframe>'
LOOK = """<!doctype html>FRAMES<pre id="seen"></pre><script>
const rgb = (text) => text.match(/[0-9.]+/g).map(Number);
const light = (colour) => {
  const [red, green, blue] = colour.map((one) => one / 255)
    .map((one) => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4);
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
};
const below = (element) => {
  for (let one = element; one; one = one.parentElement) {
    const colour = rgb(getComputedStyle(one).backgroundColor);
    if (colour.length === 3 || colour[3] > 0) return colour.slice(0, 3);
  }
};
const look = (frame) => {
  const page = frame.contentDocument, faint = [];
  const texts = page.createTreeWalker(page.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement, words = texts.currentNode.data.trim();
    if (!words || !element.getClientRects().length) continue;
    const ink = rgb(getComputedStyle(element)[element.closest("svg") ? "fill" : "color"]).slice(0, 3);
    const [high, low] = [light(ink), light(below(element))].sort((one, other) => other - one);
    if ((high + 0.05) / (low + 0.05) < 4.5) faint.push(words);
  }
  const root = page.documentElement;
  const headings = [...page.querySelectorAll("h2")].map((one) => one.textContent);
  const dashes = page.querySelectorAll(".bound").length, shades = page.querySelectorAll(".band").length;
  const scrolls = [...page.querySelectorAll(".wide")].some((one) => one.scrollWidth > one.clientWidth + 1);
  return { wide: root.scrollWidth, frame: root.clientWidth, scrolls, faint, headings, dashes, shades };
};
onload = () => {
  const seen = [...document.querySelectorAll("iframe")].map(look);
  document.getElementById("seen").textContent = JSON.stringify(seen);
};
</script>"""


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


@pytest.mark.parametrize("options", [(), ("--force-dark-mode",)], ids=["light", "dark"])
def test_all_can_be_read_without_moving_sideways(
    options: tuple[str, ...], browser: str, sample_lock: Lock, tmp_path: Path
) -> None:
    page = html_document(FULL, sample_lock, name="train")
    for seen in look(browser, page, tmp_path, *options):
        assert (seen["wide"], seen["scrolls"]) == (seen["frame"], False)
        assert seen["faint"] == []  # nothing below the contrast of 4.5 that WCAG 2.2 asks for (1.4.3)
        assert seen["headings"][:5] == ["Outputs", "Runs", "Why", "Stress", "Environment"]
        assert (seen["shades"], seen["dashes"]) == (3, 4)  # both ends of one, both in one place, one end
    faint = page.replace("--muted: #59636e", "--muted: #99a3ae").replace("--muted: #9aa4af", "--muted: #5a646f")
    assert all("came back" in seen["faint"] for seen in look(browser, faint, tmp_path, *options))


def look(browser: str, page: str, folder: Path, *options: str) -> Any:
    """Give what a program beside the page sees of it, in a narrow and in a wide frame."""
    path = folder / "look.html"
    frames = "".join(FRAME.format(width, html.escape(page)) for width in (390, 1200))
    path.write_text(LOOK.replace("FRAMES", frames), encoding="utf-8")
    tree = start(browser, path, *options, "--window-size=1400,1000", "--dump-dom")
    found = re.search(r'<pre id="seen">(.*?)</pre>', tree, re.DOTALL)
    assert found is not None, tree
    return json.loads(html.unescape(found[1]))


def first_pixel(png: bytes) -> tuple[int, int, int]:
    """Give the colour in the upper left corner (PNG specification: no filter changes the first pixel)."""
    data, offset = b"", 8
    while offset < len(png):
        size, kind = int.from_bytes(png[offset : offset + 4], "big"), png[offset + 4 : offset + 8]
        data += png[offset + 8 : offset + 8 + size] if kind == b"IDAT" else b""
        offset += 12 + size
    red, green, blue = zlib.decompress(data)[1:4]
    return red, green, blue
