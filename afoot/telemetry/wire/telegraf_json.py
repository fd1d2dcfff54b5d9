"""Telegraf's JSON serializer: one point a message, or a batch under "metrics"; names as in influx.

Times are in seconds unless the output's json_timestamp_units says otherwise. Texts are not metrics.
"""

from __future__ import annotations

from typing import Any

from afoot.errors import UsageError
from afoot.telemetry import telegraf
from afoot.telemetry.collected import UNREADABLE, Collected
from afoot.telemetry.formats import Decoder
from afoot.telemetry.labelsets import LabelCache
from afoot.telemetry.payload import documents, shown
from afoot.telemetry.rows import Decoded, Labels, Message, MetricPoint
from afoot.telemetry.values import Malformed, epoch_ns, label, name, number

KINDS = ("metrics",)
OPTIONS = {"timestamp_units": "as the output's json_timestamp_units: 1s (unless told otherwise), 1ms, 1us or 1ns"}
_FORMAT = "telegraf_json"
_PER_SECOND = {"1s": 1, "1ms": 1_000, "1us": 1_000_000, "1ns": 1_000_000_000}


def make(kind: str, options: dict[str, str]) -> Decoder:
    """The decoder of a topic that Telegraf fills."""
    units = options.get("timestamp_units", "1s")
    if units not in _PER_SECOND:
        raise UsageError(f"format {_FORMAT!r}: timestamp_units is {units!r}; allowed are {', '.join(_PER_SECOND)}")
    per_second = _PER_SECOND[units]
    cache = LabelCache()

    def decode(message: Message) -> Decoded:
        collected = Collected(_FORMAT)
        for index, metric in enumerate(_metrics(documents(message, _FORMAT))):
            try:
                _points(metric, per_second, cache, f"metric {index}", collected)
            except UNREADABLE as error:
                collected.refuse(f"metric {index}", error, metric)
            collected.check()
        return collected.decoded()

    return decode


def _metrics(found: list[Any]) -> list[Any]:
    if len(found) == 1 and isinstance(found[0], dict) and isinstance(found[0].get("metrics"), list):
        batch: list[Any] = found[0]["metrics"]
        return batch
    return found


def _points(metric: dict[str, Any], per_second: int, cache: LabelCache, where: str, collected: Collected) -> None:
    measurement = name(metric["name"])
    time_ns = epoch_ns(metric["timestamp"], per_second, "timestamp")
    labels = _labels(metric.get("tags") or {}, cache)
    collected.check(len(metric["fields"]))
    for field, value in metric["fields"].items():
        if type(value) is str:
            continue
        try:
            metric_name, kind = telegraf.series(measurement, field)
            sent = int(value) if type(value) is bool else value
            collected.rows.append(MetricPoint(metric_name, "", kind, labels, time_ns, number(sent, shown(field))))
        except UNREADABLE as error:
            collected.refuse(where, error)


def _labels(tags: Any, cache: LabelCache) -> Labels:
    if type(tags) is not dict:
        raise Malformed(f"tags are {shown(tags)}; an object is expected")
    key = tuple(tags.items())
    return cache.known.get(key) or cache.add(key, {tag: label(value) for tag, value in tags.items()})
