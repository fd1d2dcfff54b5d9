"""Rows of a JDBC source connector, by Connect's JSON converter and by what a real one wrote."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from afoot.errors import DecodeError, UsageError
from afoot.telemetry import formats
from afoot.telemetry.rows import InventoryChange, Message
from afoot.telemetry.wire.jdbc_json import read
from tests.telemetry.support import RECORD_MS, as_json, sample, sample_lines

ENTITY: dict[str, Any] = {
    "id": "vm:backup",
    "type": "vm",
    "name": "backup",
    "component": "compute",
    "attributes": '{"zone": "a"}',
    "updated_at": 1_795_229_913_497,
}
ROW = {**ENTITY, "attributes": {"zone": "a"}}


def message(value: Any, topic: str = "jdbc.entity") -> Message:
    return Message(topic, 0, 7, RECORD_MS, None, as_json(value))


def decode(value: Any, topic: str = "jdbc.entity", **options: str) -> list[InventoryChange]:
    decoded = formats.decoder("jdbc_json", "inventory", options)(message(value, topic))
    assert decoded.refused == []
    return decoded.rows


def dead(value: Any, topic: str = "jdbc.entity") -> str:
    with pytest.raises(DecodeError) as caught:
        decode(value, topic)
    assert str(caught.value).startswith("jdbc_json")
    return str(caught.value)


def test_what_a_real_connector_wrote() -> None:
    records = json.loads(sample("recorded/jdbc.volumes.json"))
    found = [read(message(record["value"], record["topic"])) for record in records]
    assert found[0] == (
        {
            "id": 3,
            "volume_id": "vol-3",
            "pool": "ssd",
            "size_gb": 10.0,
            "labels": '{"team": "b"}',
            "state": "free",
            "created_at": 1795229804482,
            "updated_at": 1795229804482,
        },
        "",
    )
    assert [row["id"] for row, _ in found][:5] == [3, 2, 4, 3, 5]
    (one,) = [json.loads(sample("recorded/one-jdbc-source-volumes.json"))]
    assert read(message(one["value"]))[0]["state"] == "bound"
    assert "topic 'jdbc.volumes' does not end in a table of the inventory" in dead(one["value"], one["topic"])


def test_connect_s_own_examples_are_no_rows_but_for_structs() -> None:
    lines = [line for line in sample_lines("kafka-connect/jsonconverter_literals.ndjson")]
    assert len(lines) == 51
    structs = []
    for line in lines:
        try:
            structs.append(read(Message("t", 0, 0, RECORD_MS, None, line))[0])
        except ValueError:
            continue
        except DecodeError as error:
            assert "leading zero" in str(error) or "not JSON" in str(error)
    assert structs == [
        {"key1": 12, "key2": 15},
        {"field1": True, "field2": "string"},
        {"required": "required"},
        {"field1": 1, "field2": 2},
    ]
    for line in sample_lines("kafka-connect/quickstart_string_schema.ndjson"):
        assert "a row as an object is expected" in dead(json.loads(line))


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_row_is_an_upsert_at_its_own_time(wrapped: bool) -> None:
    value = {"schema": {"type": "struct", "name": "entity"}, "payload": ENTITY} if wrapped else ENTITY
    assert decode(value) == [InventoryChange("entity", "upsert", ("vm:backup",), ROW, 1_795_229_913_497)]


@pytest.mark.parametrize(
    ("updated_at", "time_ms"),
    [
        (1_795_229_913_497, 1_795_229_913_497),
        ("2026-11-21T02:58:33.497322Z", 1_795_229_913_497),
        ("2026-11-21 02:58:33.497322", 1_795_229_913_497),
        # timestamp.granularity: micros_long, micros_string, nanos_long, nanos_string, and the two of ISO forms.
        (1_795_229_913_497_322, 1_795_229_913_497),
        ("1795229913497322", 1_795_229_913_497),
        (1_795_229_913_497_322_001, 1_795_229_913_497),
        ("1795229913497322001", 1_795_229_913_497),
        ("2026-11-21T02:58:33.497322", 1_795_229_913_497),
        ("2026-11-21T02:58:33.497322001", 1_795_229_913_497),
        # Milliseconds are so up to 2262-04-11, and microseconds since 1970-04-17.
        (9_223_372_036_854, 9_223_372_036_854),
        (9_223_372_036_855, 9_223_372_036),
        (9_223_372_036_854_000, 9_223_372_036_854),
        (9_223_372_036_854_001, 9_223_372_036),
        (None, RECORD_MS),
    ],
)
def test_version_times(updated_at: Any, time_ms: int) -> None:
    (found,) = decode({**ENTITY, "updated_at": updated_at})
    assert found.time_ms == time_ms


def test_where_the_table_is_named() -> None:
    relation = {"from_id": "a", "to_id": "b", "kind": "writes"}
    assert decode(relation, "jdbc-relation")[0].key == ("a", "b", "writes")
    assert decode(relation, "polled", table="relation")[0].table == "relation"
    named = {"schema": {"type": "struct", "name": "public.relation"}, "payload": relation}
    assert decode(named, "polled")[0].table == "relation"
    assert decode({"id": 1, "at": 1_795_229_913_497}, "jdbc.heartbeat") == [
        InventoryChange("heartbeat", "heartbeat", (), None, 1_795_229_913_497)
    ]
    with pytest.raises(UsageError, match="table is 'pods'; allowed are entity, relation, schedule, heartbeat"):
        formats.decoder("jdbc_json", "inventory", {"table": "pods"})


POLLED = {"polled_table": "entity", "polled_at": 1_795_229_920_000, "polled_row": 1, "polled_rows": 2, **ENTITY}


@pytest.mark.parametrize(("row", "of", "reading"), [(1, 3, "first"), (2, 3, "next"), (3, 3, "last"), (1, 1, "last")])
def test_a_row_of_a_poll_that_tells_its_size(row: int, of: int, reading: Any) -> None:
    value = {**POLLED, "polled_row": row, "polled_rows": of, "updated_at": "2026-11-21T02:58:33.497322Z"}
    expected = InventoryChange("entity", "upsert", ("vm:backup",), ROW, 1_795_229_920_000, True, reading, of)
    assert decode(value, "inventory") == decode(value, "polled.relation") == [expected]
    assert decode({"schema": None, "payload": value}, "inventory") == [expected]


@pytest.mark.parametrize("polled_at", [1_795_229_920_000_123, "1795229920000123456", "2026-11-21T02:58:40.000123"])
def test_a_poll_s_time_in_another_granularity(polled_at: Any) -> None:
    (found,) = decode({**POLLED, "polled_at": polled_at, "updated_at": "1795229913497322"}, "inventory")
    assert (found.time_ms, found.row) == (1_795_229_920_000, ROW)


def test_a_poll_that_found_nothing() -> None:
    nothing = dict.fromkeys(ENTITY)
    expected = InventoryChange("entity", "upsert", (), None, 1_795_229_920_000, True, "last", 0)
    assert decode({**POLLED, **nothing, "polled_row": 0, "polled_rows": 0}, "inventory") == [expected]


def test_a_polled_row_that_cannot_be_used_is_still_there() -> None:
    rows, refused = formats.decoder("jdbc_json", "inventory")(message({**POLLED, "attributes": "{"}))
    assert [(change.key, change.row, change.reading) for change in rows] == [
        (("vm:backup",), {"id": "vm:backup"}, "first")
    ]
    assert "entity.attributes is not JSON" in refused[0]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({**POLLED, "polled_table": "heartbeat"}, "polled_table is 'heartbeat'; allowed are entity, relation, sched"),
        ({**POLLED, "polled_table": None}, "polled_table is nothing"),
        ({**POLLED, "polled_row": 3}, "polled_row is 3 of polled_rows 2"),
        ({**POLLED, "polled_row": 0}, "polled_row is 0 of polled_rows 2"),
        ({**POLLED, "polled_rows": "many"}, "polled_rows is 'many'"),
        ({**POLLED, "polled_at": None}, "polled_at is nothing"),
        ({**POLLED, "updated_at": "soon"}, "updated_at is 'soon'"),
        ({**POLLED, "id": ""}, "entity.id, of the primary key, is"),
        ({**ENTITY, "id": None}, "entity.id, of the primary key, is nothing"),
        ({**ENTITY, "updated_at": "soon"}, "updated_at is 'soon'"),
        ({**ENTITY, "updated_at": 0}, "updated_at is missing (0)"),
        ({**ENTITY, "updated_at": 2**63}, "updated_at is 9223372036854775808 ns; 1 to 2^63-1 is allowed"),
        ({**ENTITY, "updated_at": True}, "updated_at is True, not an integer"),
        ({"schema": None, "payload": None}, "found nothing; a row as an object is expected"),
        ([ENTITY], "found an array"),
        (5, "found 5"),
    ],
)
def test_other_messages_are_dead(value: Any, reason: str) -> None:
    assert reason in dead(value)


def test_a_column_s_name_is_shown_as_far_as_a_reason_may_be_long() -> None:
    assert dead({**ENTITY, "a" * 5_000: math.inf}).startswith("jdbc_json: entity.'aaaa")
    assert "entity.'a\\n' is inf" in dead({**ENTITY, "a\n": math.inf})
    assert len(dead({**ENTITY, "a" * 5_000: math.inf})) < 200


@pytest.mark.parametrize("table", [["entity"], {"entity": 1}, None, 5, "pods", "heartbeat"])
def test_a_poll_of_no_table(table: Any) -> None:
    polled = {**ENTITY, "polled_table": table, "polled_at": RECORD_MS, "polled_row": 1, "polled_rows": 1}
    assert "polled_table is" in dead(polled)


def test_a_tombstone_is_dead() -> None:
    with pytest.raises(DecodeError, match="no value"):
        formats.decoder("jdbc_json")(message({})._replace(value=None))
