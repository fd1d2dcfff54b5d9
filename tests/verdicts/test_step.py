"""One window at a time: order, determinism, requests for signals, alerts as their schema has them."""

from __future__ import annotations

import json
import pickle
import random
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import orjson
import pytest

from afoot.errors import AfootError
from afoot.verdicts.cases import CaseBook
from afoot.verdicts.inputs import Window
from afoot.verdicts.records import Evidence, Finding, quantity, rounded
from afoot.verdicts.step import step
from tests.verdicts.world import (
    BACKUP,
    BURST,
    DAY,
    HOUR,
    JOB,
    LATE,
    LOAD,
    MINUTE,
    REPORT,
    ROOM,
    VOLUME,
    World,
    at,
    both,
    silent,
)


def busy_day(world: World) -> World:
    for hour in range(5):
        world.until(hour, 40)
        world.backup_run() if hour != 3 else world.minutes(8, ROOM)
    world.until(5, 10)
    world.minutes(8, LOAD, LATE)
    world.until(6)
    return world


def test_the_same_windows_give_the_same_rows_through_a_checkpoint_at_each_of_them() -> None:
    one, other = busy_day(World()), busy_day(World(through_pickle=True))
    assert one.findings == other.findings
    assert one.evidence == other.evidence
    assert one.alerts == other.alerts
    assert one.requests == other.requests
    assert len(one.findings) > 10


class Shuffled(World):
    """The same windows, with everything in them in another order and a victim's groups parted."""

    def text(self, changes: Any) -> bytes:
        rnd = random.Random(self.now)
        groups = orjson.loads(super().text(changes))["groups"]
        parted = []
        for group in groups:
            rnd.shuffle(group["io"])
            half = len(group["io"]) // 2
            parted.append({**group, "io": group["io"][:half]})
            parted.append({"volume": group["volume"], "victims": [], "io": group["io"][half:]})
            for victim in group["victims"]:
                rnd.shuffle(victim["chain"])
                cut = len(victim["chain"]) // 2
                second = {"victim": victim["victim"], "lag": [], "chain": victim["chain"][cut:], "flow": []}
                victim["chain"] = victim["chain"][:cut]
                for late in victim["lag"][:1]:  # from a source that counts for nothing
                    others = [[*item[:2], 1e6, *item[3:7], "other", 9, item[9]] for item in late["signals"]]
                    victim["lag"].append({**late, "affected": False, "signals": others})
                    rnd.shuffle(victim["lag"])
                parted.append({"volume": "", "victims": [second], "io": []})
                for item in victim["chain"]:
                    rnd.shuffle(item["signals"])
        rnd.shuffle(parted)
        return orjson.dumps({"groups": parted})


def test_the_order_within_a_window_does_not_matter() -> None:
    one, other = busy_day(World()), busy_day(Shuffled())
    assert one.findings == other.findings
    assert one.evidence == other.evidence


def test_windows_must_come_in_order() -> None:
    world = World()
    world.minute()
    with pytest.raises(AfootError, match=f"window from {DAY} comes after one that ended at {DAY + MINUTE}"):
        step(world.book, Window(DAY, DAY + MINUTE, {}, {}), world.graph, world.rules)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"groups": [{}]}', '{"groups": [{"volume": "v", "io": [{}]}]}'])
def test_a_window_that_cannot_be_read_is_named(text: str) -> None:
    with pytest.raises(AfootError, match="window from 0 to 60000: cannot be read"):
        Window.from_json(0, 60_000, text)


def test_missing_sides_are_nothing() -> None:
    victim = {"victim": "job:j", "lag": None, "chain": [], "flow": None}
    text = orjson.dumps({"groups": [{"volume": "", "victims": [victim], "io": None}]})
    found = step(CaseBook(), Window.from_json(0, 60_000, text), World().graph, World().rules)
    assert (found.findings, found.evidence, found.alerts, found.requests) == ([], [], [], [])
    assert found.books == {"windows": 1}


def test_signals_are_asked_for_an_hour_around_the_effects_and_once() -> None:
    world = World(schedules={})
    world.until(3)
    world.minutes(5, BURST, LATE)
    world.until(6)
    for kind, scope in (("victim", JOB), ("volume", VOLUME)):
        asked = [request.window_end_ms for request in world.requests if (request.kind, request.scope) == (kind, scope)]
        assert asked == list(range(at(2, 1), at(4, 5) + 1, MINUTE))
    assert all(0 <= request.as_of_ms - request.window_end_ms < HOUR + MINUTE for request in world.requests)
    assert len(world.requests) == len(set(world.requests))


def test_signals_of_hourly_runs_are_asked_for_without_a_gap_or_a_repetition() -> None:
    world = World()
    for hour in range(4):
        world.until(hour, 40)
        world.backup_run()
    asked = [request.window_end_ms for request in world.requests if request.kind == "victim"]
    assert asked == sorted(set(asked))
    assert asked[1] - asked[0] == MINUTE and asked[-1] - asked[0] == (len(asked) - 1) * MINUTE


def schema() -> dict[str, Any]:
    for place in (resources.files("schemas"), Path(__file__).parents[2] / "schemas"):
        found = place.joinpath("alert.schema.json")
        if found.is_file():
            return dict(json.loads(found.read_text("utf-8")))
    raise AssertionError("no alert.schema.json")


