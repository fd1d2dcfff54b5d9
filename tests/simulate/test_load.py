"""The load for benchmarks: all formats say the same, the malformed are counted, the inventory knows each entity."""

from __future__ import annotations

import itertools

import pytest

from afoot.errors import DecodeError
from afoot.simulate.load import FORMATS, MALFORMED_EVERY, STEP_S, Fleet, Format
from afoot.telemetry.formats import decoder
from afoot.telemetry.rows import InventoryChange, MetricPoint


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    return Fleet(1000)


def _decoded(fleet: Fleet, format_name: Format, steps: int) -> tuple[list[MetricPoint], int]:
    decode = decoder(format_name, "metrics")
    points: list[MetricPoint] = []
    dead = 0
    for message in fleet.messages(format_name, steps):
        try:
            decoded = decode(message)
        except DecodeError:
            dead += 1
            continue
        assert decoded.refused == []
        points += decoded.rows
    return points, dead


def test_a_fleet_has_four_signals_an_entity(fleet: Fleet) -> None:
    assert fleet.points_a_step == 4 * fleet.entities
    assert len({(series.name, str(series.labels)) for series in fleet.series}) == 4000


def test_a_thousandth_of_the_messages_is_malformed(fleet: Fleet) -> None:
    messages = fleet.points_a_step // 100 * 26
    for format_name in FORMATS:
        points, dead = _decoded(fleet, format_name, 26)
        assert dead == messages // MALFORMED_EVERY
        assert len(points) == (messages - dead) * 100


def test_all_formats_hold_the_same_points(fleet: Fleet) -> None:
    found = []
    for format_name in FORMATS:
        points, _ = _decoded(fleet, format_name, 2)
        found.append({(point.name, point.labels, point.time_ns, point.value, point.kind) for point in points})
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == 2 * fleet.points_a_step


def test_counters_grow_and_times_keep_the_step(fleet: Fleet) -> None:
    points, _ = _decoded(fleet, "avro", 4)
    series: dict[tuple[str, str], list[MetricPoint]] = {}
    for point in points:
        series.setdefault((point.name, point.labels.text), []).append(point)
    for of_one in series.values():
        assert {later.time_ns - earlier.time_ns for earlier, later in itertools.pairwise(of_one)} == {
            STEP_S * 1_000_000_000
        }
        if of_one[0].kind == "cumulative":
            assert all(later.value >= earlier.value for earlier, later in itertools.pairwise(of_one))


def test_the_inventory_holds_the_fleet_and_its_crowd(fleet: Fleet) -> None:
    decode = decoder("debezium_json")
    rows = [row for message in fleet.inventory(3) for row in decode(message).rows]
    assert all(isinstance(row, InventoryChange) for row in rows)
    assert sum(row.op == "heartbeat" for row in rows) == 3
    relations = [row.key for row in rows if row.table == "relation"]
    assert sum(to == fleet.volume and kind == "attached_to" for _, to, kind in relations) == 8 + 100
    entities = {row.key[0] for row in rows if row.table == "entity"}
    assert {fleet.victim, fleet.culprit, fleet.volume} <= entities
    assert {name for from_id, to_id, _ in relations for name in (from_id, to_id)} <= entities


def test_one_machine_makes_one_job_late(fleet: Fleet) -> None:
    minutes = range(0, 40, 2)
    late = []
    for minute in minutes:
        decode = decoder("json", "metrics")
        start_ms = 1_772_323_200_000 + minute * 60_000
        lags = {
            point.labels.mapping["job_name"]: point.value
            for message in fleet.messages("json", 1, start_ms=start_ms)
            for point in decode(message).rows
            if point.name == "write_lag_seconds"
        }
        late.append({job for job, lag in lags.items() if lag > 20})
    assert [minute for minute, jobs in zip(minutes, late, strict=True) if jobs == {"job0"}] == [16, 18, 20]
    assert set().union(*late) == {"job0"}
