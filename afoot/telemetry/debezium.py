"""Debezium's change events, envelopes and unwrapped (ExtractNewRecordState), from what JSON and Avro readers give.

The key says which row: in a delete nothing else is trusted, for `before` may hold placeholders. A column whose value
Debezium could not say (TOAST) is left out of the row. The version time is source.ts_ms, unwrapped __source_ts_ms.
A snapshot's rows say in source.snapshot where each table's first and last are: what it does not show is not there.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from afoot.telemetry.inventory import TABLES, heartbeat, key_of, read_row, removed, table_of, upserted
from afoot.telemetry.payload import shown, shown_keys
from afoot.telemetry.rows import Decoded, InventoryChange, Message, Reading
from afoot.telemetry.values import Refused, epoch_ns, integer

_UNAVAILABLE = "__debezium_unavailable_value"
_UNAVAILABLE_BASE64 = "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="
_PHYSICAL_TABLE = "__dbz__physicalTableIdentifier"  # what Debezium's topic router adds to the keys of a shared topic
_OPERATIONS = "c, r, u, d, t and m"
# Values of source.snapshot for rows that are read in order, a table as a whole. Incremental snapshots are not.
_READINGS: dict[Any, Reading] = {
    "first": "first",
    "first_in_data_collection": "first",
    "true": "next",
    "last_in_data_collection": "last",
    "last": "last",
}


class Change(NamedTuple):
    """One change of any table, before it is asked whether the table is one of the inventory's."""

    op: str  # upsert, delete, truncate, heartbeat
    table: str
    key: dict[str, Any]
    row: dict[str, Any]
    time_ms: int
    snapshot: bool
    reading: Reading = ""


def change_of(value: Any, key: dict[str, Any], topic: str) -> Change:
    """The change that a message's value and key tell; Refused where they tell none."""
    if type(value) is not dict:
        raise Refused(f"the value is {shown(value)}; a change event is expected")
    if "op" in value and "source" in value:
        return _envelope(value, key)
    if value.keys() <= {"ts_ms", "ts_us", "ts_ns"} and "ts_ms" in value:  # Debezium's own heartbeat topic
        return Change("heartbeat", "heartbeat", {}, {}, _ms(value["ts_ms"], "ts_ms"), False)
    return _unwrapped(value, key, topic)


def tombstone_of(message: Message, key: dict[str, Any]) -> Change | None:
    """A delete at the record's time, where the table is known, else None; after a delete event it only repeats it."""
    table = _key_table(key) or _topic_table(message.topic)
    if table is None and {"from_id", "to_id", "kind"} <= key.keys():
        table = "relation"
    if table is None:
        return None
    return Change("delete", table, key, {}, message.timestamp_ms, False)


def checked_key(key: Any) -> dict[str, Any]:
    """A message's key; Refused if it is no object of columns."""
    if key is None:
        return {}
    if type(key) is not dict:
        raise Refused(f"the key is {shown(key)}; an object of the primary key's columns is expected")
    return key


def decoded(change: Change, topic: str) -> Decoded:
    """The row of a change; Refused if its table is none of the inventory's, or it does not fit it."""
    table, time_ms = table_of(change.table), change.time_ms
    if change.op == "heartbeat" or table == "heartbeat":
        # In a topic of its own it may be met before the rows of other topics, and ends nothing.
        return Decoded([heartbeat(time_ms, "" if _topic_table(topic) else change.reading)], [])
    if change.op == "truncate":
        return Decoded([InventoryChange(table, "truncate", (), None, time_ms)], [])
    if change.op == "delete":
        return Decoded([removed(table, change.key, time_ms)], [])
    if change.key and key_of(table, change.key) != key_of(table, {**change.key, **change.row}):
        raise Refused(f"the message's key {shown(str(change.key))} is not the row's")
    if change.reading:
        return read_row(table, change.row, time_ms, change.reading)
    return Decoded([upserted(table, change.row, time_ms, change.snapshot)], [])


def _envelope(value: dict[str, Any], key: dict[str, Any]) -> Change:
    op, source = value["op"], value["source"]
    if type(source) is not dict:
        raise Refused(f"source is {shown(source)}; an object is expected")
    time_ms = _ms(source.get("ts_ms"), "source.ts_ms")
    if op == "m":  # a logical message that a heartbeat's action wrote into the log
        return Change("heartbeat", "heartbeat", {}, {}, time_ms, False)
    table = source.get("table")
    if type(table) is not str:
        raise Refused(f"source.table is {shown(table)}; a table's name is expected")
    if op == "t":
        return Change("truncate", table, {}, {}, time_ms, False)
    if op == "d":
        return Change("delete", table, key, {}, time_ms, False)
    if op in ("c", "r", "u"):
        after = value.get("after")
        if type(after) is not dict:
            raise Refused(f"op is {op!r}, but after is {shown(after)}; the row is expected")
        return _upsert(table, key, after, time_ms, op, source.get("snapshot"))
    raise Refused(f"op is {shown(op)}; {_OPERATIONS} are known")


def _unwrapped(value: dict[str, Any], key: dict[str, Any], topic: str) -> Change:
    row = {name: column for name, column in value.items() if not name.startswith("__")}
    table = value.get("__source_table", value.get("__table"))
    if table is None:
        table = _key_table(key) or _topic_table(topic)
    if type(table) is not str:
        raise Refused(
            f"nothing says which table it is of: add.fields=op,source.table,source.ts_ms gives __source_table; "
            f"it has {shown_keys(value)}"
        )
    sent_time = value.get("__source_ts_ms")
    if sent_time is None:
        raise Refused("__source_ts_ms is missing; add.fields=op,source.table,source.ts_ms gives it")
    time_ms = _ms(sent_time, "__source_ts_ms")
    op = value.get("__op")
    if op == "t":
        return Change("truncate", table, {}, {}, time_ms, False)
    if op == "d" or value.get("__deleted") in ("true", True):
        return Change("delete", table, key, {}, time_ms, False)
    if op not in (None, "c", "r", "u"):
        raise Refused(f"__op is {shown(op)}; {_OPERATIONS} are known")
    return _upsert(table, key, row, time_ms, op, value.get("__source_snapshot"))


def _upsert(
    table: str, key: dict[str, Any], row: dict[str, Any], time_ms: int, op: str | None, snapshot: Any
) -> Change:
    reading: Reading = _READINGS.get(snapshot, "") if op == "r" and type(snapshot) is str else ""
    return Change("upsert", table, key, _said(row), time_ms, op == "r", reading)


def _key_table(key: dict[str, Any]) -> str | None:
    table = key.get(_PHYSICAL_TABLE)
    return table.rpartition(".")[2] if type(table) is str else None


def _topic_table(topic: str) -> str | None:
    last = topic.rpartition(".")[2]
    return last if last in TABLES else None


def _said(row: dict[str, Any]) -> dict[str, Any]:
    return {
        column: value
        for column, value in row.items()
        if value != _UNAVAILABLE and value != [_UNAVAILABLE] and value != _UNAVAILABLE_BASE64
    }


def _ms(value: Any, what: str) -> int:
    time_ms = integer(value, what)
    epoch_ns(time_ms, 1_000, what)
    return time_ms
