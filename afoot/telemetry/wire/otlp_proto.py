"""OTLP in Protocol Buffers as the OpenTelemetry Collector's Kafka exporter sends it unless told otherwise.

Kinds metrics and logs, flows for the log records of the netflow receiver, and inventory for what metrics or log records
tell of entities.
"""

from __future__ import annotations

import base64
from typing import Any

from afoot.errors import DecodeError
from afoot.telemetry import otlp, statements
from afoot.telemetry.formats import Decoder
from afoot.telemetry.payload import unpacked
from afoot.telemetry.protobuf import Broken, Table, read
from afoot.telemetry.rows import Decoded, Message
from afoot.telemetry.values import Refused

KINDS = ("metrics", "logs", "flows", "inventory")
OPTIONS = statements.OPTIONS
_FORMAT = "otlp_proto"

# Tables of opentelemetry/proto, with OTLP/JSON's names of the fields. Attributes stay bytes until one is new.
_ANY: Table = {
    1: ("stringValue", "text"),
    2: ("boolValue", "bool"),
    3: ("intValue", "int"),
    4: ("doubleValue", "double"),
}
_KEY_VALUE: Table = {1: ("key", "text"), 2: ("value", _ANY)}
_ANY[5] = ("arrayValue", {1: ("values", [_ANY])})
_ANY[6] = ("kvlistValue", {1: ("values", [_KEY_VALUE])})
_ANY[7] = ("bytesValue", "bytes")
_NUMBER_POINT: Table = {
    7: ("attributes", ["raw"]),
    3: ("timeUnixNano", "fixed64"),
    4: ("asDouble", "double"),
    6: ("asInt", "sfixed64"),
    8: ("flags", "uint"),
}
_HISTOGRAM_POINT: Table = {
    9: ("attributes", ["raw"]),
    3: ("timeUnixNano", "fixed64"),
    4: ("count", "fixed64"),
    5: ("sum", "double"),
    6: ("bucketCounts", ["fixed64"]),
    7: ("explicitBounds", ["double"]),
    10: ("flags", "uint"),
}
_BUCKETS: Table = {1: ("offset", "sint"), 2: ("bucketCounts", ["uint"])}
_EXPONENTIAL_POINT: Table = {
    1: ("attributes", ["raw"]),
    3: ("timeUnixNano", "fixed64"),
    4: ("count", "fixed64"),
    5: ("sum", "double"),
    6: ("scale", "sint"),
    7: ("zeroCount", "fixed64"),
    8: ("positive", _BUCKETS),
    9: ("negative", _BUCKETS),
    10: ("flags", "uint"),
    14: ("zeroThreshold", "double"),
}
_SUMMARY_POINT: Table = {
    7: ("attributes", ["raw"]),
    3: ("timeUnixNano", "fixed64"),
    4: ("count", "fixed64"),
    5: ("sum", "double"),
    6: ("quantileValues", [{1: ("quantile", "double"), 2: ("value", "double")}]),
    8: ("flags", "uint"),
}


def _data(point: Table) -> Table:
    return {1: ("dataPoints", [point]), 2: ("aggregationTemporality", "uint"), 3: ("isMonotonic", "bool")}


_METRIC: Table = {
    1: ("name", "text"),
    3: ("unit", "text"),
    5: ("gauge", {1: ("dataPoints", [_NUMBER_POINT])}),
    7: ("sum", _data(_NUMBER_POINT)),
    9: ("histogram", _data(_HISTOGRAM_POINT)),
    10: ("exponentialHistogram", _data(_EXPONENTIAL_POINT)),
    11: ("summary", {1: ("dataPoints", [_SUMMARY_POINT])}),
}
_RESOURCE: Table = {1: ("attributes", ["raw"])}
_SCOPE_METRICS: Table = {2: ("metrics", [_METRIC])}
_RESOURCE_METRICS: Table = {
    1: ("resource", _RESOURCE),
    2: ("scopeMetrics", [_SCOPE_METRICS]),
    1000: ("instrumentationLibraryMetrics", [_SCOPE_METRICS]),
}
_METRICS: Table = {1: ("resourceMetrics", [_RESOURCE_METRICS])}
_LOG: Table = {
    1: ("timeUnixNano", "fixed64"),
    2: ("severityNumber", "uint"),
    3: ("severityText", "text"),
    5: ("body", _ANY),
    6: ("attributes", ["raw"]),
    11: ("observedTimeUnixNano", "fixed64"),
    12: ("eventName", "text"),
}
_SCOPE_LOGS: Table = {2: ("logRecords", [_LOG])}
_RESOURCE_LOGS: Table = {
    1: ("resource", _RESOURCE),
    2: ("scopeLogs", [_SCOPE_LOGS]),
    1000: ("instrumentationLibraryLogs", [_SCOPE_LOGS]),
}
_LOGS: Table = {1: ("resourceLogs", [_RESOURCE_LOGS])}


def make(kind: str, options: dict[str, str]) -> Decoder:
    """The decoder of a topic of one kind."""
    reader = otlp.Reader(_FORMAT, otlp.Attributes(_key, _pair))
    settings = statements.Settings(_FORMAT, kind, options)
    if kind == "inventory":
        return lambda message: _inventory(message, reader, settings)
    decode_kind = {"metrics": reader.metrics, "logs": reader.logs, "flows": reader.flows}[kind]
    table = _METRICS if kind == "metrics" else _LOGS

    def decode(message: Message) -> Decoded:
        value = unpacked(message, _FORMAT)
        try:
            found = read(value, table)
            if not found:
                raise Broken(f"{len(value)} bytes without a {table[1][0]} field")
            return decode_kind(found)
        except (Broken, Refused) as error:
            raise DecodeError(f"{_FORMAT}: {error}") from None

    return decode


def _inventory(message: Message, reader: otlp.Reader, settings: statements.Settings) -> Decoded:
    """Metrics and log records of one topic: nothing says which a message has, but no message is of both.

    The first field of a metric is a text, that of a log record a number of eight bytes.
    """
    value = unpacked(message, _FORMAT)
    try:
        try:
            found = read(value, _LOGS)
        except Broken:
            found = read(value, _METRICS)
        if not found:
            raise Broken(f"{len(value)} bytes without a {_LOGS[1][0]} or {_METRICS[1][0]} field")
        return reader.inventory(found, message.timestamp_ms, settings)
    except (Broken, Refused) as error:
        raise DecodeError(f"{_FORMAT}: {error}") from None


def _key(attributes: Any) -> Any:
    return tuple(attributes) if attributes else None


def _pair(attribute: Any) -> Any:
    return _as_json(read(attribute, _KEY_VALUE))


def _as_json(found: Any) -> Any:
    """Bytes as the base64 text that OTLP/JSON has for them, wherever they are."""
    if isinstance(found, dict):
        return {key: _as_json(value) for key, value in found.items()}
    if isinstance(found, list):
        return [_as_json(value) for value in found]
    return base64.b64encode(found).decode() if isinstance(found, bytes) else found
