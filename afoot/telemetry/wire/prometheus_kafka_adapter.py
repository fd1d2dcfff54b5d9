"""prometheus-kafka-adapter: samples of a remote write as JSON, the value as text, the time RFC 3339 of whole seconds.

Prometheus does not send what is a counter and what a gauge, so the kind is unknown. Stale markers arrive as NaN, and
are refused.
"""

from __future__ import annotations

from typing import Any

from afoot.telemetry.collected import each
from afoot.telemetry.formats import Decoder
from afoot.telemetry.labelsets import LabelCache
from afoot.telemetry.payload import documents, shown
from afoot.telemetry.rows import Decoded, Labels, Message, MetricPoint
from afoot.telemetry.values import Malformed, name, number, rfc3339_ns

KINDS = ("metrics",)
OPTIONS: dict[str, str] = {}
_FORMAT = "prometheus_kafka_adapter"
_NAME = "__name__"


def make(kind: str, options: dict[str, str]) -> Decoder:
    """The decoder of a topic that prometheus-kafka-adapter fills."""
    cache = LabelCache()

    def decode(message: Message) -> Decoded:
        return each(documents(message, _FORMAT), _FORMAT, "sample", lambda sample: _point(sample, cache))

    return decode


def _point(sample: dict[str, Any], cache: LabelCache) -> MetricPoint:
    return MetricPoint(
        name(sample["name"]),
        "",
        "unknown",
        _labels(sample["labels"], cache),
        rfc3339_ns(sample["timestamp"], "timestamp"),
        number(sample["value"]),
    )


def _labels(sent: Any, cache: LabelCache) -> Labels:
    if type(sent) is not dict:
        raise Malformed(f"labels are {shown(sent)}; an object is expected")
    key = tuple(sent.items())
    labels = cache.known.get(key)
    if labels is None:
        for label_name, value in sent.items():
            if type(value) is not str:
                raise Malformed(f"label {shown(label_name)} is {shown(value)}; text is expected")
        labels = cache.add(key, {label_name: value for label_name, value in sent.items() if label_name != _NAME})
    return labels
