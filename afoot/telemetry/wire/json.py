"""The rows of schemas/ as JSON: a message is one row or an array of rows, with a registry's header or without."""

from __future__ import annotations

from afoot.telemetry import canonical
from afoot.telemetry.formats import Decoder
from afoot.telemetry.payload import document, received
from afoot.telemetry.rows import Decoded, Message
from afoot.telemetry.shapes import LEAST, NUMBER, TIME_NS, TextShapes

KINDS = ("metrics", "logs", "flows", "inventory")
OPTIONS: dict[str, str] = {}
_SHAPED = LEAST * len('{"name":"x","labels":{},"time_ns":1,"value":0}')  # a message of fewer bytes has no shape
_POINT = rb'("time_ns": ?)(' + TIME_NS + rb')(, ?"value": ?)(' + NUMBER + rb")"


def make(kind: str, options: dict[str, str]) -> Decoder:
    """The decoder of a topic of one kind."""
    read = canonical.reader(kind)

    def decode(message: Message) -> Decoded:
        found = document(message, "json")
        return read(found if type(found) is list else [found], "json")

    if kind != "metrics":
        return decode
    shapes = TextShapes(_POINT, lambda value: decode(Message("", 0, 0, 0, None, value)))

    def decode_points(message: Message) -> Decoded:
        value = received(message, "json")
        return decode(message) if len(value) < _SHAPED else shapes.decode(value)

    return decode_points
