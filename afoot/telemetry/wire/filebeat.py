"""Filebeat's Kafka output: one event a message, with the Elastic Common Schema's field names, its time in RFC 3339."""

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
OPTIONS: dict[str, str] = {}
_FORMAT = "filebeat"
_LABELS = {
    "namespace": ("kubernetes", "namespace"),
    "pod": ("kubernetes", "pod", "name"),
    "container": ("kubernetes", "container", "name"),
    "k8s.pod.uid": ("kubernetes", "pod", "uid"),
    "service.name": ("service", "name"),
    "host.name": ("host", "name"),
}
_NODE = ("kubernetes", "node", "name")


def make(kind: str, options: dict[str, str]) -> Decoder:
    """The decoder of a topic that Filebeat fills."""
    cache = LabelCache()

    def read(event: dict[str, Any]) -> LogRecord:
        paths = _LABELS
        if logs.at(event, _NODE) is not None:  # host.name is then the container's, if Filebeat runs in one
            paths = {**_LABELS, "host.name": _NODE}
        return LogRecord(
            rfc3339_ns(event["@timestamp"], "@timestamp"),
            logs.syslog_severity(logs.first(event, ("log", "level"), ("log", "syslog", "severity", "code"))),
            body(label(event["message"]).removesuffix("\n")),
            logs.labels(event, paths, cache),
        )

    def decode(message: Message) -> Decoded:
        return each(documents(message, _FORMAT), _FORMAT, "event", read)

    return decode
