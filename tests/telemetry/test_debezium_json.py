"""Debezium's change events, by its documentation and by what a real connector wrote for a real PostgreSQL."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from afoot.errors import DecodeError
from afoot.telemetry import formats
from afoot.telemetry.rows import InventoryChange, Message
from afoot.telemetry.wire.debezium_json import Change, read
from tests.telemetry.support import RECORD_MS, as_json, sample, sample_lines

MS = 1_795_229_913_497


def recorded(name: str) -> Message:
    """A record of the real connector, as the consumer printed it."""
    return of_record(json.loads(sample(f"recorded/{name}.json")))


def of_record(record: dict[str, Any]) -> Message:
    def encoded(part: Any) -> bytes | None:
        return None if part is None else as_json(part)

    return Message(
        record["topic"],
        record["partition"],
        record["offset"],
        record["timestamp"],
        encoded(record["key"]),
        encoded(record["value"]),
    )


def message(value: Any, key: Any = None, topic: str = "inventory") -> Message:
    return Message(
        topic, 0, 7, RECORD_MS, None if key is None else as_json(key), None if value is None else as_json(value)
    )


def envelope(op: str, table: str, row: Any = None, **changes: Any) -> dict[str, Any]:
    source = {"connector": "postgresql", "ts_ms": MS, "schema": "inventory", "table": table, "snapshot": "false"}
    return {"before": None, "after": row, "source": source, "op": op, "ts_ms": MS + 200, **changes}


def nested(depth: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


ENTITY: dict[str, Any] = {
    "id": "vm:backup",
    "type": "vm",
    "name": "backup",
    "component": "compute",
    "attributes": '{"match": [{"InstanceId": "i-1"}]}',
    "updated_at": "2026-11-21T02:58:33.497322Z",
}
KEY = {"id": "vm:backup"}
ENTITY_ROW = {**ENTITY, "attributes": {"match": [{"InstanceId": "i-1"}]}}


def decode(value: Any, key: Any = None, topic: str = "inventory") -> list[InventoryChange]:
    decoded = formats.decoder("debezium_json")(message(value, key, topic))
    assert decoded.refused == []
    return decoded.rows


def dead(value: Any, key: Any = None, topic: str = "inventory") -> str:
    with pytest.raises(DecodeError) as caught:
        decode(value, key, topic)
    assert str(caught.value).startswith("debezium_json")
    return str(caught.value)


# ---- what a real connector wrote: tables volumes and pods -----------------------------------------------------------

VOLUME = {
    "id": 2,
    "volume_id": "vol-2",
    "pool": "hdd",
    "size_gb": "2000.00",
    "labels": "{}",
    "state": "free",
    "created_at": "2026-11-21T02:56:20.721679Z",
    "updated_at": "2026-11-21T02:56:20.721679Z",
}
POD = {
    "uid": "7627ab0f-ae04-4edb-bb2b-5ca1175d401d",
    "name": "p-1",
    "namespace": "ns",
    "node": "n1",
    "volume_ids": ["vol-1"],
    "cpu": 0.5,
    "started_at": "2026-11-21T02:56:20.722576Z",
    "updated_at": 1795229780723,
}
POD_KEY = {"uid": "7627ab0f-ae04-4edb-bb2b-5ca1175d401d"}
POD_AFTER = {**POD, "node": "n2", "updated_at": 1795229804487}
VOLUME_4 = {
    **VOLUME,
    "id": 4,
    "volume_id": "vol-4",
    "pool": "ssd",
    "size_gb": "10.00",
    "labels": '{"team": "b"}',
    "created_at": "2026-11-21T02:58:33.493606Z",
    "updated_at": "2026-11-21T02:58:33.493606Z",
}
VOLUME_3 = {
    **VOLUME_4,
    "id": 3,
    "volume_id": "vol-3",
    "state": "bound",
    "created_at": "2026-11-21T02:56:44.482579Z",
    "updated_at": "2026-11-21T02:58:33.497322Z",
}
BIG = {  # without `labels`, whose value the log did not hold
    "id": 5,
    "volume_id": "vol-big",
    "pool": "ssd",
    "size_gb": "1.00",
    "state": "bound",
    "created_at": "2026-11-21T03:19:10.652238Z",
    "updated_at": "2026-11-21T03:19:10.671877Z",
}


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("envelope-volumes-r", Change("upsert", "volumes", {"id": 2}, VOLUME, 1795229782156, True, "last")),
        ("envelope-volumes-c", Change("upsert", "volumes", {"id": 4}, VOLUME_4, 1795229913494, False)),
        ("envelope-volumes-u", Change("upsert", "volumes", {"id": 3}, VOLUME_3, 1795229913497, False)),
        ("envelope-volumes-toast-unavailable", Change("upsert", "volumes", {"id": 5}, BIG, 1795231150671, False)),
        ("envelope-volumes-d", Change("delete", "volumes", {"id": 4}, {}, 1795229915547, False)),
        ("envelope-volumes-tombstone", None),
        ("envelope-pods-r", Change("upsert", "pods", POD_KEY, POD, 1795229782156, True, "last")),
        ("envelope-pods-u", Change("upsert", "pods", POD_KEY, POD_AFTER, 1795229804487, False)),
        ("envelope-pods-d", Change("delete", "pods", POD_KEY, {}, 1795229806568, False)),
        ("envelope-pods-tombstone", None),
        ("unwrap-volumes-r", Change("upsert", "volumes", {"id": 2}, VOLUME, 1795229783030, True)),
        ("unwrap-volumes-c", Change("upsert", "volumes", {"id": 4}, VOLUME_4, 1795229913494, False)),
        ("unwrap-volumes-u", Change("upsert", "volumes", {"id": 3}, VOLUME_3, 1795229913497, False)),
        ("unwrap-volumes-d", Change("delete", "volumes", {"id": 4}, {}, 1795229915547, False)),
        ("unwrap-volumes-tombstone", None),
        ("unwrap-pods-r", Change("upsert", "pods", POD_KEY, POD, 1795229783030, True)),
        ("unwrap-pods-u", Change("upsert", "pods", POD_KEY, POD_AFTER, 1795229804487, False)),
        ("unwrap-pods-d", Change("delete", "pods", POD_KEY, {}, 1795229806568, False)),
        ("unwrap-pods-tombstone", None),
        ("heartbeat", Change("heartbeat", "heartbeat", {}, {}, 1795229782632, False)),
    ],
)
def test_records_of_a_real_connector(name: str, change: Change | None) -> None:
    assert read(recorded(f"one-debezium-{name}")) == change


@pytest.mark.parametrize(
    ("mark", "reading"),
    [
        ("first", "first"),
        ("first_in_data_collection", "first"),
        ("true", "next"),
        ("last_in_data_collection", "last"),
        ("last", "last"),
        ("incremental", ""),
        ("false", ""),
        (True, ""),
        (None, ""),
    ],
)
def test_a_snapshot_s_row_says_where_in_its_table_it_stands(mark: Any, reading: str) -> None:
    source = {"table": "entity", "ts_ms": RECORD_MS, "snapshot": mark}
    after = {"id": "vm:a", "name": "a"}
    (read_, streamed) = (decode({"op": op, "source": source, "after": after}) for op in "rc")
    unwrapped = {**after, "__op": "r", "__source_table": "entity", "__source_ts_ms": RECORD_MS}
    assert read_ == decode({**unwrapped, "__source_snapshot": mark})
    assert read_ == [InventoryChange("entity", "upsert", ("vm:a",), after, RECORD_MS, True, reading)]  # type: ignore[arg-type]
    assert streamed == [InventoryChange("entity", "upsert", ("vm:a",), after, RECORD_MS)]
    beat = {"op": "r", "source": {**source, "table": "heartbeat"}, "after": {"id": 1, "at": "now"}}
    assert decode(beat) == [InventoryChange("heartbeat", "heartbeat", (), None, RECORD_MS, reading=reading)]  # type: ignore[arg-type]
    apart = decode(beat, topic="cmdb.inventory.heartbeat")
    assert apart == [InventoryChange("heartbeat", "heartbeat", (), None, RECORD_MS)]


def test_a_snapshot_s_row_that_cannot_be_used_is_still_there() -> None:
    source = {"table": "entity", "ts_ms": RECORD_MS, "snapshot": "true"}
    value = {"op": "r", "source": source, "after": {"id": "vm:a", "name": 7}}
    rows, refused = formats.decoder("debezium_json")(message(value, {"id": "vm:a"}, "inventory"))
    assert rows == [InventoryChange("entity", "upsert", ("vm:a",), {"id": "vm:a"}, RECORD_MS, True, "next")]
    assert refused == ["entity.name is 7; text is expected"]


def test_a_whole_topic_of_a_real_connector() -> None:
    found = [read(of_record(record)) for record in json.loads(sample("recorded/cdc.inventory.volumes.json"))]
    assert [(change.op, change.key["id"], change.snapshot) if change else None for change in found] == [
        ("upsert", 1, True),
        ("upsert", 2, True),
        ("upsert", 3, False),
        ("upsert", 2, False),
        ("delete", 1, False),
        None,
        ("upsert", 4, False),
        ("upsert", 3, False),
        ("delete", 4, False),
        None,
        ("upsert", 5, False),
        ("upsert", 5, False),
        ("upsert", 6, False),
        ("delete", 6, False),
        None,
        ("upsert", 500, False),
    ]
    big, changed = (change for change in found if change and change.key == {"id": 5})
    assert len(big.row["labels"]) > 9_000
    assert "labels" not in changed.row


def test_other_tables_are_dead_letters_that_name_them() -> None:
    with pytest.raises(
        DecodeError, match="table 'pods' is none of the inventory's: entity, relation, schedule, heartbeat"
    ):
        formats.decoder("debezium_json")(recorded("one-debezium-envelope-pods-u"))


# ---- older captures and the documentation's examples ----------------------------------------------------------------

ANNE = {"id": 1, "first_name": "Anne", "last_name": "Kretchmar", "email": "annek@noanswer.org"}


@pytest.mark.parametrize(
    ("name", "op", "row"),
    [
        ("create", "upsert", ANNE),
        ("update", "upsert", {**ANNE, "first_name": "Anne Marie"}),
        ("delete", "delete", {}),
        ("truncate", "truncate", {}),
    ],
)
def test_the_documentation_s_examples(name: str, op: str, row: dict[str, Any]) -> None:
    value = json.loads(sample(f"debezium/postgres_doc_{name}.json"))
    key = None if op == "truncate" else {"schema": None, "payload": {"id": 1}}
    change = read(message(value, key))
    assert change == Change(op, "customers", {} if key is None else {"id": 1}, row, 1559033904863, False)


def test_the_documentation_s_tombstone() -> None:
    record = json.loads(sample("debezium/postgres_tombstone.json"))
    assert read(message(record["value"], record["key"], "server.inventory.customers")) is None


def test_an_unwrapped_row_with_its_schema() -> None:
    value = json.loads(sample("debezium/unwrap-with-schema.json"))
    row = {"id": 10003, "order_date": 16850, "purchaser": 1002, "quantity": 2, "product_id": 106}
    assert read(message(value)) == Change("upsert", "orders", {}, row, 1596309876678, True)


def test_records_of_older_connectors() -> None:
    created = read(message(json.loads(sample("debezium/postgres_2.1_create_payload.json"))))
    bob = {"id": 1005, "first_name": "Bob", "last_name": "Marley", "email": "bob@marley.com"}
    assert created == Change("upsert", "customers", {}, bob, 1733906311010, False)
    pairs = [json.loads(line) for line in sample_lines("debezium/postgres_key_value_noschema.ndjson")]
    found = [read(message(pair["value"], pair["key"])) for pair in pairs]
    assert [(change.table, change.key, change.time_ms) for change in found if change] == [
        ("purchaseorder", {"id": 1}, 1610716846989),
        ("orderline", {"id": 1}, 1610716846989),
        ("orderline", {"id": 2}, 1610716846989),
        ("orderline", {"id": 2}, 1610716988917),
    ]
    full = [read(message(json.loads(line))) for line in sample_lines("debezium/postgres_rucd_replica_full.ndjson")]
    assert [(change.op, change.row.get("id"), change.time_ms, change.snapshot) for change in full if change] == [
        ("upsert", 101, 1596001099434, True),
        ("upsert", 109, 1596001099437, True),
        ("upsert", 106, 1596010889629, False),
        ("upsert", 110, 1596010946488, False),
        ("delete", None, 1596010988168, False),
    ]


# ---- the inventory's tables -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrapped", [True, False])
@pytest.mark.parametrize("op", ["c", "u", "r"])
def test_rows(op: str, wrapped: bool) -> None:
    def sent(part: Any) -> Any:
        return {"schema": {"type": "struct"}, "payload": part} if wrapped else part

    assert decode(sent(envelope(op, "entity", ENTITY)), sent(KEY)) == [
        InventoryChange("entity", "upsert", ("vm:backup",), ENTITY_ROW, MS, op == "r")
    ]
    flat = {**ENTITY, "__op": op, "__source_ts_ms": MS, "__source_table": "entity", "__deleted": "false"}
    assert decode(sent(flat), sent(KEY)) == [
        InventoryChange("entity", "upsert", ("vm:backup",), ENTITY_ROW, MS, op == "r")
    ]


def test_keys_of_each_table() -> None:
    relation = {"from_id": "vm:backup", "to_id": "volume:svm1/flexvol7", "kind": "attached_to"}
    assert decode(envelope("c", "relation", relation), relation)[0].key == (
        "vm:backup",
        "volume:svm1/flexvol7",
        "attached_to",
    )
    schedule = {"id": "s1", "entity_id": "vm:backup", "expression": "40 * * * *", "timezone": "UTC", "command": "x"}
    assert decode(envelope("c", "schedule", schedule), {"id": "s1"}) == [
        InventoryChange("schedule", "upsert", ("s1",), schedule, MS)
    ]


def test_deletes_trust_the_key_alone() -> None:
    placeholders = {"id": "", "type": "", "name": None, "attributes": None, "updated_at": "1970-01-01T00:00:00Z"}
    deleted = InventoryChange("entity", "delete", ("vm:backup",), None, MS)
    assert decode(envelope("d", "entity", before=placeholders), KEY) == [deleted]
    flat = {**placeholders, "__op": "d", "__source_ts_ms": MS, "__source_table": "entity", "__deleted": "true"}
    assert decode(flat, KEY) == [deleted]
    del flat["__op"]
    assert decode(flat, KEY) == [deleted]
    assert "entity.id, of the primary key, is nothing" in dead(envelope("d", "entity", before=ENTITY))


def test_tombstones_repeat_the_delete_where_the_table_is_known() -> None:
    assert decode(None, KEY) == []
    assert decode(None, {"schema": None, "payload": KEY}) == []
    assert decode(None) == []
    deleted = InventoryChange("entity", "delete", ("vm:backup",), None, RECORD_MS)
    assert decode(None, KEY, "inventory.inventory.entity") == [deleted]
    assert decode(None, {**KEY, "__dbz__physicalTableIdentifier": "cdc.inventory.entity"}) == [deleted]
    relation = {"from_id": "a", "to_id": "b", "kind": "writes"}
    assert decode(None, relation) == [InventoryChange("relation", "delete", ("a", "b", "writes"), None, RECORD_MS)]


def test_a_key_change_is_a_delete_and_an_insert() -> None:
    moved = {**ENTITY, "id": "vm:backup-2"}
    found = decode(envelope("d", "entity"), KEY) + decode(envelope("c", "entity", moved), {"id": "vm:backup-2"})
    assert [(change.op, change.key) for change in found] == [("delete", ("vm:backup",)), ("upsert", ("vm:backup-2",))]
    assert "is not the row's" in dead(envelope("u", "entity", moved), KEY)


@pytest.mark.parametrize(
    "unavailable",
    [
        "__debezium_unavailable_value",
        ["__debezium_unavailable_value"],
        "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==",
    ],
)
def test_a_column_that_the_log_did_not_hold_is_left_out(unavailable: Any) -> None:
    (found,) = decode(envelope("u", "entity", {**ENTITY, "attributes": unavailable}), KEY)
    assert found.row is not None
    assert "attributes" not in found.row
    assert found.row["name"] == "backup"


def test_truncates() -> None:
    assert decode(envelope("t", "relation")) == [InventoryChange("relation", "truncate", (), None, MS)]
    flat = {"__op": "t", "__source_ts_ms": MS, "__source_table": "relation"}
    assert decode(flat) == [InventoryChange("relation", "truncate", (), None, MS)]


def test_heartbeats() -> None:
    beat = [InventoryChange("heartbeat", "heartbeat", (), None, MS)]
    assert decode(envelope("u", "heartbeat", {"id": 1, "at": "2026-11-21T02:58:33Z"}), {"id": 1}) == beat
    assert decode(envelope("t", "heartbeat")) == beat
    assert decode(envelope("m", "", message={"prefix": "heartbeat", "content": ""})) == beat
    assert decode({"ts_ms": MS}, {"serverName": "cdc"}, "__debezium-heartbeat.cdc") == beat
    flat = {"id": 1, "__op": "u", "__source_ts_ms": MS, "__table": "heartbeat"}
    assert decode(flat, {"id": 1}) == beat


def test_the_table_of_an_unwrapped_row() -> None:
    flat = {**ENTITY, "__source_ts_ms": MS}
    for value, key, topic in (
        ({**flat, "__table": "entity"}, KEY, "inventory"),
        (flat, {**KEY, "__dbz__physicalTableIdentifier": "cdc.inventory.entity"}, "inventory"),
        (flat, KEY, "cdc.inventory.entity"),
    ):
        assert decode(value, key, topic)[0][:3] == ("entity", "upsert", ("vm:backup",))
    assert "nothing says which table it is of: add.fields=op,source.table,source.ts_ms" in dead(flat, KEY)


def test_attributes() -> None:
    for sent, expected in (({"a": 1}, {"a": 1}), ("{}", {}), (None, None)):
        (found,) = decode(envelope("c", "entity", {**ENTITY, "attributes": sent}), KEY)
        assert found.row is not None
        assert found.row["attributes"] == expected


def test_ids_with_quotes_line_ends_and_html_arrive_as_they_are() -> None:
    hostile = 'vm:"x"\n<script>alert(1)</script>\x00\U0001f600'
    (found,) = decode(envelope("c", "entity", {**ENTITY, "id": hostile}), {"id": hostile})
    assert found.key == (hostile,)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (envelope("x", "entity", ENTITY), "op is 'x'; c, r, u, d, t and m are known"),
        (envelope("c", "entity", None), "op is 'c', but after is nothing; the row is expected"),
        (envelope("c", "pods", ENTITY), "table 'pods' is none of the inventory's"),
        ({**envelope("c", "entity", ENTITY), "source": None}, "source is nothing; an object is expected"),
        ({**envelope("c", "entity", ENTITY), "source": {"table": "entity"}}, "source.ts_ms is nothing, not an integer"),
        ({**envelope("c", "entity", ENTITY), "source": {"ts_ms": MS}}, "source.table is nothing; a table's name"),
        ({**envelope("c", "entity", ENTITY), "source": {"ts_ms": 0, "table": "entity"}}, "source.ts_ms is missing (0)"),
        (envelope("c", "entity", {**ENTITY, "id": ""}), "entity.id, of the primary key, is ''"),
        (envelope("c", "entity", {**ENTITY, "id": None}), "entity.id, of the primary key, is nothing"),
        (envelope("c", "entity", {**ENTITY, "name": 5}), "entity.name is 5; text is expected"),
        (envelope("c", "entity", {**ENTITY, "attributes": "{"}), "entity.attributes is not JSON"),
        (
            envelope("c", "entity", {**ENTITY, "attributes": "[]"}),
            "entity.attributes is an array; an object is expected",
        ),
        (
            envelope("c", "entity", {**ENTITY, "attributes": {"x": [math.nan]}}),
            "entity.attributes is nan; finite numbers",
        ),
        (envelope("c", "entity", {**ENTITY, "size": math.inf}), "entity.size is inf; finite numbers only"),
        (envelope("c", "entity", {**ENTITY, "deep": nested(65)}), "entity.deep is nested over 64 deep"),
        ({**ENTITY, "__source_table": "entity"}, "__source_ts_ms is missing; add.fields="),
        ({**ENTITY, "__source_table": "entity", "__source_ts_ms": MS, "__op": "z"}, "__op is 'z'"),
        ({"status": "BEGIN", "id": "5:1"}, "nothing says which table"),
        ([], "the value is an array; a change event is expected"),
        ("text", "the value is 'text'; a change event is expected"),
    ],
)
def test_other_messages_are_dead(value: Any, reason: str) -> None:
    assert reason in dead(value)


def test_broken_keys_are_dead() -> None:
    broken = message(envelope("d", "entity"))._replace(key=b"{")
    with pytest.raises(DecodeError, match="debezium_json: key: not JSON"):
        formats.decoder("debezium_json")(broken)
    assert "the key is 'vm:backup'; an object of the primary key's columns is expected" in dead(
        envelope("d", "entity"), "vm:backup"
    )


def test_a_registry_s_header_is_passed_over() -> None:
    framed = message(envelope("d", "entity"), KEY)
    framed = framed._replace(key=b"\x00\x00\x00\x00\x07" + (framed.key or b""))
    framed = framed._replace(value=b"\x00\x00\x00\x00\x08" + (framed.value or b""))
    assert formats.decoder("debezium_json")(framed).rows == [
        InventoryChange("entity", "delete", ("vm:backup",), None, MS)
    ]
