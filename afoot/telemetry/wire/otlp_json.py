"""OTLP/JSON as the OpenTelemetry Collector's Kafka exporter sends it (encoding otlp_json).

Kinds metrics and logs, flows for the log records of the netflow receiver, and inventory for what metrics or log records
tell of entities. Keys may be the proto's snake_case.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from afoot.errors import DecodeError
from afoot.telemetry import otlp, statements
from afoot.telemetry.formats import Decoder
from afoot.telemetry.otlp_text import Pieces
from afoot.telemetry.payload import parse, unpacked
from afoot.telemetry.rows import Decoded
from afoot.telemetry.shapes import NUMBER, TIME_NS, TextShapes
from afoot.telemetry.values import Refused

KINDS = ("metrics", "logs", "flows", "inventory")
OPTIONS = statements.OPTIONS
_INT64 = rb"-?(?:0|[1-9][0-9]{0,17})"  # safely
_VALUE = rb'(?<=asDouble":)%s|(?<=asDouble": )%s|(?<=asInt":)%s|(?<=asInt":")%s' % (NUMBER, NUMBER, _INT64, _INT64)
_POINT = rb'("timeUnixNano": ?"?)(%s)("?, ?"as(?:Double|Int)": ?"?)(%s)' % (TIME_NS, _VALUE)
_SNAKE = (b'_unix_nano"', b'"resource_', b'"scope_', b'_points"', b'_records"', b'"as_', b'_value"')  # worth renaming


def make(kind: str, options: dict[str, str], format_name: str = "otlp_json") -> Decoder:
    """The decoder of a topic of one kind."""
    reader = otlp.Reader(format_name)
    settings = statements.Settings(format_name, kind, options)
    if kind == "inventory":
        return lambda message: _decoded(
            unpacked(message, format_name),
            format_name,
            lambda found: reader.inventory(found, message.timestamp_ms, settings),
        )
    read = {"metrics": reader.metrics, "logs": reader.logs, "flows": reader.flows}[kind]

    def decode(value: bytes) -> Decoded:
        return _decoded(value, format_name, read)

    if kind != "metrics":
        return lambda message: decode(unpacked(message, format_name))
    shapes = TextShapes(_POINT, decode, Pieces(decode).decode, whole=b"asInt")
    return lambda message: shapes.decode(unpacked(message, format_name))


def _decoded(value: bytes, format_name: str, read: Callable[[Any], Decoded]) -> Decoded:
    found = parse(value, format_name)
    try:
        return read(otlp.renamed(found) if any(key in value for key in _SNAKE) else found)
    except Refused as error:
        raise DecodeError(f"{format_name}: {error}") from None
