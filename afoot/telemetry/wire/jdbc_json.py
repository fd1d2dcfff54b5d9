"""Rows of the inventory tables as a JDBC source connector polls them: a bare row, or {schema, payload}.

Every record is an upsert: a poll does not see deletes. The table is the option's, else the last word of the topic's
name, else of the schema's. The version time is updated_at (milliseconds or RFC 3339), else the record's own time.
"""

from __future__ import annotations

import re
from typing import Any

from afoot.errors import DecodeError, UsageError
from afoot.telemetry.formats import Decoder
from afoot.telemetry.inventory import TABLES, heartbeat, upserted
from afoot.telemetry.payload import document, shown
from afoot.telemetry.rows import Decoded, InventoryChange, Message
from afoot.telemetry.values import Malformed, Refused, epoch_ns, rfc3339_ns

KINDS = ("inventory",)
OPTIONS = {"table": f"the table that the topic carries, where its name does not end in it: {', '.join(TABLES)}"}
_FORMAT = "jdbc_json"
_LAST_WORD = re.compile(r"[A-Za-z0-9]+$")
_MS = 1_000_000


def make(kind: str, options: dict[str, str]) -> Decoder:
    """The decoder of a topic of one inventory table."""
    table = options.get("table")
    if table is not None and table not in TABLES:
        raise UsageError(f"format {_FORMAT!r}: table is {table!r}; allowed are {', '.join(TABLES)}")

    def decode(message: Message) -> Decoded:
        try:
            return Decoded([_change(message, table)], [])
        except Refused as error:
            raise DecodeError(f"{_FORMAT}: {error}") from None

    return decode


def _change(message: Message, table: str | None) -> InventoryChange:
    row, schema_name = read(message)
    table = table or _table(message.topic) or _table(schema_name)
    if table is None:
        raise Malformed(
            f"topic {shown(message.topic)} does not end in a table of the inventory ({', '.join(TABLES)}); "
            "the option `table` says which it is"
        )
    time_ms = _version_ms(row, message)
    return heartbeat(time_ms) if table == "heartbeat" else upserted(table, row, time_ms, snapshot=False)


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


def _version_ms(row: dict[str, Any], message: Message) -> int:
    sent = row.get("updated_at", row.get("at"))
    if sent is None:
        return message.timestamp_ms
    if type(sent) is str:
        return rfc3339_ns(sent, "updated_at", "Z") // _MS
    return epoch_ns(sent, 1_000, "updated_at") // _MS
