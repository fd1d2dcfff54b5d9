"""OTLP/JSON as the OpenTelemetry Collector's Kafka exporter sends it (encoding otlp_json).

Kinds metrics and logs, and flows for the log records of the netflow receiver. Keys may be the proto's snake_case.
"""

from __future__ import annotations

from afoot.errors import DecodeError
from afoot.telemetry import otlp
from afoot.telemetry.formats import Decoder
from afoot.telemetry.payload import parse, unpacked
from afoot.telemetry.rows import Decoded
from afoot.telemetry.shapes import NUMBER, TIME_NS, TextShapes
from afoot.telemetry.values import Refused

KINDS = ("metrics", "logs", "flows")
OPTIONS: dict[str, str] = {}
_INT64 = rb"-?(?:0|[1-9][0-9]{0,17})"  # safely
_VALUE = rb'(?<=asDouble":)%s|(?<=asDouble": )%s|(?<=asInt":)%s|(?<=asInt":")%s' % (NUMBER, NUMBER, _INT64, _INT64)
_POINT = rb'("timeUnixNano": ?"?)(%s)("?, ?"as(?:Double|Int)": ?"?)(%s)' % (TIME_NS, _VALUE)
_SNAKE = (b'_unix_nano"', b'"resource_', b'"scope_', b'_points"', b'_records"', b'"as_', b'_value"')  # worth renaming


def make(kind: str, options: dict[str, str], format_name: str = "otlp_json") -> Decoder:
    """The decoder of a topic of one kind."""
    reader = otlp.Reader(format_name)
    read = {"metrics": reader.metrics, "logs": reader.logs, "flows": reader.flows}[kind]

    def decode(value: bytes) -> Decoded:
        found = parse(value, format_name)
        try:
            if any(key in value for key in _SNAKE):
                found = otlp.renamed(found)
            return read(found)
        except Refused as error:
            raise DecodeError(f"{format_name}: {error}") from None

    if kind != "metrics":
        return lambda message: decode(unpacked(message, format_name))
    shapes = TextShapes(_POINT, decode)
    return lambda message: shapes.decode(unpacked(message, format_name))
