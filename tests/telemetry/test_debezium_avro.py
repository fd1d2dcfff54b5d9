"""Debezium's change events as Connect's Avro converter writes them, by its schemas and Confluent's wire format."""

from __future__ import annotations

import datetime
import decimal
import io
import json
from typing import Any

import fastavro
import pytest

from afoot.errors import DecodeError, UsageError
from afoot.telemetry import formats
from afoot.telemetry.rows import InventoryChange, Message
from tests.telemetry.support import RECORD_MS, Registry, framed

MS = 1_795_229_913_497
TEXT_OR_NULL: dict[str, Any] = {"type": ["null", "string"], "default": None}
ZONED = {"type": "string", "connect.version": 1, "connect.name": "io.debezium.time.ZonedTimestamp"}
DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}
COLUMNS: list[dict[str, Any]] = [
    {"name": "id", "type": "string"},
    {"name": "type", "type": "string"},
    {"name": "name", **TEXT_OR_NULL},
    {
        "name": "attributes",
        "type": ["null", {"type": "string", "connect.version": 1, "connect.name": "io.debezium.data.Json"}],
        "default": None,
    },
    {"name": "updated_at", "type": ZONED},
]
SOURCE = {
    "type": "record",
    "name": "Source",
    "namespace": "io.debezium.connector.postgresql",
    "fields": [
        {"name": "version", "type": "string"},
        {"name": "ts_ms", "type": "long"},
        {"name": "snapshot", "type": ["string", "null"], "default": "false"},
        {"name": "schema", "type": "string"},
        {"name": "table", "type": "string"},
        {"name": "lsn", "type": ["null", "long"], "default": None},
    ],
}


def value_schema(*more: dict[str, Any]) -> dict[str, Any]:
    return {"type": "record", "name": "Value", "namespace": "cdc.inventory.entity", "fields": [*COLUMNS, *more]}


def envelope_schema(*more: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "record",
        "name": "Envelope",
        "namespace": "cdc.inventory.entity",
        "fields": [
            {"name": "before", "type": ["null", value_schema(*more)], "default": None},
            {"name": "after", "type": ["null", "Value"], "default": None},
            {"name": "source", "type": SOURCE},
            {"name": "op", "type": "string"},
            {"name": "ts_ms", "type": ["null", "long"], "default": None},
        ],
    }


KEY_SCHEMA = {"type": "record", "name": "Key", "fields": [{"name": "id", "type": "string"}]}
ROW = {
    "id": "vm:backup",
    "type": "vm",
    "name": "backup",
    "attributes": '{"match": [{"InstanceId": "i-1"}]}',
    "updated_at": "2026-11-21T02:58:33.497322Z",
}
EXPECTED = {**ROW, "attributes": {"match": [{"InstanceId": "i-1"}]}}


def avro(schema: Any, value: Any) -> bytes:
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(schema), value)
    return stream.getvalue()


def event(op: str, after: Any, snapshot: str = "false", before: Any = None) -> dict[str, Any]:
    source = {"version": "3.7.0.Final", "ts_ms": MS, "snapshot": snapshot, "schema": "inventory", "table": "entity"}
    return {"before": before, "after": after, "source": source, "op": op, "ts_ms": MS + 100}


def message(value: bytes | None, key: bytes | None = None) -> Message:
    return Message("inventory", 0, 7, RECORD_MS, key, value)


KEY = framed(1, avro(KEY_SCHEMA, {"id": "vm:backup"}))


@pytest.fixture
def known(registry: Registry) -> Registry:
    registry.schemas = {1: json.dumps(KEY_SCHEMA), 2: json.dumps(envelope_schema())}
    return registry


def decode(registry: Registry, value: bytes | None, key: bytes | None = KEY) -> list[InventoryChange]:
    decoded = formats.decoder("debezium_avro", "inventory", {"registry": registry.url})(message(value, key))
    assert decoded.refused == []
    return list(decoded.rows)


@pytest.mark.parametrize(
    ("op", "snapshot", "expected"),
    [
        ("c", "false", InventoryChange("entity", "upsert", ("vm:backup",), EXPECTED, MS)),
        ("u", "false", InventoryChange("entity", "upsert", ("vm:backup",), EXPECTED, MS)),
        ("r", "first", InventoryChange("entity", "upsert", ("vm:backup",), EXPECTED, MS, True, "first")),
        ("d", "false", InventoryChange("entity", "delete", ("vm:backup",), None, MS)),
        ("t", "false", InventoryChange("entity", "truncate", (), None, MS)),
    ],
)
def test_envelopes(known: Registry, op: str, snapshot: str, expected: InventoryChange) -> None:
    after = ROW if op in "cur" else None
    assert decode(known, framed(2, avro(envelope_schema(), event(op, after, snapshot)))) == [expected]


