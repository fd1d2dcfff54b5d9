"""The page as HTML: what it says, that it stands alone, and that no id can break out of its place."""

import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from afoot.casefile import chain, plots
from afoot.casefile.case import Case, Suspect
from afoot.casefile.page import headline, ranges, render_page
from afoot.cli.case import case as case_command
from afoot.errors import UsageError
from tests.casefile.cases import case
from tests.lake.w1 import CULPRIT, FINDING, JOB, VOLUME, evidence, finding, signals, write_lake

HOSTILE = "vm:\"'><img src=x onerror=alert(1)></script><script>alert(2)</script>\n{{7*7}}{culprit}\x00\u202e&amp;"


class Outline(HTMLParser):
    """Elements and their attributes, and the text outside of scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._inside: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._inside and self._inside.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self._inside):
            self.text += data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def w1(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return case(tmp_path_factory.mktemp("lake"))


@pytest.fixture(scope="module")
def page(w1: Case) -> str:
    return render_page(w1)


def test_it_says_who_did_what_to_whom_since_when_and_how_surely(page: str) -> None:
    text = " ".join(Outline(page).text.split())
    assert f"{CULPRIT} slows {JOB} through {VOLUME}" in text
    for part in (
        "2026-11-19 18:41",
        "6 min 58 s",
        "93 %",
        "almost certainly",
        "hourly at :40",
        "23 of 24 runs",
        "What to do",
    ):
        assert part in text
    assert "40 * * * * /opt/backups/system_backup.sh" in text
    assert 'kcat -C -e -b "$BROKERS" -t telemetry.metrics -p 0 -o 88120 -c 45' in text
    assert "shared_volume_contention@2" in text


def test_each_number_says_what_it_is(page: str) -> None:
    text = " ".join(Outline(page).text.split())
    assert "6.97 min at most, in the run judged last; expected on average 2.2 s" in text
    assert re.search(
        r"Write lag of job:enricher highest drawn: \d\.\d+ min at 2026-11-\d\d \d\d:5\d, when [12]\.\d+ s was", text
    )
    assert "the effect judged last (2026-11-19 18:41 to 2026-11-20 17:59 UTC)" in text
    assert "no data" in text.partition("What happened")[2].partition("Write lag of")[0]
    assert "run that was due and did nothing" in text


def test_what_no_tenant_accounts_for_and_what_has_no_curve_is_said_so(tmp_path: Path) -> None:
    heard = [row | ({"share": 0.03} if row["entity"] == VOLUME else {}) for row in evidence()]
    unkept = ("topic:telemetry", "bytes_out")
    found = case(tmp_path, heard=heard, measured=[r for r in signals() if (r["entity"], r["signal"]) != unkept])
    text = " ".join(Outline(render_page(found)).text.split())
    assert "3 % of the excess no tenant accounts for" in text
    assert text.count("no curve: the lake has no values of it") == 1


def test_ids_of_the_headline_end_lines_at_separators_only(page: str) -> None:
    spans = re.findall(r'<span class="part">([^<]*)</span>', page.partition("<h1>")[2].partition("</h1>")[0])
    assert spans == ["vm:", "frosa-system-backup", "job:", "enricher", "volume:", "svm1/", "flexvol7"]


def test_it_stands_alone(page: str) -> None:
    outline = Outline(page)
    assert not outline.named("link")[1:] and outline.named("link")[0]["href"] == "data:,"
    for _, attributes in outline.elements:
        assert "src" not in attributes
        assert not any(name.startswith("on") for name in attributes)
    assert not re.search(r"https?://|@import|url\((?!#)", page)
    assert len(page) < 600_000


def test_it_can_be_read_without_seeing_it(page: str) -> None:
    outline = Outline(page)
    labels = [attributes["aria-label"] for attributes in outline.named("svg") if attributes.get("role") == "img"]
    assert len(labels) == 2 + 4 + 4 + 1  # two pictures, of which one is shown; plots, a closer look, the fold
    assert (
        labels[0] is not None and f"{CULPRIT} culprit, 93 %" in labels[0] and "ingress:edge/nginx cleared" in labels[0]
    )
    assert all(a.get("aria-hidden") == "true" or a.get("role") == "img" for a in outline.named("svg"))
    assert all("scope" in attributes for attributes in outline.named("th"))
    assert outline.named("html") == [{"lang": "en"}]


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    texts = ("finding_id", "kind", "state", "severity", "summary", "remedy", "rule", "schedule_id", "schedule_command")
    texts += ("schedule_expression", "victim_signal", "victim_unit", "culprit_entity", "culprit_via", "superseded_by")
    odd: dict[str, Any] = {name: HOSTILE for name in texts if name != "finding_id"}
    pointers = [{"topic": HOSTILE, "partition": 0, "first_offset": 1, "last_offset": 2}]
    heard = [
        row | {"reason": HOSTILE, "unit": HOSTILE, "pointers": pointers, "component": "a b%41"}
        | ({"entity": HOSTILE} if row["entity"] == CULPRIT else {})
        | ({"signal": HOSTILE, "verdict": HOSTILE} if row["entity"] == JOB else {})
        for row in evidence()
    ]  # fmt: skip
    measured = [row | ({"entity": HOSTILE} if row["entity"] == CULPRIT else {}) for row in signals()]
    found = case(tmp_path, odd, heard, measured)
    assert {one.component for one in found.suspects()} == {"a b%41"}
    text = render_page(found)
    outline = Outline(text)
    assert not outline.named("img")
    assert len(outline.named("script")) == 2
    assert not any("onerror" in attributes for _, attributes in outline.elements)
    assert "<img src=x onerror=alert(1)>" in outline.text
    assert "{{7*7}}" in outline.text
    assert "\x00" not in text and "\u202e" not in text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"kind": "unexplained", "culprit_entity": None, "culprit_via": None, "culprit_component": None},
            "nobody can be named",
        ),
        (
            {"kind": "expected_job", "victim_entity": None, "victim_component": None},
            "runs as scheduled and harms nobody",
        ),
        ({"kind": "upstream_load", "culprit_via": None}, "takes in more than"),
        ({"kind": "load_spike", "victim_entity": None}, f"Load spike: {CULPRIT} → {VOLUME}"),
        ({"kind": "something_new"}, f"{CULPRIT} harms {JOB}"),
        ({"kind": "unexplained", "victim_entity": None, "culprit_entity": None, "culprit_via": None}, "Unexplained"),
    ],
)
def test_every_kind_has_a_sentence_even_where_names_are_missing(changes: dict[str, Any], said: str) -> None:
    assert said in headline(finding(**changes)).striptags()


def test_a_sparse_finding_is_still_a_page(tmp_path: Path) -> None:
    kept = {"finding_id", "revision", "as_of", "component", "kind", "severity", "state", "window_start", "window_end"}
    empty = {name: None for name in finding() if name not in kept}
    text = Outline(render_page(case(tmp_path, {**empty, "kind": "unexplained"}, heard=[], measured=[]))).text
    assert "No evidence is in the lake for this finding" in text
    assert "It has not been seen to recur" in text


def test_what_was_not_measured_is_said_to_be_unknown(tmp_path: Path) -> None:
    gaps = [row for row in signals() if row["entity"] not in (VOLUME, CULPRIT)]
    found = case(tmp_path, measured=gaps)
    missing = [plot.title for plot in plots.view(found, found.runs()).plots if plot.missing]
    assert missing == [f"Load of {VOLUME}", f"Activity of {CULPRIT}"]
    assert "No data in this time: its part is unknown." in Outline(render_page(found)).text


def test_the_picture_follows_the_data_and_puts_the_culprit_beside_the_volume(w1: Case) -> None:
    wide = chain.wide(w1)
    assert [lane.title for lane in wide.lanes] == ["Router", "Ingestion", "Broker", "Processor", "Storage", "Tenants"]
    where = {node.entity: node for node in wide.nodes}
    assert where[CULPRIT].y == where[VOLUME].y == where[JOB].y
    assert where["broker:kafka-0"].y == where[JOB].y  # unknown comes before cleared
    assert (where[CULPRIT].symbol, where[CULPRIT].note) == ("▲", "culprit, 93 %")
    assert where[VOLUME].via
    assert [edge.role for edge in wide.edges] == ["flow"] * 4 + ["contributor", "culprit"]
    tall = chain.tall(w1)
    assert (tall.width, {node.entity for node in tall.nodes}) == (360, set(where))


def test_a_crowd_is_counted_and_the_finding_names_its_own_without_evidence(tmp_path: Path) -> None:
    row = next(iter(evidence(verdict="cleared", share=None, component="compute")))
    crowd = [row | {"entity": f"vm:{'long-' * 12}{n}"} for n in range(40)]
    wide = chain.wide(case(tmp_path, heard=crowd, measured=[]))
    tenants = next(lane for lane in wide.lanes if lane.title == "Tenants")
    assert tenants.more == "and 35 more below"
    assert {CULPRIT, JOB, VOLUME} <= {node.entity for node in wide.nodes}


def _lines(case: Case, entity: str) -> list[str]:
    return next(node.lines for node in chain.wide(case).nodes if node.entity == entity)


def test_names_break_at_separators_and_lose_whole_parts_of_their_middle(tmp_path: Path) -> None:
    row = next(iter(evidence(verdict="cleared", share=None, component="compute")))
    long = "pod:payments-production/payments-ledger-reconciliation-of-archives-and-statements-worker-29384400-x7k2p"
    plain = "pod:" + "x" * 200 + "tail"
    crowd = [row | {"entity": name} for name in ("vm:frosa-system-backup-of-all", long, plain)]
    found = case(tmp_path, heard=[*evidence(), *crowd], measured=[])
    assert _lines(found, VOLUME) == ["svm1/flexvol7"]
    assert "".join(_lines(found, "vm:frosa-system-backup-of-all")) == "frosa-system-backup-of-all"
    parts = set(re.findall(r"[^-/]+[-/]?", long.partition(":")[2]))
    for line in _lines(found, long):
        assert set(re.findall(r"[^-/]+[-/]?", line.replace("…", ""))) <= parts
    assert "".join(_lines(found, long)).count("…") == 1 and _lines(found, long)[-1].endswith("-x7k2p")
    assert "".join(_lines(found, plain)).count("…") == 1 and _lines(found, plain)[-1].endswith("tail")


def test_lanes_are_as_wide_as_their_names_want_while_there_is_room(w1: Case) -> None:
    wide = chain.wide(w1)
    assert wide.width == pytest.approx(1120)
    assert all(len(node.lines) == 1 for node in wide.nodes if node.entity in (VOLUME, JOB, "ingress:edge/nginx"))
    widths = {lane.title: lane.width for lane in wide.lanes}
    assert widths["Tenants"] > widths["Broker"]
    assert all(right.x >= left.x + left.width + 20 for left, right in pairwise(wide.lanes))


def test_a_lane_of_long_names_leaves_others_the_little_that_they_need(tmp_path: Path) -> None:
    row = next(iter(evidence(verdict="cleared", share=None)))
    more = [
        row | {"entity": f"pod:streaming/enricher-taskmanager-1-{n}", "component": "processor"} for n in range(3)
    ] + [row | {"entity": "consumer_group:enricher-consumer", "component": "service"}]
    found = case(tmp_path, heard=[*evidence(), *more], measured=[])
    assert _lines(found, VOLUME) == ["svm1/flexvol7"]
    assert _lines(found, "ingress:edge/nginx") == ["edge/nginx"]
    assert "…" not in "".join("".join(node.lines) for node in chain.wide(found).nodes)


def test_message_ranges_are_merged_and_commands_are_quoted() -> None:
    def pointer(topic: str, first: int, last: int) -> dict[str, Any]:
        return {"topic": topic, "partition": 0, "first_offset": first, "last_offset": last}

    rows = [
        {"pointers": [pointer("t", 5, 9), pointer("$(x)", 1, 1)]},
        {"pointers": [pointer("t", 1, 4)]},
        {"pointers": None},
    ]
    found = ranges(Suspect("e", "c", "cleared", None, None, rows))
    assert [(one.topic, one.first, one.last) for one in found] == [("$(x)", 1, 1), ("t", 1, 9)]
    assert found[0].command == "kcat -C -e -b \"$BROKERS\" -t '$(x)' -p 0 -o 1 -c 1"


def test_lines_break_where_data_is_missing(tmp_path: Path) -> None:
    def gap(row: dict[str, Any]) -> bool:
        return row["entity"] == JOB and row["window_start"].hour == 3

    found = case(tmp_path, measured=[row for row in signals() if not gap(row)])
    lag = plots.view(found, []).plots[0].lines[0]
    assert lag.path.count("M") == 2
    assert lag.values.count(None) == 60
    data = json.dumps(plots.readings(found, plots.view(found, [])))
    assert "NaN" not in data


def test_the_fold_shows_the_rhythm(w1: Case) -> None:
    fold = plots.fold(w1)
    assert fold
    assert (fold.rows, fold.columns, fold.due) == (24, 60, 40.0)
    columns = {int(found) for level in fold.levels[1:] for found in re.findall(r"M(\d+) ", level)}
    assert columns <= set(range(41, 60))
    assert [tick.label for tick in fold.column_ticks] == [":00", ":10", ":20", ":30", ":40", ":50"]


def _command(*arguments: str) -> str:
    app = typer.Typer()
    app.command()(case_command)
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_command_writes_a_file_a_stream_or_a_screen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = str(tmp_path / "lake")
    write_lake(lake)
    monkeypatch.chdir(tmp_path)
    assert _command(FINDING[:4], "--lake", lake) == f"case-{FINDING}.html\n"
    page = (tmp_path / f"case-{FINDING}.html").read_text("utf-8")
    assert _command(FINDING, "--lake", lake, "-o", "-") == page
    screen = _command(FINDING, "--lake", lake, "--format", "text")
    assert max(map(len, screen.splitlines())) <= 100
    for part in (CULPRIT, "▲ culprit", "✓ cleared", "hourly at :40; 23 of 24 runs", "what to do"):
        assert part in screen
    with pytest.raises(UsageError, match=r"no/such/folder.html: cannot be written: No such file"):
        _command(FINDING, "--lake", lake, "-o", "no/such/folder.html")
