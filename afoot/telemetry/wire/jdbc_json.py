"""Rows of the inventory tables as a JDBC source connector polls them: a bare row, or {schema, payload}.

Every record is an upsert. The table is the option's, else the last word of the topic's name, else of the schema's. The
version time is updated_at (an epoch time or RFC 3339), else the record's own time.

A poll does not see deletes, unless its query reads the whole table and says so in each row: polled_table, polled_at
(one for all rows of a poll), polled_row and polled_rows. What such a poll does not show is not there.
"""

from __future__ import annotations

import re
from typing import Any

from afoot.errors import DecodeError, UsageError
from afoot.telemetry.formats import Decoder
from afoot.telemetry.inventory import TABLES, heartbeat, read_row, upserted
from afoot.telemetry.payload import document, shown
from afoot.telemetry.rows import Decoded, InventoryChange, Message, Reading
from afoot.telemetry.values import MAX_NS, Malformed, Refused, checked_ns, count, epoch_ns, integer, rfc3339_ns

KINDS = ("inventory",)
OPTIONS = {"table": f"the table that the topic carries, where its name does not end in it: {', '.join(TABLES)}"}
_FORMAT = "jdbc_json"
_LAST_WORD = re.compile(r"[A-Za-z0-9]+$")
_MS = 1_000_000
_LAST_MS = MAX_NS // _MS


def make(kind: str, options: dict[str, str]) -> Decoder:
    """The decoder of a topic of one inventory table."""
    table = options.get("table")
    if table is not None and table not in TABLES:
        raise UsageError(f"format {_FORMAT!r}: table is {table!r}; allowed are {', '.join(TABLES)}")

    def decode(message: Message) -> Decoded:
        try:
            return _decoded(message, table)
        except Refused as error:
            raise DecodeError(f"{_FORMAT}: {error}") from None

    return decode


def _decoded(message: Message, table: str | None) -> Decoded:
    row, schema_name = read(message)
    if "polled_rows" in row:
        return _polled(row)
    table = table or _table(message.topic) or _table(schema_name)
    if table is None:
        raise Malformed(
            f"topic {shown(message.topic)} does not end in a table of the inventory ({', '.join(TABLES)}); "
            "the option `table` says which it is"
        )
    sent = row.get("updated_at", row.get("at"))
    time_ms = message.timestamp_ms if sent is None else _ms(sent, "updated_at")
    change = heartbeat(time_ms) if table == "heartbeat" else upserted(table, row, time_ms, snapshot=False)
    return Decoded([change], [])


def _polled(row: dict[str, Any]) -> Decoded:
    """A row of a poll of a whole table, or the only record of a poll that found the table empty."""
    table = row.get("polled_table")
    if type(table) is not str or table not in TABLES or table == "heartbeat":
        raise Refused(f"polled_table is {shown(table)}; allowed are entity, relation, schedule")
    time_ms = _ms(row.get("polled_at"), "polled_at")
    number, rows = count(row.get("polled_row"), "polled_row"), count(row["polled_rows"], "polled_rows")
    if number > rows or (number == 0) != (rows == 0):
        raise Refused(f"polled_row is {number} of polled_rows {rows}; 1 up to polled_rows is expected, 0 of 0 for none")
    reading: Reading = "last" if number == rows else "first" if number == 1 else "next"
    if rows == 0:
        return Decoded([InventoryChange(table, "upsert", (), None, time_ms, True, reading, 0)], [])
    columns = {name: value for name, value in row.items() if not name.startswith("polled_")}
    if columns.get("updated_at") is not None:
        columns["updated_at"] = _ms(columns["updated_at"], "updated_at")
    return read_row(table, columns, time_ms, reading, rows)


def read(message: Message) -> tuple[dict[str, Any], str]:
    """The row of a record of any table, and its schema's name if it has one."""
    found = document(message, _FORMAT)
    schema_name = ""
    if type(found) is dict and found.keys() == {"schema", "payload"}:
        schema = found["schema"]
        schema_name = str(schema.get("name") or "") if type(schema) is dict else ""
        found = found["payload"]
    if type(found) is not dict:
        raise Malformed(f"found {shown(found)}; a row as an object is expected")
    return found, schema_name


def _table(text: str) -> str | None:
    match = _LAST_WORD.search(text)
    return match[0] if match and match[0] in TABLES else None


def _ms(sent: Any, what: str) -> int:
    """A time in any timestamp.granularity of the connector, in milliseconds.

    A number's unit is the coarsest in which it is no later than 2262, where 63 bits of nanoseconds end: microseconds or
    nanoseconds that pass for a coarser unit would be of the first 107 days of 1970.
    """
    if type(sent) is str and not sent.isdecimal():
        return rfc3339_ns(sent, what, "Z") // _MS
    if type(sent) is float:
        return epoch_ns(sent, 1_000, what) // _MS
    found = integer(sent, what)
    if 0 < found <= _LAST_MS:
        return found
    if 0 < found <= _LAST_MS * 1_000:
        return found // 1_000
    return checked_ns(found, what) // _MS
