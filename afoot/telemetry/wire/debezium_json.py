"""Debezium's change events in JSON, with and without schema, as envelopes and unwrapped (ExtractNewRecordState)."""

from __future__ import annotations

from typing import Any

from afoot.errors import DecodeError
from afoot.telemetry.debezium import Change, change_of, checked_key, decoded, tombstone_of
from afoot.telemetry.payload import document, parse
from afoot.telemetry.rows import Decoded, Message
from afoot.telemetry.values import Refused

KINDS = ("inventory",)
_FORMAT = "debezium_json"


def decode(message: Message) -> Decoded:
    """One change event: at most one row, and none for a tombstone that cannot be told to be of an inventory table."""
    try:
        change = read(message)
        return Decoded([], []) if change is None else decoded(change, message.topic)
    except Refused as error:
        raise DecodeError(f"{_FORMAT}: {error}") from None


def read(message: Message) -> Change | None:
    """The change that a message tells; None for a tombstone whose table nothing tells."""
    key = _key(message)
    if message.value is None:
        return tombstone_of(message, key)
    return change_of(_payload(document(message, _FORMAT)), key, message.topic)


def _key(message: Message) -> dict[str, Any]:
    if not message.key:
        return {}
    sent = message.key[5:] if message.key[:1] == b"\x00" else message.key
    return checked_key(_payload(parse(sent, f"{_FORMAT}: key")))


def _payload(found: Any) -> Any:
    """What Connect's JSON converter wraps in schema and payload where schemas.enable is true."""
    if type(found) is dict and found.keys() == {"schema", "payload"}:
        return found["payload"]
    return found
