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
}
# The node before host.name, which in Kubernetes is that of Filebeat's pod; before 6.3 only beat says the machine.
_HOSTS = (("kubernetes", "node", "name"), ("host", "name"), ("beat", "hostname"))
_PATHS = [{**_LABELS, "host.name": path} for path in _HOSTS]


def make(kind: str, options: dict[str, str]) -> Decoder:
    """The decoder of a topic that Filebeat fills."""
    cache = LabelCache()

    def read(event: dict[str, Any]) -> LogRecord:
        paths = next((paths for paths in _PATHS if logs.at(event, paths["host.name"]) is not None), _LABELS)
        return LogRecord(
            rfc3339_ns(event["@timestamp"], "@timestamp"),
            logs.syslog_severity(logs.first(event, ("log", "level"), ("log", "syslog", "severity", "code"))),
            body(label(event["message"]).removesuffix("\n")),
            logs.labels(event, paths, cache),
        )

    def decode(message: Message) -> Decoded:
        return each(documents(message, _FORMAT), _FORMAT, "event", read)

    return decode
