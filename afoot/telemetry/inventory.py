"""Rows of the three inventory tables, and of heartbeat, as changes: columns checked, attributes parsed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import orjson

from afoot.telemetry import limits
from afoot.telemetry.payload import shown
from afoot.telemetry.rows import Decoded, InventoryChange, Reading
from afoot.telemetry.values import Refused

TABLES: dict[str, tuple[str, ...]] = {
    "entity": ("id",),
    "relation": ("from_id", "to_id", "kind"),
    "schedule": ("id",),
    "heartbeat": (),
}
_COLUMNS: dict[str, tuple[str, ...]] = {
    "entity": ("id", "type", "name", "component"),
    "relation": ("from_id", "to_id", "kind"),
    "schedule": ("id", "entity_id", "expression", "timezone", "command"),
}


def table_of(name: str) -> str:
    """`name` itself if it is an inventory table."""
    if name not in TABLES:
        raise Refused(f"table {shown(name)} is none of the inventory's: {', '.join(TABLES)}")
    return name


def key_of(table: str, columns: Mapping[str, Any]) -> tuple[str, ...]:
    """The primary key of a row of `table`."""
    return tuple(_key_text(table, column, columns.get(column)) for column in TABLES[table])


def upserted(table: str, row: Mapping[str, Any], time_ms: int, snapshot: bool) -> InventoryChange:
    """A row as it is after a change; a column that is absent keeps its old value."""
    columns = dict(row)
    for column in _COLUMNS[table]:
        value = columns.get(column)
        if value is None or column in TABLES[table]:  # the key's columns are checked as the key
            continue
        if type(value) is not str or len(value) > limits.LABEL_CHARS:
            raise Refused(f"{table}.{column} is {shown(value)}; text is expected")
    if "attributes" in columns:
        columns["attributes"] = _attributes(columns["attributes"])
    for column, value in columns.items():
        if type(value) is not str:
            _check_json(value, f"{table}.{column if column.isidentifier() and len(column) <= 60 else shown(column)}")
    return InventoryChange(table, "upsert", key_of(table, columns), columns, time_ms, snapshot)


def read_row(table: str, row: Mapping[str, Any], time_ms: int, reading: Reading, rows: int | None = None) -> Decoded:
    """A row of a whole table's reading. One whose columns cannot be used is refused, and still there: by its key."""
    refused = []
    try:
        change = upserted(table, row, time_ms, snapshot=True)
    except Refused as error:
        change = upserted(table, {column: row.get(column) for column in TABLES[table]}, time_ms, snapshot=True)
        refused.append(str(error))
    return Decoded([change._replace(reading=reading, reading_rows=rows)], refused)


def removed(table: str, key: Mapping[str, Any], time_ms: int) -> InventoryChange:
    """The deletion of the row that `key` names."""
    return InventoryChange(table, "delete", key_of(table, key), None, time_ms)


def heartbeat(time_ms: int, reading: Reading = "") -> InventoryChange:
    """A message that says only that everything before `time_ms` was sent."""
    return InventoryChange("heartbeat", "heartbeat", (), None, time_ms, reading=reading)


def _key_text(table: str, column: str, value: Any) -> str:
    if type(value) is int and value.bit_length() <= 64:
        return str(value)
    if type(value) is not str or not value or len(value) > limits.NAME_CHARS:
        raise Refused(f"{table}.{column}, of the primary key, is {shown(value)}; text is expected")
    return value


def _check_json(value: Any, what: str, depth: int = 0) -> None:
    """Refused unless a value is what any reader of JSON takes: changes go on through the job as JSON."""
    if depth > limits.DEPTH:
        raise Refused(f"{what} is nested over {limits.DEPTH} deep")
    if isinstance(value, float) and not math.isfinite(value):
        raise Refused(f"{what} is {value}; finite numbers only")
    if isinstance(value, int) and value.bit_length() > 64:
        raise Refused(f"{what} is {shown(value)}; 64 bits are allowed")
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            _check_json(item, what, depth + 1)


def _attributes(value: Any) -> Any:
    if type(value) is str:  # a jsonb column is sent as text
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError as error:
            raise Refused(f"entity.attributes is not JSON: {error}") from None
    if value is not None and type(value) is not dict:
        raise Refused(f"entity.attributes is {shown(value)}; an object is expected")
    return value
