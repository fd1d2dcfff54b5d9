"""Fluent Bit's Kafka output in JSON: one record a message, with "@timestamp" beside the record's own keys.

The body is `log`, else `message`, else `MESSAGE` (systemd), without its last line end; a record with none of them
(parsed by Merge_Log with Keep_Log off) is kept whole as JSON. "@timestamp" is epoch seconds as a double, or RFC 3339.
"""

from __future__ import annotations

from typing import Any

from afoot.telemetry import logs
from afoot.telemetry.collected import each
from afoot.telemetry.formats import Decoder
from afoot.telemetry.labelsets import LabelCache
from afoot.telemetry.payload import documents
from afoot.telemetry.rows import Decoded, LogRecord, Message
from afoot.telemetry.values import body, epoch_ns, label, rfc3339_ns

KINDS = ("logs",)
OPTIONS = {"timestamp_key": 'the key that the output adds, as its Timestamp_Key: "@timestamp" unless told otherwise'}
_FORMAT = "fluent_bit"
# The journal's _HOSTNAME and PRIORITY lose their underscore and their case by Strip_Underscores and Lowercase.
_HOSTS = (("kubernetes", "host"), ("hostname",), ("host",), ("_HOSTNAME",), ("HOSTNAME",), ("_hostname",))
_SEVERITIES = (("severity",), ("level",), ("PRIORITY",), ("priority",))
_LABELS = {
    "namespace": ("kubernetes", "namespace_name"),
    "pod": ("kubernetes", "pod_name"),
    "container": ("kubernetes", "container_name"),
    "k8s.pod.uid": ("kubernetes", "pod_id"),
    "host.name": ("host.name",),
}


def make(kind: str, options: dict[str, str]) -> Decoder:
    """The decoder of a topic that Fluent Bit fills."""
    cache = LabelCache()
    time_key = options.get("timestamp_key", "@timestamp")

    def decode(message: Message) -> Decoded:
        return each(documents(message, _FORMAT), _FORMAT, "record", lambda record: _record(record, time_key, cache))

    return decode


def _record(record: dict[str, Any], time_key: str, cache: LabelCache) -> LogRecord:
    sent = record[time_key]
    time_ns = rfc3339_ns(sent, time_key, "Z") if type(sent) is str else epoch_ns(sent, 1, time_key)
    content = logs.first(record, ("log",), ("message",), ("MESSAGE",))
    if content is None:
        content = {key: value for key, value in record.items() if key not in (time_key, "kubernetes")}
    severity = logs.syslog_severity(logs.first(record, *_SEVERITIES))
    host = logs.first(record, *_HOSTS)
    if host is not None:
        record = {**record, "host.name": host}
    return LogRecord(time_ns, severity, body(label(content).removesuffix("\n")), logs.labels(record, _LABELS, cache))
