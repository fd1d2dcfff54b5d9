"""The page in a real browser: nothing in the console, nothing over the edge, everything in sight."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from afoot.casefile.page import render_page
from tests.casefile.browser import Browser, chromium
from tests.casefile.cases import case
from tests.casefile.test_page import HOSTILE
from tests.lake.w1 import CULPRIT, evidence, signals

# What a reader must find: the visible height of each in pixels.
SEEN = (
    "Object.fromEntries(%s.map(s => [s, [...document.querySelectorAll(s)].map(e => e.getBoundingClientRect().height)]))"
)
PARTS = ["svg.chain", ".plot .area svg", ".fold svg", "table.suspects", ".spark", "h1"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = chromium()
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("no Chromium: apt-get install chromium")
        pytest.skip("no Chromium here: apt-get install chromium")
    with Browser(program) as opened:
        yield opened


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A plain page, and one where the culprit has the worst of names."""
    folder = tmp_path_factory.mktemp("pages")
    name = HOSTILE + "x" * 300
    heard = [row | ({"entity": name} if row["entity"] == CULPRIT else {}) for row in evidence()]
    measured = [row | ({"entity": name} if row["entity"] == CULPRIT else {}) for row in signals()]
    found = {
        "plain": case(folder / "plain"),
        "hostile": case(folder / "hostile", {"culprit_entity": name, "summary": name, "remedy": name}, heard, measured),
        "sparse": case(folder / "sparse", {"culprit_entity": None, "culprit_via": None}, [], []),
    }
    for kind, one in found.items():
        (folder / f"{kind}.html").write_text(render_page(one), "utf-8")
    return {kind: folder / f"{kind}.html" for kind in found}


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("kind", ["plain", "hostile", "sparse"])
def test_it_shows_without_a_complaint_and_fits(
    browser: Browser, pages: dict[str, Path], kind: str, width: int, dark: bool
) -> None:
    browser.open(pages[kind], width, dark=dark)
    assert browser.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    seen = browser.evaluate(SEEN % PARTS)
    assert sorted(height > 0 for height in seen["svg.chain"]) == [False, True]  # the one that suits the width
    assert all(height > 0 for height in seen["h1"] + seen["table.suspects"])
    if kind != "sparse":
        assert len(seen[".plot .area svg"]) == 8 and min(seen[".plot .area svg"]) > 80
        assert len(seen[".fold svg"]) == 1 and len(seen[".spark"]) == 15
    assert browser.complaints == []


def test_the_reading_line_follows_the_pointer(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["plain"], 1280)
    browser.evaluate("document.querySelector('#plots').scrollIntoView()")
    box = browser.evaluate("(b => [b.left, b.top, b.width])(document.querySelector('.area').getBoundingClientRect())")
    browser.move(box[0] + box[2] * (6 * 60 + 50.5) / 1440, box[1] + 20)
    shown = "[...document.querySelectorAll('.stack:not(.closer) .reading')].map(e => e.hidden ? null : e.textContent)"
    readings = browser.evaluate(shown)
    assert len(readings) == 4
    assert readings[0].startswith("00:50 · 38")
    assert readings[1].count("op/s") == 2
    browser.move(5, 5)
    assert browser.evaluate(shown) == [None] * 4
    assert browser.complaints == []


def test_text_stands_out_from_its_ground(browser: Browser, pages: dict[str, Path]) -> None:
    """WCAG AA: 4.5 to 1 for every colour that text has, on both grounds, by light and by dark."""
    script = """(() => {
      const style = getComputedStyle(document.documentElement);
      const lum = (name) => {
        const hex = style.getPropertyValue(name).trim().slice(1);
        const full = hex.length === 3 ? [...hex].map((c) => c + c).join('') : hex;
        const [r, g, b] = [0, 2, 4].map((i) => parseInt(full.slice(i, i + 2), 16) / 255)
          .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const inks = ['--ink', '--faint', '--culprit', '--contributor', '--victim', '--cleared', '--unknown', '--via'];
      return inks.flatMap((ink) => ['--paper', '--card', '--lane'].map((ground) => {
        const [high, low] = [lum(ink), lum(ground)].sort((a, b) => b - a);
        return [ink, ground, (high + 0.05) / (low + 0.05)];
      }));
    })()"""
    for dark in (False, True):
        browser.open(pages["plain"], 1280, dark=dark)
        weak = [found for found in browser.evaluate(script) if found[2] < 4.5]
        assert weak == []
