"""prometheus-kafka-adapter: samples of a remote write as JSON, the value as text, the time RFC 3339 of whole seconds.

Prometheus does not send what is a counter and what a gauge, so the kind is unknown. Stale markers arrive as NaN, and
are refused.

Kind inventory reads the series of kube-state-metrics, and passes over all others.
"""

from __future__ import annotations

from typing import Any

from afoot.telemetry import kubernetes, statements
from afoot.telemetry.collected import UNREADABLE, Collected, each
from afoot.telemetry.formats import Decoder
from afoot.telemetry.labelsets import LabelCache
from afoot.telemetry.payload import documents, shown
from afoot.telemetry.rows import Decoded, Labels, Message, MetricPoint
from afoot.telemetry.values import Malformed, name, number, rfc3339_ns

KINDS = ("metrics", "inventory")
OPTIONS = statements.OPTIONS
_FORMAT = "prometheus_kafka_adapter"
_NAME = "__name__"


def make(kind: str, options: dict[str, str]) -> Decoder:
    """The decoder of a topic that prometheus-kafka-adapter fills."""
    cache = LabelCache()
    settings = statements.Settings(_FORMAT, kind, options)
    if kind == "inventory":
        return lambda message: _inventory(message, cache, settings)

    def decode(message: Message) -> Decoded:
        return each(documents(message, _FORMAT), _FORMAT, "sample", lambda sample: _point(sample, cache))

    return decode


def _inventory(message: Message, cache: LabelCache, settings: statements.Settings) -> Decoded:
    samples = documents(message, _FORMAT)
    collected = Collected(_FORMAT)
    collected.check(len(samples))
    for index, sample in enumerate(samples):
        try:
            series = name(sample["name"])
            # A stale marker is no statement: a failed scrape has one for each series.
            if kubernetes.says(series) and sample["value"] != "NaN":
                labels = _labels(sample["labels"], cache).mapping
                time_ms = min(rfc3339_ns(sample["timestamp"], "timestamp") // 1_000_000, message.timestamp_ms)
                collected.rows += kubernetes.series_changes(series, labels, time_ms, settings)
                collected.check()
        except UNREADABLE as error:
            collected.refuse(f"sample {index}", error, sample)
    return collected.decoded()


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
