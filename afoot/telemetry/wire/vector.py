"""Vector's Kafka sink with the JSON codec: one log event a message, its time in RFC 3339."""

from __future__ import annotations

from typing import Any

from afoot.telemetry import logs
from afoot.telemetry.collected import each
from afoot.telemetry.formats import Decoder
from afoot.telemetry.labelsets import LabelCache
from afoot.telemetry.payload import documents
from afoot.telemetry.rows import Decoded, LogRecord, Message
from afoot.telemetry.values import body, label, rfc3339_ns

KINDS = ("logs",)
OPTIONS = {
    "timestamp_key": 'as log_schema.timestamp_key: "timestamp" unless told otherwise',
    "message_key": 'as log_schema.message_key: "message" unless told otherwise',
}
_FORMAT = "vector"
_SEVERITIES = (("severity",), ("level",), ("PRIORITY",))
_LABELS = {
    "namespace": ("kubernetes", "pod_namespace"),
    "pod": ("kubernetes", "pod_name"),
    "container": ("kubernetes", "container_name"),
    "k8s.pod.uid": ("kubernetes", "pod_uid"),
    "host.name": ("kubernetes", "pod_node_name"),
    "host": ("host",),
}


def make(kind: str, options: dict[str, str]) -> Decoder:
    """The decoder of a topic that Vector fills."""
    cache = LabelCache()
    time_key, body_key = options.get("timestamp_key", "timestamp"), options.get("message_key", "message")

    def read(event: dict[str, Any]) -> LogRecord:
        return LogRecord(
            rfc3339_ns(event[time_key], time_key),
            logs.syslog_severity(logs.first(event, *_SEVERITIES)),
            body(label(event[body_key]).removesuffix("\n")),
            logs.labels(event, _LABELS, cache),
        )

    def decode(message: Message) -> Decoded:
        return each(documents(message, _FORMAT), _FORMAT, "event", read)

    return decode
