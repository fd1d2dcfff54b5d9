"""The rows of schemas/ as Avro: a message is an array of rows, or one row, in binary encoding without a file's header.

With a schema registry each message names its schema (Confluent's wire format: a zero byte and the id in four), which
may be the row or an array of it: fields are found by their names, those with defaults may be left out or null, and
others may be added. Without one the schema is that of schemas/, and the option `message` says whether a message is
`rows` or one `row`.
"""

from __future__ import annotations

import io
from typing import Any

import fastavro

import schemas
from afoot.errors import DecodeError, UsageError
from afoot.telemetry import avro_points, canonical, registry
from afoot.telemetry.avro_values import Broken, blocks
from afoot.telemetry.formats import Decoder
from afoot.telemetry.payload import check_rows, received
from afoot.telemetry.rows import Decoded, Message

KINDS = ("metrics", "logs", "flows", "inventory")
OPTIONS = {
    "message": 'what a message holds: "rows", an array (unless told otherwise), or "row", one',
    "registry": "URL of a schema registry: messages then begin with the id of their schema",
}
_FORMAT = "avro"
_CAUGHT = (ValueError, EOFError, LookupError, TypeError, OverflowError, AttributeError, MemoryError, RecursionError)


def make(kind: str, options: dict[str, str]) -> Decoder:
    """The decoder of a topic of one kind."""
    holds = options.get("message", "rows")
    if holds not in ("rows", "row"):
        raise UsageError(f"format {_FORMAT!r}: message is {holds!r}; allowed are rows, row")
    if "registry" in options:
        return _registered(kind, options["registry"])
    if kind == "metrics":
        points = avro_points.Reader(_FORMAT)
        return lambda message: points.decode(received(message, _FORMAT), many=holds == "rows")
    schema = fastavro.parse_schema(schemas.load(canonical.SCHEMAS[kind] + ".avsc"))
    read = canonical.reader(kind)
    return lambda message: read(_items(received(message, _FORMAT), schema, holds == "rows"), _FORMAT)


def _registered(kind: str, url: str) -> Decoder:
    """The decoder of messages that name their schema: that of a row, or of an array of rows."""
    source = registry.Schemas(url, _FORMAT)
    read = canonical.reader(kind)
    rows: dict[int, tuple[Any, bool]] = {}  # by the schema's id: that of a row, and whether a message holds many

    def decode(message: Message) -> Decoded:
        value = received(message, _FORMAT)
        schema = source.of(value)
        number = registry.schema_id(value, _FORMAT)
        if number not in rows:
            many = isinstance(schema, dict) and schema.get("type") == "array"
            rows[number] = fastavro.parse_schema(schema["items"]) if many else schema, many
        return read(_items(value[registry.HEADER :], *rows[number]), _FORMAT)

    return decode


def _items(value: bytes, schema: Any, many: bool) -> list[Any]:
    """The rows as dicts, read one at a time so that a hostile message is refused before it fills the memory."""
    stream = io.BytesIO(value)
    found: list[Any] = []
    try:
        if many:
            for count in blocks(stream):
                check_rows(len(found) + count, _FORMAT)
                found.extend(fastavro.schemaless_reader(stream, schema, None) for _ in range(count))
        else:
            found.append(fastavro.schemaless_reader(stream, schema, None))
    except Broken as error:
        raise DecodeError(f"{_FORMAT}: {error}") from None
    except _CAUGHT as error:
        at = f"row {len(found)}, at or before byte {stream.tell()} of {len(value)}"
        raise DecodeError(f"{_FORMAT}: {at}: not a row of the schema: {error}") from None
    if stream.tell() != len(value):
        raise DecodeError(f"{_FORMAT}: {len(value) - stream.tell()} bytes follow the last row; is the schema another?")
    return found