def test_alerts_are_as_their_schema_says() -> None:
    world = busy_day(World())
    validator = jsonschema.Draft202012Validator(schema())
    assert {alert["state"] for alert in world.alerts} == {"open", "closed"}
    for alert in world.alerts:
        validator.validate(json.loads(orjson.dumps(alert)))
    opened = world.alerts[0]["suspects"]
    assert [suspect["verdict"] for suspect in opened[:3]] == ["culprit", "victim", "victim"]
    assert opened[0]["evidence"][0]["pointers"][0]["topic"] == "telemetry.metrics"


def test_revisions_count_from_one_and_evidence_has_one_row_an_entity_and_signal() -> None:
    world = busy_day(World())
    seen: dict[str, int] = {}
    for finding in world.findings:
        assert finding.revision == seen.get(finding.finding_id, 0) + 1
        seen[finding.finding_id] = finding.revision
    keys = [(row.finding_id, row.revision, row.entity, row.signal) for row in world.evidence]
    assert len(keys) == len(set(keys))
    assert {key[:2] for key in keys} == {(finding.finding_id, finding.revision) for finding in world.findings}


def test_a_closing_revision_says_again_what_its_case_rests_on() -> None:
    world = busy_day(World())
    closed = [finding for finding in world.findings if finding.state == "closed"]
    assert closed
    for finding in closed:
        now, before = (
            [row for row in world.evidence if row[:2] == (finding.finding_id, revision)]
            for revision in (finding.revision, finding.revision - 1)
        )
        said_now, said_before = (
            {(row.entity, row.signal): row._replace(revision=0, as_of=0) for row in rows} for rows in (now, before)
        )
        assert said_now == said_before
        assert {row.as_of for row in now} == {finding.as_of}


def test_partitions_follow_the_culprit_else_the_victim() -> None:
    world = World()
    world.until(1)
    world.minutes(4, LATE)
    assert world.only("unexplained").component == "processor"
    world.minutes(4, BURST, {JOB: {"write_lag": 90}})
    assert world.only("shared_volume_contention").component == "compute"


def test_columns_are_those_of_the_lake() -> None:
    layout = pytest.importorskip("afoot.lake.layout")
    assert list(Finding._fields) == layout.FINDINGS.columns.names
    assert set(Evidence._fields) == {*layout.EVIDENCE.columns.names, "component"}


def test_the_book_stays_small_with_many_tenants_at_rest() -> None:
    world = World()
    for number in range(100):
        world.relate(f"vm:{number}", "attached_to", VOLUME, world.now - HOUR, snapshot=True)
    world.minutes(30)
    assert len(pickle.dumps(world.book)) < 20_000


def test_strange_names_pass_unharmed() -> None:
    world = World()
    name = 'vm:<b>"{culprit}"\n%s'
    world.relate(name, "attached_to", VOLUME, world.now - HOUR, snapshot=True)
    usual = __import__("tests.verdicts.world", fromlist=["USUAL"]).USUAL
    usual[name] = {"write_ops": (10.0, "{op}/s")}
    try:
        world.until(1)
        world.minutes(4, both({**BURST, BACKUP: {}}, {name: {"write_ops": 1_500}}, LATE))
    finally:
        del usual[name]
    found = world.only("shared_volume_contention")
    assert found.culprit_entity == name and name in found.summary


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (0.0082, "s", "8.2 ms"),
        (0.00002, "s", "20 us"),
        (62.0, "s", "62 s"),
        (600.0, "s", "10 min"),
        (0.0, "s", "0 s"),
        (1_250_000.0, "By/s", "1.25 MB/s"),
        (12.0, "By", "12 B"),
        (1_210.4, "{op}/s", "1,210 op/s"),
        (1.0, "{member}", "1 members"),
        (0.5, "1", "0.5"),
        (None, "s", "unknown"),
    ],
)
def test_numbers_in_sentences(value: float | None, unit: str, said: str) -> None:
    assert quantity(value, unit) == said


@pytest.mark.parametrize(
    ("value", "stored"),
    [(1 / 3, 0.333333333), (123456789.123, 123456789.0), (float("nan"), None), (float("inf"), None), (None, None)],
)
def test_numbers_as_stored(value: float | None, stored: float | None) -> None:
    assert rounded(value) == stored


def spoken(value: float, rank: int, family: str = "a") -> dict[str, Any]:
    signal = ["total_ops", "{op}/s", value, None, None, None, 0, family, rank, []]
    return {"entity": VOLUME, "component": "storage", "type": "volume", "affected": False, "signals": [signal]}


@pytest.mark.parametrize("turn", [1, -1])
def test_of_a_signal_from_several_sources_the_lowest_rank_is_read(turn: int) -> None:
    for payloads, value in (
        ([spoken(900, 1), spoken(800, 0)], 800),
        ([spoken(900, 0, "b"), spoken(950, 0, "a")], 950),
        ([spoken(900, 0), spoken(800, 0)], 800),
    ):
        text = orjson.dumps({"groups": [{"volume": VOLUME, "victims": [], "io": payloads[::turn]}]})
        assert Window.from_json(0, MINUTE, text).volumes[VOLUME][VOLUME].readings["total_ops"].value == value


def test_of_a_volume_that_was_silent_at_times_nobody_unusual_is_cleared() -> None:
    world = World(schedules={})
    world.until(1)
    busy = {BACKUP: {"write_ops": 1_500.0}}
    world.minute(LATE, busy)
    world.minute(LATE, busy, silent(VOLUME))
    world.minute(LATE, busy)
    world.until(1, 10)
    finding = world.only("unexplained")
    assert "unknown: no storage data in 1 of " in finding.summary
    verdicts = world.verdicts(finding)
    assert (verdicts[VOLUME], verdicts[BACKUP], verdicts[REPORT]) == ("unknown", "unknown", "cleared")