def test_schemas_are_asked_for_once(known: Registry) -> None:
    decode_one = formats.decoder("debezium_avro", "inventory", {"registry": known.url})
    for _ in range(3):
        decode_one(message(framed(2, avro(envelope_schema(), event("c", ROW))), KEY))
    assert [path.rpartition("/")[2] for path in known.asked] == ["1", "2"]


def test_unwrapped_rows(known: Registry) -> None:
    more = [
        {"name": "__op", **TEXT_OR_NULL},
        {"name": "__source_table", **TEXT_OR_NULL},
        {"name": "__source_ts_ms", "type": ["null", "long"], "default": None},
        {"name": "__deleted", **TEXT_OR_NULL},
    ]
    known.schemas[3] = json.dumps(value_schema(*more))
    told = {"__op": "u", "__source_table": "entity", "__source_ts_ms": MS, "__deleted": "false"}
    sent = framed(3, avro(value_schema(*more), {**ROW, **told}))
    assert decode(known, sent) == [InventoryChange("entity", "upsert", ("vm:backup",), EXPECTED, MS)]
    gone = framed(3, avro(value_schema(*more), {**ROW, **told, "__op": "d", "__deleted": "true"}))
    assert decode(known, gone) == [InventoryChange("entity", "delete", ("vm:backup",), None, MS)]


def test_tombstones_repeat_the_delete_where_the_key_tells_the_table(known: Registry) -> None:
    assert decode(known, None) == []
    routed = {**KEY_SCHEMA, "fields": [*COLUMNS[:1], {"name": "__dbz__physicalTableIdentifier", "type": "string"}]}
    known.schemas[4] = json.dumps(routed)
    key = {"id": "vm:backup", "__dbz__physicalTableIdentifier": "cdc.inventory.entity"}
    assert decode(known, None, framed(4, avro(routed, key))) == [
        InventoryChange("entity", "delete", ("vm:backup",), None, RECORD_MS)
    ]


def test_columns_of_other_types_arrive_as_text_and_what_the_log_did_not_hold_is_left_out(known: Registry) -> None:
    more: list[dict[str, Any]] = [
        {"name": "price", "type": ["null", DECIMAL], "default": None},
        {"name": "since", "type": ["null", {"type": "int", "logicalType": "date"}], "default": None},
        {"name": "blob", "type": ["null", "bytes"], "default": None},
        {"name": "big", "type": ["null", "bytes"], "default": None},
        {"name": "tags", "type": {"type": "array", "items": "string"}},
    ]
    known.schemas[5] = json.dumps(envelope_schema(*more))
    row = {
        **ROW,
        "name": "__debezium_unavailable_value",
        "price": decimal.Decimal("39.98"),
        "since": datetime.date(2026, 11, 21),
        "blob": b"\x01\x02",
        "big": b"__debezium_unavailable_value",
        "tags": ["a", "b"],
    }
    (change,) = decode(known, framed(5, avro(envelope_schema(*more), event("u", row))))
    expected = {name: value for name, value in EXPECTED.items() if name != "name"}
    assert change.row == {**expected, "price": "39.98", "since": "2026-11-21", "blob": "AQI=", "tags": ["a", "b"]}


def dead(registry: Registry, value: bytes | None, key: bytes | None = KEY) -> str:
    with pytest.raises(DecodeError) as caught:
        decode(registry, value, key)
    assert str(caught.value).startswith("debezium_avro: ")
    return str(caught.value)


def test_what_is_no_change_event_is_dead(known: Registry) -> None:
    whole = framed(2, avro(envelope_schema(), event("c", ROW)))
    assert "begins with 0x7b; a zero byte and the schema's id" in dead(known, b'{"op": "c"}')
    assert "schema 9 is not in the registry" in dead(known, framed(9, b""))
    assert "the value: bytes follow its end; is the schema another?" in dead(known, whole + b"\x00")
    assert "the message's key" in dead(known, whole, framed(1, avro(KEY_SCHEMA, {"id": "vm:other"})))
    known.schemas[6] = '"string"'
    assert "the value is 'a'; a change event is expected" in dead(known, framed(6, b"\x02a"))
    assert "the key is 'a'; an object of the primary key's columns" in dead(known, whole, framed(6, b"\x02a"))
    known.schemas[7] = "[[["
    assert "schema 7 of the registry is not an Avro schema" in dead(known, framed(7, b""))
    for size in range(5, len(whole)):
        assert "of its schema" in dead(known, whole[:size])


def test_a_registry_must_be_named() -> None:
    with pytest.raises(UsageError, match="format 'debezium_avro': registry is missing"):
        formats.decoder("debezium_avro", "inventory")
