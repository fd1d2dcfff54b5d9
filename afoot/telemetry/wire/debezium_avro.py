"""Debezium's change events in Avro with a schema registry (Confluent's wire format), as envelopes and unwrapped.

Key and value each begin with a zero byte and the id of their schema in four.
"""

from __future__ import annotations

import base64
import datetime
import decimal
import io
import uuid
from typing import Any

import fastavro

from afoot.errors import DecodeError, UsageError
from afoot.telemetry import registry
from afoot.telemetry.debezium import Change, change_of, checked_key, decoded, tombstone_of
from afoot.telemetry.formats import Decoder
from afoot.telemetry.payload import received
from afoot.telemetry.rows import Decoded, Message
from afoot.telemetry.values import Refused

KINDS = ("inventory",)
OPTIONS = {"registry": "URL of the schema registry, which this format needs"}
_FORMAT = "debezium_avro"
_CAUGHT = (ValueError, EOFError, LookupError, TypeError, OverflowError, AttributeError, MemoryError, RecursionError)
_AS_TEXT = (decimal.Decimal, datetime.date, datetime.time, datetime.timedelta, uuid.UUID)  # a datetime is a date


def make(kind: str, options: dict[str, str]) -> Decoder:
    """The decoder of a topic that a connector with Avro converters fills."""
    if "registry" not in options:
        raise UsageError(f"format {_FORMAT!r}: registry is missing; the URL of the schema registry is expected")
    schemas = registry.Schemas(options["registry"], _FORMAT)

    def decode(message: Message) -> Decoded:
        try:
            change = read(message, schemas)
            return Decoded([], []) if change is None else decoded(change, message.topic)
        except Refused as error:
            raise DecodeError(f"{_FORMAT}: {error}") from None

    return decode


def read(message: Message, schemas: registry.Schemas) -> Change | None:
    """The change that a message tells; None for a tombstone whose table nothing tells."""
    key = checked_key(_record(message.key, schemas, "the key") if message.key else None)
    if message.value is None:
        return tombstone_of(message, key)
    return change_of(_record(received(message, _FORMAT), schemas, "the value"), key, message.topic)


def _record(value: bytes, schemas: registry.Schemas, what: str) -> Any:
    schema = schemas.of(value)
    stream = io.BytesIO(value[registry.HEADER :])
    try:
        found = fastavro.schemaless_reader(stream, schema, None)
    except _CAUGHT as error:
        at = f"at or before byte {registry.HEADER + stream.tell()} of {len(value)}"
        raise DecodeError(f"{_FORMAT}: {what}, {at}: not of its schema: {error}") from None
    if registry.HEADER + stream.tell() != len(value):
        raise DecodeError(f"{_FORMAT}: {what}: bytes follow its end; is the schema another?")
    return _plain(found)


def _plain(value: Any) -> Any:
    """A value as JSON has it: numbers of any scale and times as text, bytes as base64, as Debezium's JSON has them."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, _AS_TEXT):
        return value.isoformat() if isinstance(value, datetime.datetime | datetime.date) else str(value)
    return value
