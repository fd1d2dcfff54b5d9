"""Vector's Kafka sink with the JSON codec: one log event a message, its time in RFC 3339 unless told otherwise.

An event without a message, as a transform leaves it that parses one in place, is kept whole as JSON. What came by OTLP
has OpenTelemetry's names: severity_text or severity_number, and the resource's attributes under `resources`.
"""

from __future__ import annotations

from typing import Any

from afoot.errors import UsageError
from afoot.telemetry import logs
from afoot.telemetry.collected import each
from afoot.telemetry.formats import Decoder
from afoot.telemetry.labelsets import LabelCache
from afoot.telemetry.otlp import severity_name
from afoot.telemetry.payload import documents
from afoot.telemetry.rows import Decoded, LogRecord, Message
from afoot.telemetry.values import Malformed, body, epoch_ns, label, rfc3339_ns

KINDS = ("logs",)
OPTIONS = {
    "timestamp_key": 'as log_schema.timestamp_key: "timestamp" unless told otherwise',
    "message_key": 'as log_schema.message_key: "message" unless told otherwise',
    "timestamp_format": "as the sink's encoding: rfc3339 unless told otherwise, unix, unix_float, unix_ms, _us, _ns",
}
_FORMAT = "vector"
_PER_SECOND = {"unix": 1, "unix_float": 1, "unix_ms": 1_000, "unix_us": 1_000_000, "unix_ns": 1_000_000_000}
_SEVERITIES = (("severity",), ("level",), ("PRIORITY",), ("severity_text",))
_LABELS = {
    "namespace": ("kubernetes", "pod_namespace"),
    "pod": ("kubernetes", "pod_name"),
    "container": ("kubernetes", "container_name"),
    "k8s.pod.uid": ("kubernetes", "pod_uid"),
    "host.name": ("kubernetes", "pod_node_name"),
    "host": ("host",),
}
_OTLP_LABELS = {
    "namespace": ("resources", "k8s.namespace.name"),
    "pod": ("resources", "k8s.pod.name"),
    "container": ("resources", "k8s.container.name"),
    "k8s.pod.uid": ("resources", "k8s.pod.uid"),
    "service.name": ("resources", "service.name"),
    "host.name": ("resources", "host.name"),
}


def make(kind: str, options: dict[str, str]) -> Decoder:
    """The decoder of a topic that Vector fills."""
    cache = LabelCache()
    time_key, body_key = options.get("timestamp_key", "timestamp"), options.get("message_key", "message")

    time_format = options.get("timestamp_format", "rfc3339")
    if time_format != "rfc3339" and time_format not in _PER_SECOND:
        allowed = ", ".join(("rfc3339", *_PER_SECOND))
        raise UsageError(f"format {_FORMAT!r}: timestamp_format is {time_format!r}; allowed are {allowed}")
    per_second = _PER_SECOND.get(time_format)

    def read(event: dict[str, Any]) -> LogRecord:
        sent = event[time_key]
        time_ns = rfc3339_ns(sent, time_key) if per_second is None else epoch_ns(sent, per_second, time_key)
        content = event[body_key] if body_key in event else _whole(event, time_key)
        paths = _OTLP_LABELS if "resources" in event else _LABELS
        return LogRecord(
            time_ns, _severity(event), body(label(content).removesuffix("\n")), logs.labels(event, paths, cache)
        )

    def decode(message: Message) -> Decoded:
        return each(documents(message, _FORMAT), _FORMAT, "event", read)

    return decode


def _whole(event: dict[str, Any], time_key: str) -> dict[str, Any]:
    """An event without a message, but for what else is read of it."""
    if "name" in event and event.get("kind") in ("absolute", "incremental"):
        raise Malformed(f"kind is {event['kind']!r}: a metric; a log event is expected")
    return {key: value for key, value in event.items() if key not in (time_key, "kubernetes", "resources")}


def _severity(event: dict[str, Any]) -> str:
    sent = logs.first(event, *_SEVERITIES)
    return severity_name(event.get("severity_number")) if sent is None else logs.syslog_severity(sent)
