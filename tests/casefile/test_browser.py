"""The page in a real browser: nothing in the console, nothing over the edge, everything in sight."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from afoot.casefile.page import render_page
from tests.casefile.browser import Browser, chromium
from tests.casefile.cases import case
from tests.casefile.test_page import HOSTILE
from tests.lake.w1 import CULPRIT, evidence, signals

# Tenants and chains whose names are of every length, and of letters that fonts have wide.
NAMES = (
    "pod:payments-production/payments-ledger-reconciliation-29384400-x7k2p",
    "vm:WWWWWWWWWW-MMMMMMMMMM-@@@@@@@@",
    "vm:\u8a08\u7b97\u6a5f\u8a08\u7b97\u6a5f\u8a08\u7b97\u6a5f\u8a08\u7b97\u6a5f",
    "a_type_of_which_nobody_heard_before_at_all:x",
    "no type at all",
)
# Texts of the chain that is shown which leave their box or lane, and how many there are.
OUTSIDE = """(() => {
  const texts = [...document.querySelectorAll(".chain text")].filter((e) => e.getClientRects().length);
  const around = (text) => {
    const own = text.closest(".node")?.querySelector("rect");
    if (own) return own.getBBox();
    const lanes = [...text.ownerSVGElement.querySelectorAll(".lane")].map((e) => e.getBBox());
    const at = text.getBBox();
    const middle = [at.x + at.width / 2, at.y + at.height / 2];
    return lanes.find((b) => b.x <= middle[0] && middle[0] <= b.x + b.width
      && b.y <= middle[1] && middle[1] <= b.y + b.height);
  };
  const out = texts.filter((text) => {
    const [a, b] = [text.getBBox(), around(text)];
    return !b || a.x < b.x + 2 || b.x + b.width - 2 < a.x + a.width || a.y < b.y || b.y + b.height < a.y + a.height;
  });
  return [texts.length, out.map((text) => text.textContent)];
})()"""
FONTS = {
    "own": "",
    "widest": "*, .chain text { font-family: 'DejaVu Sans', Verdana, sans-serif !important; font-weight: 700; }",
    "wider": "*, .chain text { font-family: 'DejaVu Sans', Verdana, sans-serif !important; letter-spacing: 3px; }",
}

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
        "crowd": case(folder / "crowd", heard=[*evidence(), *_crowd()]),
    }
    for kind, one in found.items():
        (folder / f"{kind}.html").write_text(render_page(one), "utf-8")
    return {kind: folder / f"{kind}.html" for kind in found}


def _crowd() -> Iterator[dict[str, Any]]:
    """Rows of evidence of tenants, and of an entity in each lane that the plain case has not."""
    row = next(one for one in evidence() if one["entity"] == "vm:reporting-db")
    for number, name in enumerate((*NAMES, *(f"vm:tenant-{n}.example.internal" for n in range(12)))):
        yield row | {"entity": name, "share": 0.8 - number / 100}
    for name, component in (("address:2001:db8:85a3::8a2e:370:7334", "network"), ("topic:payments.raw", "broker")):
        yield row | {"entity": name, "component": component, "verdict": "cleared", "share": None}
    for name, component in (("consumer_group:payments-ledger.v2", "service"), ("shard:x", "an unheard-of component")):
        yield row | {"entity": name, "component": component, "verdict": "contributor"}


@pytest.mark.parametrize("font", FONTS)
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("kind", ["plain", "hostile", "sparse", "crowd"])
def test_texts_of_the_chain_stay_in_their_boxes(
    browser: Browser, pages: dict[str, Path], tmp_path: Path, kind: str, width: int, font: str
) -> None:
    page = tmp_path / "page.html"
    page.write_text(pages[kind].read_text("utf-8").replace("</style>", FONTS[font] + "</style>"), "utf-8")
    browser.open(page, width)
    count, outside = browser.evaluate(OUTSIDE)
    assert count >= 3 and outside == []
    if font != "wider":  # names are cut so that they need no squeezing in any usual font
        assert browser.evaluate("document.querySelectorAll('[textLength]').length") == 0


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("kind", ["plain", "hostile", "sparse", "crowd"])
def test_it_shows_without_a_complaint_and_fits(
    browser: Browser, pages: dict[str, Path], kind: str, width: int, dark: bool
) -> None:
    browser.open(pages[kind], width, dark=dark)
    assert browser.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    seen = browser.evaluate(SEEN % PARTS)
    assert sorted(height > 0 for height in seen["svg.chain"]) == [False, True]  # the one that suits the width
    assert all(height > 0 for height in seen["h1"] + seen["table.suspects"])
    if kind in ("plain", "hostile"):
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
    assert readings[0].startswith("00:50 · 6.3")
    assert readings[0].endswith(" min")  # in the notation of the rest of the page
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


def test_an_id_in_the_headline_stays_on_one_line_where_it_fits(browser: Browser, pages: dict[str, Path]) -> None:
    tops = """[...document.querySelectorAll("h1 .id")].map((id) =>
      new Set([...id.querySelectorAll(".part")].map((part) => Math.round(part.getBoundingClientRect().top))).size)"""
    for width in range(390, 1300, 70):
        browser.open(pages["plain"], width)
        assert browser.evaluate(tops) == [1, 1, 1]


@pytest.mark.parametrize("width", [760, 390])
def test_message_ranges_are_read_whole_on_a_narrow_screen(browser: Browser, pages: dict[str, Path], width: int) -> None:
    browser.open(pages["plain"], width)
    browser.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    overflowing = "[...document.querySelectorAll('.scroll')].filter((e) => e.scrollWidth > e.clientWidth).length"
    assert browser.evaluate("document.querySelectorAll('.messages .offsets').length") > 0
    assert browser.evaluate(overflowing) == 0
    tall = "Math.max(...[...document.querySelectorAll('.offsets')].map((e) => e.getBoundingClientRect().height))"
    assert browser.evaluate(tall) < 30  # one line each
    assert browser.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
