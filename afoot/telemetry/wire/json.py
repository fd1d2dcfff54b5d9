"""The rows of schemas/ as JSON: a message is one row or an array of rows, with a registry's header or without."""

from __future__ import annotations

from afoot.telemetry import canonical
from afoot.telemetry.formats import Decoder
from afoot.telemetry.payload import document
from afoot.telemetry.rows import Decoded, Message

KINDS = ("metrics", "logs", "flows", "inventory")
OPTIONS: dict[str, str] = {}


def make(kind: str, options: dict[str, str]) -> Decoder:
    """The decoder of a topic of one kind."""
    read = canonical.reader(kind)

    def decode(message: Message) -> Decoded:
        found = document(message, "json")
        return read(found if type(found) is list else [found], "json")

    return decode
