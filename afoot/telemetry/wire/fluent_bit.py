"""Fluent Bit's Kafka output in JSON: one record a message, with "@timestamp" beside the record's own keys.

The body is `log`, else `message`, else `MESSAGE` (systemd), without its last line end; a record with none of them
(parsed by Merge_Log with Keep_Log off) is kept whole as JSON. "@timestamp" is epoch seconds as a double, or RFC 3339.
"""

from __future__ import annotations

from typing import Any

from afoot.telemetry.collected import each
from afoot.telemetry.formats import Decoder
from afoot.telemetry.labelsets import LabelCache
from afoot.telemetry.payload import documents, shown
from afoot.telemetry.rows import Decoded, LogRecord, Message
from afoot.telemetry.values import Malformed, body, epoch_ns, label, rfc3339_ns

KINDS = ("logs",)
OPTIONS = {"timestamp_key": 'the key that the output adds, as its Timestamp_Key: "@timestamp" unless told otherwise'}
_FORMAT = "fluent_bit"
_BODY_KEYS = ("log", "message", "MESSAGE")
_SEVERITY_KEYS = ("severity", "level")
_HOST_KEYS = ("hostname", "host", "_HOSTNAME")
_KUBERNETES = {
    "namespace_name": "namespace",
    "pod_name": "pod",
    "container_name": "container",
    "host": "host.name",
    "pod_id": "k8s.pod.uid",
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
    content = next((record[key] for key in _BODY_KEYS if key in record), None)
    if content is None:
        own = {key: value for key, value in record.items() if key not in (time_key, "kubernetes")}
        content = own
    severity = next((record[key] for key in _SEVERITY_KEYS if key in record), "")
    mapping = _labels(record)
    key = tuple(mapping.items())
    labels = cache.known.get(key) or cache.add(key, mapping)
    return LogRecord(time_ns, label(severity), body(label(content).removesuffix("\n")), labels)


def _labels(record: dict[str, Any]) -> dict[str, str]:
    mapping: dict[str, str] = {}
    host = next((record[key] for key in _HOST_KEYS if key in record), None)
    if host is not None:
        mapping["host.name"] = label(host)
    kubernetes = record.get("kubernetes", {})
    if type(kubernetes) is not dict:
        raise Malformed(f"kubernetes is {shown(kubernetes)}; an object is expected")
    for sent, own in _KUBERNETES.items():
        if sent in kubernetes:
            mapping[own] = label(kubernetes[sent])
    return mapping
